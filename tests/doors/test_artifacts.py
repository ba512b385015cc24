"""What the flows show in Prefect beside runs: the results as artifacts, with the files' own words and numbers."""

import base64
import io
import json
import re
import shutil
import subprocess
import sys
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

from flows.artifacts import show_results
from tests.doors.conftest import Project
from tests.doors.servers import Site, until
from tests.report.browser import Page, browser, chromium

pytestmark = pytest.mark.slow  # a real server

_RESULTS = "docs/results/sample"  # what `make reproduce` made
_NUMBERS = "0123456789abcdef"  # as the tables stage says which numbers its tables have


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


def _show(folder: Path, site: Site) -> None:
    with chdir(folder), temporary_settings({PREFECT_API_URL: site.api, PREFECT_LOGGING_TO_API_ENABLED: False}):
        show_results("sample")


def _latest(site: Site) -> dict[str, dict[str, Any]]:
    """The newest artifact of every key."""
    found = site.ask("post", "artifacts/latest/filter", limit=200)
    return {item["key"]: item for item in found}


def _versions(site: Site, name: str) -> int:
    return len(site.ask("post", "artifacts/filter", artifacts={"key": {"any_": [name]}}))


def test_results_are_artifacts_with_the_files_numbers(tmp_path: Path, prefect_site: Site, repository: Path) -> None:
    """The scores and every table that a run fills are the files' own text, and say the digest of the numbers.

    The pictures show in themselves. Every run has a page of its own, which has the tables and leads to all; once more:
    nothing else is new, and with other scores a new version of what changed alone.
    """
    data = _with_results(tmp_path, repository)
    _show(tmp_path, prefect_site)
    shown = {key: item for key, item in _latest(prefect_site).items() if key.startswith("sample-")}
    tables = sorted(data.glob("tables/*.md"))
    filled = [path for path in tables if path.stem == "scores" or '"not_run": false' in _json(path)]
    assert len(filled) > 3
    for path in filled:
        artifact = shown.pop(f"sample-{path.stem.replace('_', '-')}")
        assert artifact["type"] == "markdown"
        assert artifact["data"].strip() == path.read_text(encoding="utf-8").strip()
        assert f"version of the numbers: {_NUMBERS}" in artifact["description"]
        assert artifact["task_run_id"] is None  # a later run has it, too
        assert artifact["data"] in shown["sample-report"]["data"]
    for path in data.glob("figures/charts/*.png"):
        artifact = shown.pop(f"sample-figure-{path.stem}")
        address = artifact["data"].removeprefix("data:image/webp;base64,")
        assert Image.open(io.BytesIO(base64.b64decode(address))).width <= 1200
        assert f"version of the numbers: {_NUMBERS}" in artifact["description"]
        if path.stem == "mean-iu":
            assert "**Mean IU**. Higher is better." in artifact["description"]
    report = shown.pop("sample-report")
    assert str((data / "report" / "report.html").resolve()) in report["data"]
    links = [line for line in report["data"].splitlines() if line.startswith("- [")]
    assert links[0].startswith(
        f"- [Scores, profile sample: generated pictures]({prefect_site.api.removesuffix('/api')}/artifacts/artifact/"
    )
    assert len(links) == len(filled) + len([*data.glob("figures/charts/*.png")])
    assert not [key for key in shown if not key.endswith("-progress")]  # tables that no run fills are left out

    before = _latest(prefect_site)
    _show(tmp_path, prefect_site)
    again = _latest(prefect_site)
    assert _changed(before, again) == {"sample-report"}
    assert again["sample-report"]["task_run_id"] not in (None, report["task_run_id"])
    with (data / "tables" / "scores.md").open("a", encoding="utf-8") as scores:
        scores.write("\nmore\n")
    _show(tmp_path, prefect_site)
    assert _changed(again, _latest(prefect_site)) == {"sample-scores", "sample-report"}
    assert _versions(prefect_site, "sample-scores") == 2


def _changed(before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> set[str]:
    return {key for key in after if after[key]["latest_id"] != before[key]["latest_id"]}


def _json(path: Path) -> str:
    return path.with_suffix(".json").read_text(encoding="utf-8")


def test_a_profile_without_results_breaks_nothing(tmp_path: Path, prefect_site: Site) -> None:
    """No tables, no figures, no report: no artifact is made, and nothing fails."""
    before = _latest(prefect_site).keys()
    _show(tmp_path, prefect_site)
    assert _latest(prefect_site).keys() == before


def test_a_run_that_fails_shows_no_older_results(project: Project, prefect_site: Site, repository: Path) -> None:
    """Where a stage failed, no artifact is made of what lies there, all of the graph asked for or its slice."""
    folder = project({"tables": {"cmd": "exit 3"}})
    _with_results(folder, repository)
    command, environment = [sys.executable, "-m", "flows.reproduce"], prefect_site.environment
    before = _latest(prefect_site)
    for options in ([], ["report"]):
        ended = subprocess.run([*command, *options], cwd=folder, env=environment, check=False, capture_output=True)
        assert ended.returncode == 1
    assert _latest(prefect_site) == before


def _press(page: Page, words: str, *, leads_to: str) -> None:
    """Press the first link or button whose words begin so, in this tab, until the address or the page has those."""
    said = json.dumps(words)
    first = f"[...document.querySelectorAll('a, button')].find(e => e.innerText.trim().startsWith({said}))"
    mark = f"(e => {{ if (e) {{ e.target = ''; e.dataset.press = {said}; }} return Boolean(e); }})({first})"

    def has_led_there() -> bool:
        try:
            if leads_to in page.value("location.pathname + document.body.innerText"):
                return True
            if page.value(mark):
                page.click(f"[data-press={said}]")
        except AssertionError:  # between two pages
            pass
        return False

    until(has_led_there, doing=f"{words} leads to {leads_to}")


def test_a_person_gets_from_the_dashboard_to_a_table(prefect_site: Site, project: Project, repository: Path) -> None:
    """Runs, the run, the link at the end of its log, a table: four clicks, and the last page has the table's rows.

    The flow's last line says where the report lies.
    """
    if (program := chromium()) is None:
        pytest.skip("needs Chromium")
    folder = project({"tables": {"cmd": "true"}})
    _with_results(folder, repository)
    command = [sys.executable, "-m", "flows.reproduce", "report"]
    environment = prefect_site.environment
    ended = subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True)
    assert re.search(r"\ndone in \S+; the report: data/sample/report/report.html\n$", ended.stdout)
    with browser(program) as page:
        page.ask("Emulation.setDeviceMetricsOverride", width=1700, height=900, deviceScaleFactor=1, mobile=False)
        page.ask("Page.navigate", url=prefect_site.api.removesuffix("/api"))
        _press(page, "Runs", leads_to="/runs")
        _press(page, "reproduce-sample-report", leads_to="/runs/flow-run/")
        _press(page, "http", leads_to="The results as this flow left them")
        _press(page, "CVPR 2015, Table 2", leads_to="sample-cvpr-table2")
        rows = page.value("[...document.querySelectorAll('tr')].map(row => row.innerText.split(/\\s+/)[0])")
    assert {"FCN-32s-fixed", "FCN-32s", "FCN-16s", "FCN-8s"} <= set(rows)
