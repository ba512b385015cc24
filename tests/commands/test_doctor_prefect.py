"""doctor and Prefect: a real server, on which a flow run is called running that nobody has heard of for long."""

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from fcn.commands.checks import prefect_server
from fcn.commands.checks.finding import Finding
from fcn.config import Config, load
from fcn.files import write_json
from fcn.stages.places import Places
from fcn.tables import numbers_digest
from tests.conftest import ROOT
from tests.doors.servers import free_port, until

pytestmark = pytest.mark.slow


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
    """The sample profile in a folder with one table, and the server in the environment."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREFECT_API_URL", api)
    config = load(Path("params.yaml"))
    write_json(Places(config).tables / "scores.json", {"scores": [{"mean_iu": 59.836}]})
    return config


def post(api: str, path: str, **body: object) -> Any:
    """Ask the server, again where it is too busy."""
    return prefect_server.ask(api, path, **body)


def _finding(config: Config, name: str) -> Finding:
    return next(found for found in prefect_server.check(config) if found.name == name)


def test_a_busy_server_is_asked_again() -> None:
    """A server that says 503, as Prefect's does while its sqlite is locked, is asked again before it is called away."""
    answers = [503, 503, 200]

    class Busy(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(answers.pop(0))
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"[]")

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Busy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert prefect_server.ask(f"http://127.0.0.1:{server.server_port}", "flow_runs/filter") == []
        server.shutdown()
    assert answers == []


def test_a_zombie(config: Config, api: str, home: Path) -> None:
    """A running flow run is fine while it is heard of, and broken once nothing was for longer than 540 s."""
    flow = post(api, "flows/", name="reproduce")["id"]
    run = post(api, "flow_runs/", flow_id=flow, name="reproduce-sample", state={"type": "RUNNING"})["id"]
    found = _finding(config, "prefect runs")
    assert (found.state, "1 running" in found.message) == ("ok", True)
    with closing(sqlite3.connect(home / "prefect.db", timeout=60)) as database, database:
        database.execute("UPDATE flow_run SET updated = datetime('now', '-1 hour')")
    until(lambda: _age_events(home, run), doing="waiting for the run's events to be written")
    found = _finding(config, "prefect runs")
    assert found.state == "broken"
    assert f"reproduce-sample ({run}), 60 minutes" in found.message
    assert "prefect flow-run delete" in found.cure
    beat: dict[str, object] = {
        "event": "prefect.flow-run.heartbeat",
        "id": str(uuid.uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
    }
    beat |= {"resource": {"prefect.resource.id": f"prefect.flow-run.{run}"}}
    until(lambda: requests.post(f"{api}/events", json=[beat], timeout=60).ok, doing="sending the heartbeat")
    until(lambda: _finding(config, "prefect runs").state == "ok", doing="waiting for the heartbeat to be written")


def _age_events(home: Path, run: str) -> bool:
    """Make the events of a flow run an hour old; False while there are none."""
    with closing(sqlite3.connect(home / "prefect.db", timeout=60)) as database, database:
        aged = "UPDATE events SET occurred = datetime(occurred, '-1 hour') WHERE resource_id = ?"
        return database.execute(aged, [f"prefect.flow-run.{run}"]).rowcount > 0


def test_a_run_without_a_worker(config: Config, api: str) -> None:
    """A run that should have begun and whose pool has no worker is warned of, with the pool and what starts one."""
    assert _finding(config, "prefect workers").state == "ok"
    post(api, "work_pools/", name="gpu", type="process")
    flow = post(api, "flows/", name="reproduce")["id"]
    deployment = post(api, "deployments/", name="sample", flow_id=flow, work_pool_name="gpu")["id"]
    state = {"type": "SCHEDULED", "state_details": {"scheduled_time": "2026-01-01T00:00:00Z"}}
    run = post(api, f"deployments/{deployment}/create_flow_run", name="waiting", state=state)
    found = _finding(config, "prefect workers")
    assert (found.state, "waiting in pool gpu" in found.message) == ("warning", True)
    assert "make worker" in found.cure
    post(api, f"flow_runs/{run['id']}/set_state", state={"type": "CANCELLED"})
    assert _finding(config, "prefect workers").state == "ok"


def test_artifacts_are_compared(config: Config, api: str) -> None:
    """Artifacts with the tables' digest are fine, newer ones with another are broken, none is skipped."""
    assert _finding(config, "numbers: Prefect").state == "skipped"
    tables, now = Places(config).tables, numbers_digest(Places(config).tables)
    post(api, "artifacts/", key="sample-scores", type="table", data="[]", description=f"Scores. numbers {now}")
    post(api, "artifacts/", key="sample2-scores", type="table", data="[]", description="numbers 0123456789abcdef")
    post(api, "artifacts/", key="sample-report", type="markdown", data=f"The report, numbers {now}")
    found = _finding(config, "numbers: Prefect")
    assert (found.state, found.message[:11]) == ("ok", "2 artifacts")
    write_json(tables / "scores.json", {"scores": [{"mean_iu": 61.2}]})
    found = _finding(config, "numbers: Prefect")
    assert found.state == "broken"
    assert "artifact sample-report, artifact sample-scores show other numbers" in found.message
    assert "flows.reproduce report" in found.cure


@pytest.mark.parametrize("named", ["in the environment", "by prefect config set"])
def test_a_server_that_is_away(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    """A server that is configured, either way, and doesn't answer is broken, in one sentence with its address."""
    url = f"http://127.0.0.1:{free_port()}/api"
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.delenv("PREFECT_PROFILE", raising=False)
    if named == "in the environment":
        monkeypatch.setenv("PREFECT_API_URL", url)
    else:
        own = f'active = "own"\n\n[profiles.own]\nPREFECT_API_URL = "{url}"\n'
        (tmp_path / "profiles.toml").write_text(own, encoding="utf-8")
    (found,) = prefect_server.check(config)
    assert found.state == "broken"
    assert url in found.message
