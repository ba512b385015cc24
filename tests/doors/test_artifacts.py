"""What the flows show in Prefect beside runs: the results as artifacts, with the files' own words and numbers."""

import base64
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.doors.conftest import Project
from tests.doors.servers import Site

pytestmark = pytest.mark.slow  # a real server

_RESULTS = "docs/results/sample"  # what `make reproduce` made
_NUMBERS = "0123456789abcdef"  # as the tables stage says which numbers its tables have
_ONE = {"tables": {"cmd": "echo 1 > one.txt", "outs": ["one.txt"]}}


def _with_results(folder: Path, repository: Path) -> Path:
    """Lay a profile's results where its stages leave them."""
    data = folder / "data" / "sample"
    (data / "tables").mkdir(parents=True)
    for path in (repository / _RESULTS).glob("*.*"):
        if path.stem not in ("figures", "report"):
            shutil.copy(path, data / "tables")
    (data / "tables" / "numbers.txt").write_text(f"{_NUMBERS}\n", encoding="utf-8")
    shutil.copytree(repository / _RESULTS / "figures", data / "figures" / "charts")
    index = {"figures": [{"file": "charts/mean-iu.png", "title": "Mean IU", "caption": "Higher is better."}]}
    (data / "figures" / "index.json").write_text(json.dumps(index), encoding="utf-8")
    (data / "report").mkdir()
    (data / "report" / "report.html").write_text("<h1>all of it</h1>", encoding="utf-8")
    return data


def _report(folder: Path, site: Site) -> None:
    command = [sys.executable, "-m", "flows.reproduce", "report"]
    ended = subprocess.run(command, cwd=folder, env=site.environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def _latest(site: Site) -> dict[str, dict[str, Any]]:
    """The newest artifact of every key."""
    found = site.ask("post", "artifacts/latest/filter", limit=200)
    return {item["key"]: item for item in found}


def _versions(site: Site, name: str) -> int:
    return len(site.ask("post", "artifacts/filter", artifacts={"key": {"any_": [name]}}))


def test_results_are_artifacts_with_the_files_numbers(project: Project, prefect_site: Site, repository: Path) -> None:
    """The scores and every table that a run fills are the files' own text, and say the digest of the numbers.

    The pictures show in themselves. Once more: the same keys, with a new version each, so that Prefect has a history.
    """
    folder = project(dict(_ONE))
    data = _with_results(folder, repository)
    _report(folder, prefect_site)
    shown = {key: item for key, item in _latest(prefect_site).items() if key.startswith("sample-")}
    tables = sorted(data.glob("tables/*.md"))
    filled = [path for path in tables if path.stem == "scores" or '"not_run": false' in _json(path)]
    assert len(filled) > 3
    for path in filled:
        artifact = shown.pop(f"sample-{path.stem.replace('_', '-')}")
        assert artifact["type"] == "markdown"
        assert artifact["data"].strip() == path.read_text(encoding="utf-8").strip()
        assert f"numbers {_NUMBERS}" in artifact["description"]
    for path in data.glob("figures/charts/*.png"):
        artifact = shown.pop(f"sample-figure-{path.stem}")
        address = artifact["data"].removeprefix("data:image/webp;base64,")
        assert Image.open(io.BytesIO(base64.b64decode(address))).width <= 1200
        assert f"numbers {_NUMBERS}" in artifact["description"]
        if path.stem == "mean-iu":
            assert "**Mean IU**. Higher is better." in artifact["description"]
    report = shown.pop("sample-report")
    assert str((data / "report" / "report.html").resolve()) in report["data"]
    assert not [key for key in shown if not key.endswith("-progress")]  # tables that no run fills are left out

    keys = _latest(prefect_site).keys()
    _report(folder, prefect_site)
    assert _latest(prefect_site).keys() == keys
    assert _versions(prefect_site, "sample-scores") == 2


def _json(path: Path) -> str:
    return path.with_suffix(".json").read_text(encoding="utf-8")


def test_a_profile_without_results_breaks_nothing(project: Project, prefect_site: Site) -> None:
    """No tables, no figures, no report: the flow completes and makes no artifact."""
    before = _latest(prefect_site).keys()
    _report(project(dict(_ONE)), prefect_site)
    assert _latest(prefect_site).keys() == before
