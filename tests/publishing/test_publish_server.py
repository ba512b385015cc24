"""Publishing to a real MLflow server, and the page of a table as a browser shows it."""

import html
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fcn.config import load
from fcn.files import read_json
from fcn.publishing import shared_view
from fcn.stages.places import Places
from tests.conftest import RunFcn
from tests.publishing import ledgers, results
from tests.report.browser import Page, browser, chromium

# The deprecations are MLflow's own doing, in the client that these tests read with.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

TABLE = "sample / PAMI Table 3"
PAGE_SECONDS = 90.0
# The grid draws only the columns that are in sight.
SIZE = {"width": 4000, "height": 900, "deviceScaleFactor": 1, "mobile": False}
HEADS = """[...document.querySelectorAll('.ag-header-cell[col-id]')].map(
    cell => [cell.getBoundingClientRect().x, cell.getAttribute('col-id'), cell.innerText.trim()])"""
CELLS = """[...document.querySelectorAll('.ag-row .ag-cell[col-id]')].map(
    cell => [Number(cell.closest('.ag-row').getAttribute('row-index')), cell.getAttribute('col-id'),
             cell.innerText.trim().split('\\n').pop()])"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, repository: Path, run_fcn: RunFcn) -> Iterator[tuple[Path, str]]:
    """A project whose results were published by an address with a password to what `make ui` starts, and that alone."""
    root = tmp_path_factory.mktemp("served")
    results.only(root, results.make(root, repository), "pami_table3")
    (root / "site").mkdir()
    site = ledgers.ui(root / "site", repository, port=ledgers.free_port())
    with site as address, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", ledgers.with_password(address))
        done = run_fcn(["publish"], root)
        assert done.returncode == 0, done.stderr
        assert not ledgers.tells(done.stdout, done.stderr, below=root)
        assert f"{TABLE}: {address}/#/experiments/" in done.stdout
        yield root, address


def test_a_server_holds_the_same(served: tuple[Path, str]) -> None:
    """A server reached by MLFLOW_TRACKING_URI has rows, numbers and artifacts, and no local database is made."""
    root, address = served
    reader = ledgers.client(address)
    found = read_json(root / Places(load(root / "params.yaml")).tables / "pami_table3.json")
    runs = ledgers.held(reader)[TABLE]
    assert [run.info.run_name for run in runs] == [row["row"] for row in found["rows"]]
    for run, row in zip(runs, found["rows"], strict=True):
        ours = row["cells"]["mean_iu"]["ours"]
        assert run.data.metrics.get("mean_iu") == (None if ours is None else float(f"{ours:.1f}"))
        assert run.data.metrics["paper.mean_iu"] == row["cells"]["mean_iu"]["paper"]
    training = ledgers.held(reader)["sample / trainings"][0]
    picture = Path(reader.download_artifacts(training.info.run_id, "figures/voc-fcn32s-alexnet-curves.png"))
    assert picture.read_bytes().startswith(results.PICTURE)
    assert not (root / "mlflow.db").exists()


def test_the_page_of_a_damaged_database_is_one_sentence(tmp_path: Path, repository: Path) -> None:
    """What is no database, or one of another version, is named with what to do, and no traceback is shown."""
    (tmp_path / "mlflow.db").write_text("garbage", encoding="ascii")
    command, variables = [sys.executable, "-c", "import fcn.serving.ui"], {**os.environ, "PYTHONPATH": str(repository)}
    ended = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
    assert ended.stderr.endswith(
        "error: mlflow.db is not a database; delete it, publish makes it anew from the files\n"
    )
    assert (ended.returncode, "Traceback" in ended.stderr) == (1, False)


def test_twice_to_a_server_adds_nothing(served: tuple[Path, str], run_fcn: RunFcn) -> None:
    """Published twice to a server, every row has the run it had."""
    root, address = served
    reader = ledgers.client(address)
    before = ledgers.identities(reader)
    done = run_fcn(["publish"], root)
    assert done.returncode == 0, done.stderr
    assert ledgers.identities(reader) == before


@pytest.fixture
def page() -> Iterator[Page]:
    """A browser that never was here."""
    program = chromium()
    if program is None:
        pytest.skip("needs chromium, which is not installed here")
    with browser(program) as page:
        page.ask("Emulation.setDeviceMetricsOverride", **SIZE)
        yield page


@pytest.mark.parametrize("way", ["its link", "a click"])
def test_the_page_is_the_table(served: tuple[Path, str], page: Page, way: str) -> None:
    """By its link, or clicked on the front page, the list of runs has the paper's rows, with ours, paper, difference.

    One more click, and the list of models has the same numbers in the same rows.
    """
    root, address = served
    experiment = ledgers.client(address).get_experiment_by_name(TABLE)
    assert experiment is not None
    key = experiment.experiment_id
    rows = read_json(root / Places(load(root / "params.yaml")).tables / "pami_table3.json")["rows"]
    if way == "its link":
        page.ask("Page.navigate", url=shared_view.link(address, key))
    else:
        page.ask("Page.navigate", url=address)
        _click(page, f"a[href='#/experiments/{key}']")
    columns, shown = _grid(page, names="attributes.`Run Name`", rows=len(rows))
    items = ("mean_iu", "pixel_acc", "mean_acc", "fw_iu")
    metrics = [(f"metrics.`{name}`", name) for item in items for name in _of(item)]
    assert [(column, head) for column, head in columns.items() if column.startswith("metrics.")] == metrics
    for index, row in enumerate(rows):
        assert shown[index, "attributes.`Run Name`"] == row["row"]
        assert shown[index, "tags.`run`"] == (row["run"] or "not run")
        for item in items:
            _check(row["cells"][item], *(shown[index, f"metrics.`{name}`"] for name in _of(item)))
    if way == "a click":
        _click(page, f"a[href^='#/experiments/{key}/models']")
        _, shown = _grid(page, names="name", rows=len(rows))
        for index, row in enumerate(rows):
            assert shown[index, "name"] == row["row"]
            for item in items:
                keys = [json.dumps({"metricKey": name}, separators=(",", ":")) for name in _of(item)]
                _check(row["cells"][item], *(shown[index, f"metrics.{key}"] for key in keys))


def _of(item: str) -> tuple[str, str, str]:
    return item, f"paper.{item}", f"delta.{item}"


def _check(cell: dict[str, Any], ours: str, paper: str, difference: str) -> None:
    """Three cells say what the table's file does."""
    assert float(paper) == cell["paper"]
    if cell["ours"] is None:
        assert {ours, difference} <= {"", "-"}
    else:
        assert float(ours) == float(f"{cell['ours']:.1f}")
        assert float(difference) == float(f"{cell['ours'] - cell['paper']:.1f}")


