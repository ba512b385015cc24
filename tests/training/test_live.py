"""A training that a follower logs to MLflow while it goes on: one run, every step once, a truthful end."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.publishing import ledgers
from tests.training import tiny
from tests.training.conftest import outcome
from tests.training.processes import fcn, none_left, saved_iteration, start, until

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

# The deprecations are MLflow's own doing, in the client that these tests read with.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

TRAIN = fcn("train", tiny.COARSE)
ALWAYS = {"FCN_SAVE_SECONDS": "0"}
EXPERIMENT = "tiny / trainings"
ITERATIONS = 80


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an MLflow server."""
    with ledgers.server(tmp_path_factory.mktemp("mlflow"), port=ledgers.free_port()) as address:
        yield address


@pytest.fixture
def empty(served: str) -> "MlflowClient":
    """A client of that server, on which no training has been logged."""
    client = ledgers.client(served)
    for run in runs(client):
        client.delete_run(run.info.run_id)
    return client


def runs(client: "MlflowClient") -> "list[Run]":
    """All runs of trainings."""
    experiment = client.get_experiment_by_name(EXPERIMENT)
    return [] if experiment is None else list(client.search_runs([experiment.experiment_id]))


def steps(client: "MlflowClient", key: str = "loss") -> list[int]:
    """The steps of the only run's curve, those that stand twice twice."""
    found = runs(client)
    assert len(found) <= 1, "a training has one run"
    return sorted(point.step for run in found for point in client.get_metric_history(run.info.run_id, key))


def held_at(project: Path, iteration: int, process: "subprocess.Popen[str]") -> None:
    """Stop the trainer, not its follower, once it has saved this iteration."""

    def there() -> bool:
        assert process.poll() is None, (project / "err").read_text()
        return saved_iteration(project, tiny.COARSE) >= iteration

    until(there, doing=f"saving iteration {iteration}")
    process.send_signal(signal.SIGSTOP)


def test_one_run_through_a_kill_and_an_interrupt(
    project: Path, undisturbed: dict[str, bytes], empty: "MlflowClient"
) -> None:
    """Killed outright, then interrupted, a training's run is KILLED, goes on RUNNING, and ends FINISHED, whole.

    While it trains its rows are there, and a process that holds nothing of the trainer's; its bits are as ever.
    """
    uri = {"MLFLOW_TRACKING_URI": empty.tracking_uri}
    identities, at = set(), 8
    for number in (signal.SIGKILL, signal.SIGTERM):
        process = start(TRAIN, project, **ALWAYS, **uri)
        held_at(project, at, process)
        until(lambda reached=at: len(steps(empty)) >= reached - 1, doing="the curve")  # type: ignore[misc]
        (run,) = runs(empty)
        assert run.info.status == "RUNNING"
        assert run.data.tags["live.host"] == socket.gethostname()
        follower = psutil.Process(int(run.data.tags["live.pid"]))
        opened = {file.mode for file in follower.open_files() if ".resume" in file.path}
        assert opened == {"r"}, "what it inherited from the trainer is open for writing"
        assert os.getsid(follower.pid) != os.getsid(process.pid)
        process.send_signal(number)
        process.send_signal(signal.SIGCONT)
        process.wait()
        until(lambda run=run: empty.get_run(run.info.run_id).info.status == "KILLED", doing="the end")  # type: ignore[misc]
        until(lambda: none_left(project), doing="the follower's leaving")
        identities.add(run.info.run_id)
        at = saved_iteration(project, tiny.COARSE) + 8
    process = start(TRAIN, project, **uri)
    assert process.wait() == 0, (project / "err").read_text()
    until(lambda: none_left(project), doing="the follower's leaving")
    (run,) = runs(empty)
    assert identities == {run.info.run_id}
    assert run.info.status == "FINISHED"
    assert steps(empty) == steps(empty, "rate") == list(range(1, ITERATIONS + 1))
    system = steps(empty, "system/cpu_utilization_percentage")
    assert system == list(range(len(system)))
    assert len(system) >= 3  # one a start, at least
    assert outcome(project) == undisturbed


