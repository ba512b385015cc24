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
    """Each archive, or each of its parts, has its address in fcn/paper/downloads.toml, and a hash if one is known.

    None is known of the authors' nets, of SIFT Flow, and of the names of PASCAL-Context's classes.
    """
    parts = {part for name, archive in PAPER.archives.items() for part in archive.parts or (name,)}
    assert parts <= set(DOWNLOADS)
    unknown = {name for name in parts if not DOWNLOADS[name].is_pinned}
    assert unknown == {"siftflow", "context-names"} | {name for name in parts if name.endswith(("-heavy", "-pascal"))}
    assert sum(name.endswith(".caffemodel") for name in (DOWNLOADS[part].file for part in parts)) == 14 + 2


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
        "nyud-train": protocol.NYUD_TRAIN,
        "nyud-test": protocol.NYUD_TEST,
        "siftflow-train": protocol.SIFTFLOW_TRAIN,
        "siftflow-test": protocol.SIFTFLOW_TEST,
        **{f"context{classes}-train": protocol.CONTEXT_TRAIN for classes in (59, 33)},
        **{f"context{classes}-val": protocol.CONTEXT_VAL for classes in (59, 33)},
    }
    assert set(PAPER.lists) == set(published)
    for name, expected in published.items():
        assert PAPER.lists[name].expect in (expected.images, *expected.also)
        assert (PAPER.lists[name].list, PAPER.lists[name].published) == (expected.list, expected.published)


# Rows of others, rows that no net of this project can fill yet, and rows whose network nobody has defined.
OTHERS = ("Gupta", "O2P", "CFM", "Liu", "Tighe", "Farabet", "Pinheiro")
GAPS = ("FCN-pool5", "FCN-pool4", "FCN-pool3")


@pytest.mark.parametrize(
    ("regime", "keys"),
    [
        ("cvpr", ("cvpr_table1", "cvpr_table2", "cvpr_table4", "cvpr_table5", "cvpr_table6_59", "cvpr_table6_33")),
        ("pami", ("pami_table3", "pami_nyud", "pami_siftflow", "pami_context_59", "released_pami")),
    ],
)
def test_the_rows_have_a_run(regime: str, keys: tuple[str, ...]) -> None:
    """Each row of the papers' own networks has its run here, the first that it names, in the right regime."""
    for key in keys:
        for row in every()[key].rows:
            if not row.label.startswith((*OTHERS, *GAPS)):
                assert PAPER.runs[row.runs[0]].regime == regime, (key, row.label)


def test_every_released_net_has_a_run() -> None:
    """All 14 nets that the authors released are scored as they are."""
    released = {name for name, run in PAPER.runs.items() if not PAPER.recipes[run.recipe].iterations}
    starts = {PAPER.runs[name].init.removeprefix("weights/") for name in released}
    files = {name for name, entry in DOWNLOADS.items() if "The authors' " in entry.source}
    assert files == starts
    assert len(files) == 14
    assert released == {name for name in PAPER.runs if name.endswith("-released")}


def test_every_dataset_is_used() -> None:
    """Nothing is downloaded that no run learns from, is scored on or starts with."""
    used = {PAPER.datasets[ref.dataset].from_ for run in PAPER.runs.values() for ref in (run.train, run.val)}
    used |= {
        PAPER.weights[run.init.removeprefix("weights/")].from_
        for run in PAPER.runs.values()
        if run.init.removeprefix("weights/") in PAPER.weights
    }
    assert used == {f"data/paper/archives/{name}" for name in PAPER.archives}


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