def _click(page: Page, selector: str) -> None:
    """Click on what is meant, once it is there."""
    deadline = time.monotonic() + PAGE_SECONDS
    while not page.value(f"document.querySelector({json.dumps(selector)}) !== null"):
        assert time.monotonic() < deadline, page.value("document.body.innerText")
        time.sleep(0.5)
    page.click(selector)


def _grid(page: Page, *, names: str, rows: int) -> tuple[dict[str, str], dict[tuple[int, str], str]]:
    """Heads by column, cells by row and column, once all are drawn of the list whose names are in this column.

    On a busy machine MLflow's page can give up on a request, and stays empty.
    """
    for _ in range(3):
        deadline = time.monotonic() + PAGE_SECONDS
        while time.monotonic() < deadline:
            heads, cells = page.value(f"[{HEADS}, {CELLS}]")  # of one moment: the grid draws them one after the other
            columns = {column: text for _, column, text in sorted(heads)}
            if names in columns and len(columns) >= 15 and len(cells) >= 15 * rows:
                return columns, {(row, html.unescape(column)): text for row, column, text in cells}
            time.sleep(0.5)
        page.ask("Page.reload")
    raise AssertionError(f"the page has only {heads} and {cells}")


def test_an_outage_is_survived(
    tmp_path: Path, served: tuple[Path, str], repository: Path, run_fcn: RunFcn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that dies in the middle makes publish fail with a sentence; once it is back, publish completes."""
    root = Path(shutil.copytree(served[0] / "data", tmp_path / "data")).parent
    shutil.copy(served[0] / "params.yaml", root)
    mark = root / "data" / "sample" / "published.json"
    mark.unlink()
    port = ledgers.free_port()
    with ledgers.server(root, port=port) as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", ledgers.with_password(address))
        process = ledgers.publishing(repository, root)
        while process.poll() is None and ledgers.count(root / "server.db") < 7:
            time.sleep(0.005)
    said = process.communicate()[1]
    assert process.returncode == 1, said
    assert said.strip().splitlines()[-1].startswith(f"error: MLflow at {address}")
    assert not ledgers.tells(said, below=root)
    assert not mark.exists()
    with ledgers.server(root, port=port):
        done = run_fcn(["publish"], root)
        assert done.returncode == 0, done.stderr
        ledgers.complete(ledgers.client(address), root)