def test_a_run_says_what_it_is_from(project: Path, empty: "MlflowClient") -> None:
    """A training's run has its settings, the pictures' digests, the versions, the stage and the flow run."""
    flow_run = "11111111-2222-3333-4444-555555555555"
    me = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org"]
    for command in (["init", "--quiet"], [*me, "commit", "--quiet", "--allow-empty", "-m", "start"]):
        subprocess.run(["git", *command], cwd=project, check=True)
    process = start(TRAIN, project, MLFLOW_TRACKING_URI=empty.tracking_uri, PREFECT__FLOW_RUN_ID=flow_run)
    assert process.wait() == 0, (project / "err").read_text()
    until(lambda: none_left(project), doing="the follower's leaving")
    (run,) = runs(empty)
    assert run.data.tags["prefect.flow_run"] == flow_run
    assert run.data.tags["dvc.stage"] == f"train@{tiny.COARSE}"
    assert {"git.commit", "settings", "torch", "python", "mlflow", "device", "data.sbd"} <= set(run.data.tags)
    assert run.data.params["recipe.iterations"] == str(ITERATIONS)
    assert run.inputs is not None
    assert {item.dataset.name for item in run.inputs.dataset_inputs} == {
        "sbd/sbd-train",
        "voc2012/voc2012-val-minus-sbd-train",
    }


def test_a_failed_training_is_failed(project: Path, empty: "MlflowClient") -> None:
    """A training that diverges leaves a run that FAILED."""
    values = tiny.params()
    values["recipes"]["coarse"] |= {"rate": 1e30, "clip": None}
    tiny.write(project, values)
    process = start(TRAIN, project, MLFLOW_TRACKING_URI=empty.tracking_uri)
    assert process.wait() == 1
    assert "diverged" in (project / "err").read_text()
    until(lambda: none_left(project), doing="the follower's leaving")
    assert [run.info.status for run in runs(empty)] == ["FAILED"]


@pytest.mark.parametrize("what", ["nobody listens", "nobody answers"])
def test_no_server_costs_a_line(project: Path, undisturbed: dict[str, bytes], what: str) -> None:
    """Without a server, or with one that never answers, a training says one line more, and ends as it would have."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        if what == "nobody answers":
            deaf.listen()
        process = start(TRAIN, project, MLFLOW_TRACKING_URI=f"http://127.0.0.1:{deaf.getsockname()[1]}")
        assert process.wait() == 0, (project / "err").read_text()
        until(lambda: none_left(project), doing="the follower's leaving")
        said = (project / "err").read_text()
        assert said.count("can't be reached") == 1, said
        assert "Traceback" not in said
        assert outcome(project) == undisturbed


def test_an_outage_leaves_no_gap(project: Path, undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    """A server that goes away in mid-run costs a line; when it is back, it has every step, each once."""
    port = ledgers.free_port()
    with ledgers.server(tmp_path, port=port) as address:
        process = start(TRAIN, project, **ALWAYS, MLFLOW_TRACKING_URI=address)
        held_at(project, 5, process)
        client = ledgers.client(address)
        until(lambda: len(steps(client)) >= 4, doing="the first rows")
        before = steps(client)
    process.send_signal(signal.SIGCONT)
    held_at(project, 40, process)
    time.sleep(3)  # in which the follower meets the outage
    with ledgers.server(tmp_path, port=port) as address:
        until(lambda: len(steps(client)) >= 39, doing="what was missed")
        assert len(before) < 39
        process.send_signal(signal.SIGCONT)
        assert process.wait() == 0, (project / "err").read_text()
        until(lambda: none_left(project), doing="the follower's leaving")
        assert steps(client) == list(range(1, ITERATIONS + 1))
        assert [run.info.status for run in runs(client)] == ["FINISHED"]
    assert (project / "err").read_text().count("can't be reached") == 1
    assert outcome(project) == undisturbed


def test_a_follower_that_is_killed_is_no_loss(
    project: Path, undisturbed: dict[str, bytes], empty: "MlflowClient"
) -> None:
    """When the follower is killed the training goes on to the same bits, without a word."""
    process = start(TRAIN, project, **ALWAYS, MLFLOW_TRACKING_URI=empty.tracking_uri)
    held_at(project, 5, process)
    until(lambda: bool(steps(empty)), doing="the curve")
    psutil.Process(int(runs(empty)[0].data.tags["live.pid"])).kill()
    process.send_signal(signal.SIGCONT)
    assert process.wait() == 0, (project / "err").read_text()
    assert "MLflow" not in (project / "err").read_text()
    assert outcome(project) == undisturbed
