"""doctor and Prefect: a real server, on which a flow run is called running that nobody has heard of for long."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from fcn.commands.checks import ledger, prefect_runs
from fcn.commands.checks.numbers import read
from fcn.config import Config, load
from fcn.stages.places import Places, write_json
from tests.conftest import ROOT
from tests.doors.servers import free_port, until

pytestmark = pytest.mark.slow

TABLE = {"row": "FCN-8s", "run": "voc-fcn8s-vgg16", "not_run": False}
CELL = {"paper": 62.7, "confirmed": True, "source": "here", "ours": 59.836, "difference": 59.836 - 62.7}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("prefect")


@pytest.fixture(scope="module")
def api(home: Path) -> Iterator[str]:
    """The address of a Prefect server."""
    port = free_port()
    address = f"http://127.0.0.1:{port}/api"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment = {**kept, "PREFECT_HOME": str(home), "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            until(lambda: _answers(address), doing="waiting for the server", explain=(home / "log").read_text)
            yield address
        finally:
            server.terminate()
            server.wait()


def _answers(address: str) -> bool:
    try:
        return requests.get(f"{address}/health", timeout=5).ok
    except requests.RequestException:
        return False


@pytest.fixture
def config(api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """The sample profile in a folder with one score and one table, and the server in the environment."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREFECT_API_URL", api)
    config = load(Path("params.yaml"))
    places = Places(config)
    write_json(places.timing, {"runs": {}})
    numbers = {"mean_iu": 59.836, "forward_ms": None}
    scored = {"run": TABLE["run"], "val": "v", "images": 3, "parameters": 1, "numbers": numbers}
    write_json(places.tables / "scores.json", {"scores": [scored]})
    write_json(places.tables / "cvpr_table2.json", {"rows": [{**TABLE, "cells": {"mean_iu": CELL}}]})
    return config


def post(api: str, path: str, **body: object) -> Any:
    """Ask the server, again where it is too busy."""
    return prefect_runs.Server(url=api, headers={}, auth=None).ask(path, **body)


def test_a_zombie(config: Config, api: str, home: Path) -> None:
    """A running flow run is fine while it is heard of, and broken once nothing was for longer than 540 s."""
    flow = post(api, "flows/", name="reproduce")["id"]
    run = post(api, "flow_runs/", flow_id=flow, name="reproduce-sample", state={"type": "RUNNING"})["id"]
    (found,) = prefect_runs.check(config)
    assert (found.state, "1 running" in found.said) == ("ok", True)
    with closing(sqlite3.connect(home / "prefect.db", timeout=60)) as database, database:
        database.execute("UPDATE flow_run SET updated = datetime('now', '-1 hour')")
    until(lambda: _age_events(home, run), doing="waiting for the run's events to be written")
    (found,) = prefect_runs.check(config)
    assert found.state == "broken"
    assert f"reproduce-sample ({run}), 60 minutes" in found.said
    assert "prefect flow-run delete" in found.do
    beat: dict[str, object] = {
        "event": "prefect.flow-run.heartbeat",
        "id": str(uuid.uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
    }
    beat |= {"resource": {"prefect.resource.id": f"prefect.flow-run.{run}"}}
    requests.post(f"{api}/events", json=[beat], timeout=60).raise_for_status()
    until(lambda: prefect_runs.check(config)[0].state == "ok", doing="waiting for the heartbeat to be written")


def _age_events(home: Path, run: str) -> bool:
    """Make the events of a flow run an hour old; False while there are none."""
    with closing(sqlite3.connect(home / "prefect.db", timeout=60)) as database, database:
        aged = "UPDATE events SET occurred = datetime(occurred, '-1 hour') WHERE resource_id = ?"
        return database.execute(aged, [f"prefect.flow-run.{run}"]).rowcount > 0


def test_artifacts_are_compared(config: Config, api: str) -> None:
    """Table artifacts with the files' numbers are fine, newer ones with another number are broken, none is skipped."""
    files = read(config)
    assert ledger._prefect(config, files).state == "skipped"
    row = {"row": "FCN-8s", "run": TABLE["run"]}
    shown = {"mean_iu printed": 62.7, "mean_iu ours": 59.836, "mean_iu difference": 59.836 - 62.7}
    post(api, "artifacts/", key="sample-cvpr-table2", type="table", data=json.dumps([{**row, **shown}]))
    post(
        api,
        "artifacts/",
        key="sample-scores",
        type="table",
        data=json.dumps([{"run": TABLE["run"], "mean_iu": 59.836}]),
    )
    found = ledger._prefect(config, files)
    assert (found.state, found.said) == ("ok", "all 4 numbers are those of the files")
    shown["mean_iu ours"] = 61.2
    post(api, "artifacts/", key="sample-cvpr-table2", type="table", data=json.dumps([{**row, **shown}]))
    found = ledger._prefect(config, files)
    assert found.state == "broken"
    assert "sample-cvpr-table2, FCN-8s, mean_iu ours: 61.2, the files have 59.84" in found.said


def test_a_server_that_is_away(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is configured and doesn't answer is broken, in one sentence with its address."""
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{free_port()}/api")
    (found,) = prefect_runs.check(config)
    assert found.state == "broken"
    assert "127.0.0.1" in found.said
    assert ledger._prefect(config, read(config)).state == "skipped"
