"""Whatever is killed while a training runs: nobody of it is left, the state is true, the next run resumes."""

import pytest

from tests.doors import resumable
from tests.doors.conftest import Project
from tests.doors.resumable import HELD_AT, Training
from tests.doors.servers import Site

pytestmark = pytest.mark.slow  # a server, workers, runs


@pytest.fixture
def training(project: Project) -> Training:
    """A project with a training that is held in its middle."""
    return resumable.make(project)


@pytest.mark.parametrize("command", ["training.py", "-m dvc"], ids=["trainer", "dvc"])
def test_a_killed_stage_fails_its_run(prefect_site: Site, training: Training, command: str) -> None:
    """After a kill -9 of the trainer or of dvc: the run is Failed, neither of the two is left, the next run resumes."""
    with prefect_site.worker():
        run = resumable.begin(prefect_site, training)
        training.process(command).kill()
        prefect_site.until_state(run, "Failed")
        training.until_nobody_is_left(prefect_site)
        resumable.check_resumes(prefect_site, training)


def test_a_killed_engine_crashes_its_run(prefect_site: Site, training: Training) -> None:
    """After a kill -9 of the flow run's process dvc and training end, the run is Crashed, the next one resumes."""
    with prefect_site.worker():
        run = resumable.begin(prefect_site, training)
        prefect_site.engine(run).kill()
        training.until_nobody_is_left(prefect_site)
        prefect_site.until_state(run, "Crashed")
        resumable.check_resumes(prefect_site, training)


def test_a_killed_worker_ends_its_runs(prefect_site: Site, training: Training) -> None:
    """After a kill -9 of the worker its run ends and says Crashed itself; the next worker's run resumes."""
    with prefect_site.worker() as worker:
        run = resumable.begin(prefect_site, training)
        worker.kill()
        training.until_nobody_is_left(prefect_site)
        prefect_site.until_state(run, "Crashed")
    with prefect_site.worker():
        resumable.check_resumes(prefect_site, training)


def test_a_terminated_worker_ends_its_runs(prefect_site: Site, training: Training) -> None:
    """SIGTERM of the worker: it exits with 0, its run's processes end, and another worker's run resumes."""
    with prefect_site.worker() as worker:
        run = resumable.begin(prefect_site, training)
        worker.terminate()
        assert worker.wait(60) == 0
        training.until_nobody_is_left(prefect_site)
        assert len(training.iterations) == HELD_AT
        # Prefect's worker kills the run's process and reports nothing: see test_outage.py for what becomes of it.
        assert prefect_site.state(run) == "Running"
    with prefect_site.worker():
        resumable.check_resumes(prefect_site, training)
