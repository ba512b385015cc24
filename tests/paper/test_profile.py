"""The paper profile: what it downloads, and the page that says what it takes."""

import shutil
import sys
from pathlib import Path
from subprocess import run
from typing import get_args

import pytest
import yaml

from fcn.config import load
from fcn.entries import Preset
from fcn.nets.preprocessing import preset
from fcn.paper import protocol
from fcn.paper.downloads import DOWNLOADS
from fcn.paper.table import every

ROOT = Path(__file__).resolve().parents[2]
PAPER = load(ROOT / "profiles/paper/params.yaml")


def test_every_download_is_pinned() -> None:
    """Each archive has its address and hash in fcn/paper/downloads.toml, under its own name."""
    assert set(PAPER.archives) <= set(DOWNLOADS)


@pytest.mark.parametrize("name", get_args(Preset))
def test_every_preprocessing_is_known(name: str) -> None:
    """Each name that params.yaml may give to a preprocessing is one that there is."""
    assert preset(name).name == name


def test_the_lists_have_the_published_counts() -> None:
    """The profile's lists count what the papers count, and seg11valid is the published one."""
    published = {
        "sbd-train": protocol.SBD_TRAIN,
        "seg11valid": protocol.SEG11VALID,
        "voc2011-train": protocol.VOC2011_TRAIN,
        "voc2011-val": protocol.VOC2011_VAL,
    }
    for name, expected in published.items():
        assert (PAPER.lists[name].expect, PAPER.lists[name].published) == (expected.images, expected.published)


def test_the_main_rows_have_a_run() -> None:
    """CVPR Tables 1 and 2 whole and PAMI Table 3's main rows each have their own run here, in the right regime."""
    tables = every()
    rows = [*tables["cvpr_table1"].rows, *tables["cvpr_table2"].rows, *tables["pami_table3"].rows[:5]]
    regimes = ["cvpr"] * 7 + ["pami"] * 5
    assert [PAPER.runs[row.runs[0]].regime for row in rows] == regimes


def test_the_plan_is_as_generated() -> None:
    """docs/paper-plan.md is what benchmarks/paper_plan.py prints, and has a line for every stage of the graph."""
    made = run([sys.executable, "-m", "benchmarks.paper_plan"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert made.stdout == (ROOT / "docs/paper-plan.md").read_text(encoding="utf-8")
    assert "ESTIMATE" in made.stdout.splitlines()[0]
    values = yaml.safe_load((ROOT / "profiles/paper/params.yaml").read_text())
    for stage, entry in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].items():
        keys = values[entry["foreach"].strip("${}")] if "foreach" in entry else [None]
        for key in keys:
            assert f"| {stage}@{key} |" in made.stdout or (key is None and f"| {stage} |" in made.stdout)


def test_dvc_lists_the_whole_plan(tmp_path: Path) -> None:
    """`dvc repro --dry --force profiles/paper/dvc.yaml` lists every command before anything is downloaded."""
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "profiles/paper", tmp_path / "profiles/paper", symlinks=True)
    dvc = [sys.executable, "-m", "dvc"]
    run([*dvc, "init", "--no-scm", "--quiet"], cwd=tmp_path, check=True, capture_output=True)
    made = run(
        [*dvc, "repro", "--dry", "--force", "profiles/paper/dvc.yaml"], cwd=tmp_path, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    commands = [line for line in made.stdout.splitlines() if line.startswith("> ")]
    stages = (ROOT / "docs/paper-plan.md").read_text(encoding="utf-8").count("\n| ") - 2  # less the head and the sum
    assert len(commands) == stages
    for name in PAPER.runs:
        assert f"> python -m fcn train {name} --params profiles/paper/params.yaml" in commands
