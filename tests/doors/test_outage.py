"""Server and machine fail while a training runs: what is done stays done, and no run is Running for ever."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.doors import resumable
from tests.doors.conftest import Project, quiet
from tests.doors.resumable import Training
from tests.doors.servers import Site, site, until

pytestmark = pytest.mark.slow  # a server that is stopped for a minute, and a minute and a half without heartbeats

HEARTBEAT_SECONDS = "30"  # the shortest that Prefect takes


@pytest.fixture(scope="module")
def own_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server that these tests may stop, with the shortest heartbeats."""
    home = tmp_path_factory.mktemp("outage")
    with site(home, quiet(home), PREFECT_FLOWS_HEARTBEAT_FREQUENCY=HEARTBEAT_SECONDS) as made:
        yield made


@pytest.fixture
def training(project: Project) -> Training:
    """A project with a training that is held in its middle."""
    return resumable.make(project)


def test_a_run_outlives_a_minute_without_its_server(own_site: Site, training: Training) -> None:
    """The server is away for a minute, and the stage ends meanwhile: the run is Completed, and was never begun anew."""
    with own_site.worker():
        run = resumable.begin(own_site, training)
        with _away(own_site):
            training.release()
            until(lambda: training.whole, doing="the training ends without the server", explain=own_site.said)
        own_site.until_state(run, "Completed")
        assert training.starts == [0]
        training.until_nobody_is_left(own_site)


def test_a_run_can_be_cancelled_after_its_server_was_away(own_site: Site, training: Training) -> None:
    """Away for a minute and restarted, the server knows the run and cancels it; the next one resumes."""
    with own_site.worker():
        run = resumable.begin(own_site, training)
        with _away(own_site):
            pass
        assert own_site.state(run) == "Running"
        own_site.cancel(run)
        own_site.until_state(run, "Cancelled")
        training.until_nobody_is_left(own_site)
        resumable.check_resumes(own_site, training)


@contextmanager
def _away(site: Site) -> Iterator[None]:
    site.stop_server()
    yield
    time.sleep(60)  # the outage itself
    site.start_server()


def test_a_run_without_heartbeats_is_marked_as_crashed(own_site: Site, training: Training) -> None:
    """All processes die at once, as in a power cut: the next run works at once, the lost one comes to be Crashed."""
    installed = _install(own_site)
    assert "90 s" in installed.stdout, installed.stderr
    with own_site.worker() as worker:
        run = resumable.begin(own_site, training)
        engine = own_site.engine(run)
        worker.kill()
        engine.kill()
        training.until_nobody_is_left(own_site)
        assert own_site.state(run) == "Running"
    with own_site.worker():
        resumable.check_resumes(own_site, training)
        own_site.until_state(run, "Crashed")
    assert "No heartbeat for 0:01:30" in own_site.ask("get", f"flow_runs/{run}")["state"]["message"]


def test_the_automation_is_installed_once(own_site: Site) -> None:
    """Installing again keeps it, another heartbeat changes it, and there is never a second one."""
    _install(own_site)
    assert _install(own_site).stdout.startswith("kept")
    assert _install(own_site, PREFECT_FLOWS_HEARTBEAT_FREQUENCY="60").stdout.startswith("changed")
    assert len(own_site.ask("post", "automations/filter")) == 1
    assert _install(own_site).stdout.startswith("changed")


def test_without_a_server_the_automation_is_one_sentence(own_site: Site, tmp_path: Path) -> None:
    """No address, or one where nobody answers: one line that names it, and no traceback."""
    unnamed = _install(own_site, PREFECT_API_URL=None)
    assert unnamed.returncode == 2
    assert unnamed.stderr.startswith("error: no Prefect server is named")
    dead = _install(own_site, PREFECT_API_URL="http://127.0.0.1:1/api", PREFECT_HOME=str(tmp_path))
    assert dead.returncode == 1
    assert dead.stderr.startswith("error: the Prefect server at http://127.0.0.1:1/api doesn't answer")
    assert "Traceback" not in dead.stderr


def _install(site: Site, **changed: str | None) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in (site.environment | changed).items() if value is not None}
    command = [sys.executable, "-m", "flows.automations"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
