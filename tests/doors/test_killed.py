"""Whatever is killed while a training runs: nobody of it is left, the state is true, the next run resumes."""

from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from flows import automations
from tests.doors import resumable
from tests.doors.conftest import HEARTBEAT_SECONDS, Project, fill
from tests.doors.resumable import HELD_AT, Training
from tests.doors.servers import Site

pytestmark = pytest.mark.slow  # a server, workers, runs


@pytest.fixture
def training(project: Project) -> Training:
    """A project with a training that is held in its middle."""
    return resumable.make(project)


@pytest.fixture(name="lost", scope="module", autouse=True)
def _lost(prefect_site: Site, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run of which all processes died at once, as in a power cut, while the automation watches; its id."""
    settings = {PREFECT_API_URL: prefect_site.api, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: int(HEARTBEAT_SECONDS)}
    with temporary_settings(settings):
        assert "90 s" in automations.install()

    def project(stages: dict[str, object]) -> Path:
        folder = tmp_path_factory.mktemp("lost") / "project"
        fill(folder, stages)
        return folder

    training = resumable.make(project)
    with prefect_site.worker("lost") as worker:
        run = resumable.begin(prefect_site, training, pool="lost")
        engine = prefect_site.engine(run)
        worker.kill()
        engine.kill()
        training.until_nobody_is_left(prefect_site)
        assert prefect_site.state(run) == "Running"
    resumable.check_resumes(training)
    return run


@pytest.mark.parametrize("command", ["training.py", "-m dvc"], ids=["trainer", "dvc"])
def test_a_killed_stage_fails_its_run(at_work: Site, training: Training, command: str) -> None:
    """After a kill -9 of the trainer or of dvc: the run is Failed, neither of the two is left, the training resumes."""
    run = resumable.begin(at_work, training)
    training.process(command).kill()
    at_work.until_state(run, "Failed")
    training.until_nobody_is_left(at_work)
    resumable.check_resumes(training)


def test_a_killed_engine_crashes_its_run(at_work: Site, training: Training) -> None:
    """After a kill -9 of the flow run's process dvc and training end, the run is Crashed, the training resumes."""
    run = resumable.begin(at_work, training)
    at_work.engine(run).kill()
    training.until_nobody_is_left(at_work)
    at_work.until_state(run, "Crashed")
    resumable.check_resumes(training)


def test_a_killed_worker_ends_its_runs(prefect_site: Site, training: Training) -> None:
    """After a kill -9 of the worker its run ends and says Crashed itself; the next worker's run resumes."""
    with prefect_site.worker("killed") as worker:
        run = resumable.begin(prefect_site, training, pool="killed")
        worker.kill()
        training.until_nobody_is_left(prefect_site)
        prefect_site.until_state(run, "Crashed")
    with prefect_site.worker("killed"):
        resumable.check_next_run_resumes(prefect_site, training)


def test_a_terminated_worker_ends_its_runs(prefect_site: Site, training: Training) -> None:
    """SIGTERM of the worker: it exits with 0, its run's processes end, and the training resumes."""
    with prefect_site.worker("terminated") as worker:
        run = resumable.begin(prefect_site, training, pool="terminated")
        worker.terminate()
        assert worker.wait(60) == 0
        training.until_nobody_is_left(prefect_site)
        assert len(training.iterations) == HELD_AT
        # Prefect's worker kills the run's process and reports nothing; the automation does, as below.
        assert prefect_site.state(run) == "Running"
    resumable.check_resumes(training)


def test_a_run_without_heartbeats_is_marked_as_crashed(prefect_site: Site, lost: str) -> None:
    """The run that lost all its processes comes to be Crashed, and says why."""
    prefect_site.until_state(lost, "Crashed")
    assert "No heartbeat for 0:01:30" in prefect_site.ask("get", f"flow_runs/{lost}")["state"]["message"]


def test_the_automation_is_installed_once(prefect_site: Site) -> None:
    """Installing again keeps it, another heartbeat changes it, and there is never a second one."""
    for seconds, done in ((int(HEARTBEAT_SECONDS), "kept"), (60, "changed"), (int(HEARTBEAT_SECONDS), "changed")):
        with temporary_settings({PREFECT_API_URL: prefect_site.api, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: seconds}):
            assert automations.install().startswith(done)
    assert len(prefect_site.ask("post", "automations/filter")) == 1


def test_without_a_server_the_automation_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """No address, or one where nobody answers: one line that names it, and no traceback."""
    with temporary_settings(restore_defaults={PREFECT_API_URL}), pytest.raises(SystemExit, match="2"):
        automations.main()
    assert capsys.readouterr().err.startswith("error: no Prefect server is named")
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:1/api"}), pytest.raises(SystemExit) as ended:
        automations.main()
    assert str(ended.value).startswith("error: the Prefect server at http://127.0.0.1:1/api doesn't answer")
