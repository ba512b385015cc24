"""Whoever stops a run on purpose: the training saves and leaves, nobody of it is left, the next run resumes."""

import signal
import sys

import pytest

from tests.doors import resumable
from tests.doors.conftest import Project
from tests.doors.resumable import HELD_AT, Training
from tests.doors.servers import Site, until

pytestmark = pytest.mark.slow  # a server, workers, runs


@pytest.fixture
def training(project: Project) -> Training:
    """A project with a training that is held in its middle."""
    return resumable.make(project)


def test_a_cancelled_run_ends_its_children(at_work: Site, training: Training) -> None:
    """Cancelled in the UI: the run comes to be Cancelled, nobody is left, the worker takes the next, which resumes."""
    run = resumable.begin(at_work, training)
    at_work.cancel(run)
    assert at_work.until_state(run, "Cancelled", "Crashed", "Failed", "Completed") == "Cancelled"
    training.until_nobody_is_left(at_work)
    assert len(training.iterations) == HELD_AT
    resumable.check_next_run_resumes(at_work, training)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_an_interrupted_command_ends_its_children(
    prefect_site: Site, training: Training, number: signal.Signals
) -> None:
    """Ctrl-C or SIGTERM of `python -m flows.reproduce`: it fails, nobody is left, the training resumes."""
    command = [sys.executable, "-m", "flows.reproduce"]
    flow = prefect_site.start(command, cwd=training.folder)
    training.until_held(prefect_site)
    flow.send_signal(number)
    assert flow.wait(120) != 0
    training.until_nobody_is_left(prefect_site)
    resumable.check_resumes(training)


def test_what_ignores_an_interrupt_is_killed_with_its_flow(
    prefect_site: Site, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stage that ignores SIGINT and SIGTERM is killed after its grace: no process outlives a cancelled run."""
    script = (
        "import signal, time; [signal.signal(n, signal.SIG_IGN) for n in (2, 15)]; open('deaf', 'w'); time.sleep(900)"
    )
    folder = project({"deaf": {"cmd": f'python -c "{script}"', "outs": ["never.txt"]}})
    training = Training(folder)
    monkeypatch.setitem(prefect_site.environment, "FCN_GRACE_SECONDS", "2")
    flow = prefect_site.start([sys.executable, "-m", "flows.reproduce"], cwd=folder)
    until(lambda: (folder / "deaf").exists(), doing="the stage is at work", explain=prefect_site.said)
    flow.send_signal(signal.SIGINT)
    assert flow.wait(180) != 0
    training.until_nobody_is_left(prefect_site)
