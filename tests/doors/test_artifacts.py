"""What the flows show in Prefect beside runs: the results as artifacts, with the files' own numbers."""

import base64
import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from flows.artifacts import key
from tests.doors.conftest import Project
from tests.doors.servers import Site

pytestmark = pytest.mark.slow  # a real server

_RESULTS = "docs/results/sample"  # what `make reproduce` made
_HALF = 0.005 + 1e-9  # two decimals are shown
_ONE = {"tables": {"cmd": "echo 1 > one.txt", "outs": ["one.txt"]}}


def _with_results(folder: Path, repository: Path, *, profile: str = "sample") -> Path:
    """Lay a profile's results where its stages leave them."""
    data = folder / "data" / profile
    (data / "tables").mkdir(parents=True)
    for path in (*(repository / _RESULTS).glob("*.json"), *(repository / _RESULTS).glob("*.csv")):
        if path.stem != "figures":
            shutil.copy(path, data / "tables")
    shutil.copytree(repository / _RESULTS / "figures", data / "figures" / "charts")
    index = {"figures": [{"file": "charts/mean-iu.png", "title": "Mean IU", "caption": "Higher is better."}]}
    (data / "figures" / "index.json").write_text(json.dumps(index), encoding="utf-8")
    (data / "report").mkdir()
    (data / "report" / "report.html").write_text("<h1>all of it</h1>", encoding="utf-8")
    return data


def _report(folder: Path, site: Site) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "flows.report"]
    return subprocess.run(
        command, cwd=folder, env=site.environment, capture_output=True, text=True, check=False, timeout=600
    )


def _latest(site: Site) -> dict[str, dict[str, Any]]:
    """The newest artifact of every key."""
    found = site.ask("post", "artifacts/latest/filter", limit=200)
    return {item["key"]: item for item in found}


def _versions(site: Site, name: str) -> int:
    return len(site.ask("post", "artifacts/filter", artifacts={"key": {"any_": [name]}}))


def test_keys_are_prefects_and_stable() -> None:
    """Lower case letters, digits and dashes, made of what the thing is."""
    assert key("sample", "cvpr_table2") == "sample-cvpr-table2"
    assert key("voc-subset", "voc-fcn8s-vgg16", "progress") == "voc-subset-voc-fcn8s-vgg16-progress"


def test_results_are_artifacts_with_the_files_numbers(project: Project, prefect_site: Site, repository: Path) -> None:
    """Every number of every filled table and of the scores is the file's to two decimals, in JSON and in CSV.

    The pictures show in themselves. Once more: the same keys, with a new version each, so that Prefect has a history.
    """
    folder = project(dict(_ONE))
    data = _with_results(folder, repository)
    assert (ended := _report(folder, prefect_site)).returncode == 0, ended.stdout + ended.stderr
    shown = _latest(prefect_site)
    tables = 0
    for path in sorted(data.glob("tables/*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        if path.stem == "scores":
            rows = json.loads(shown["sample-scores"]["data"])
            assert {row["run"]: row["mean_iu"] for row in rows} == pytest.approx(
                {row["run"]: row["numbers"]["mean_iu"] for row in found["scores"]}, abs=_HALF
            )
            _same_as_csv(rows, path.with_suffix(".csv"))
        elif any(row["run"] for row in found["rows"]):
            tables += 1
            rows = json.loads(shown[key("sample", path.stem)]["data"])
            for ours, row in zip(rows, found["rows"], strict=True):
                assert ours["row"] == row["row"]
                for metric, cell in row["cells"].items():
                    numbers = [ours[f"{metric} {what}"] for what in ("printed", "ours", "difference")]
                    files = [cell["paper"], cell["ours"], cell["difference"]]
                    assert numbers == pytest.approx(files, abs=_HALF), (path, row["row"], metric)
        else:
            assert key("sample", path.stem) not in shown
    assert tables > 3
    pictures = sorted(path.stem for path in data.glob("figures/charts/*.png"))
    for stem in pictures:
        address = shown[key("sample", "figure", stem)]["data"]
        picture = Image.open(io.BytesIO(base64.b64decode(address.removeprefix("data:image/webp;base64,"))))
        assert picture.width <= 1200
    assert "**Mean IU**. Higher is better." in shown["sample-figure-mean-iu"]["description"]
    assert str((data / "report" / "report.html").resolve()) in shown["sample-report"]["data"]

    assert _report(folder, prefect_site).returncode == 0
    assert _latest(prefect_site).keys() == shown.keys()
    assert _versions(prefect_site, "sample-scores") == 2


def _same_as_csv(rows: list[dict[str, Any]], path: Path) -> None:
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    for row, line in zip(rows, lines, strict=True):
        numbers = [head for head in line if head not in ("run", "val")]
        files = {head: float(line[head]) for head in numbers}
        assert {head: row[head] for head in numbers} == pytest.approx(files, abs=_HALF)


def test_a_profile_without_results_breaks_nothing(project: Project, prefect_site: Site) -> None:
    """No tables, no figures, no report: the flow completes and makes no artifact."""
    before = _latest(prefect_site).keys()
    ended = _report(project(dict(_ONE)), prefect_site)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert _latest(prefect_site).keys() == before
