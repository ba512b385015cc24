"""A training that was logged while it went on has one run: publish completes that, over every kind of MLflow."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fcn.config import Config, load
from fcn.files import read_json, write_json
from fcn.stages.places import Places
from tests import postgres
from tests.conftest import RunFcn
from tests.publishing import ledgers, results

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

# The deprecations are MLflow's own doing, in the client that these tests read with.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

RUN = "voc-fcn16s-vgg16"
SETTINGS = "0123456789ab"
FOLDER = f".resume/sample/{RUN}-{SETTINGS}"
FOLLOW = ["follow", RUN, "--folder", FOLDER]
PATIENCE_SECONDS = 300.0


@pytest.fixture(scope="module")
def results_once(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """A project with results, of which one training knows the hash of its settings, as trainings do.

    Its mlflow.db has tables and nothing in them: making them takes seconds each time.
    """
    root = tmp_path_factory.mktemp("results")
    config = results.make(root, repository, "voc-fcn32s-vgg16", RUN)  # none of stride 8: no model is registered
    results.only(root, config, "cvpr_table2")
    path = root / Places(config).cost(RUN)
    write_json(path, {**read_json(path), "settings": SETTINGS})
    with (root / Places(config).history(RUN)).open("a", encoding="utf-8") as file:  # it was scored on the way
        for iteration in (600, 1200):
            file.write(
                json.dumps({"iteration": iteration, "images": 2 * iteration, "mean_iu": iteration / 2400}) + "\n"
            )
    ledgers.client(ledgers.sqlite(root))
    return root


@pytest.fixture(params=["a file", "a server", "a server on Postgres"])
def world(
    request: pytest.FixtureRequest, results_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Path, "MlflowClient"]]:
    """A project's root, and a client of the MLflow that its processes are pointed to."""
    root = Path(shutil.copytree(results_once, tmp_path / "project"))
    if request.param == "a file":
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
        yield root, ledgers.client(ledgers.sqlite(root))
    elif request.param == "a server":
        shutil.copy(root / "mlflow.db", tmp_path / "server.db")
        with ledgers.server(tmp_path, port=ledgers.free_port()) as address:
            monkeypatch.setenv("MLFLOW_TRACKING_URI", ledgers.with_password(address))
            yield root, ledgers.client(address)
        assert not ledgers.tells(below=tmp_path), "no file, page or row has the address's password"
    else:
        if (reason := postgres.available()) is not None:
            pytest.skip(reason)
        with (
            postgres.database("mlflow") as database,
            ledgers.server(tmp_path, port=ledgers.free_port(), store=_by_psycopg2(database)) as address,
        ):
            monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
            yield root, ledgers.client(address)


def _by_psycopg2(database: str) -> str:
    """The address with the driver that is installed; SQLAlchemy takes another one unless it is named."""
    return database.replace("postgresql://", "postgresql+psycopg2://", 1)


class Training:
    """A training that wrote rows into its folder and goes on, as far as a follower can see, and that follower."""

    def __init__(self, root: Path, repository: Path, rows: list[dict[str, float]]) -> None:
        self.folder = root / FOLDER
        self.folder.mkdir(parents=True)
        self.lock = (self.folder / "lock").open("w")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        environment = {"device": "a CPU", "threads": 1, "torch": "2", "settings": SETTINGS}
        write_json(self.folder / "about.json", {"run": RUN, "environment": environment, "iterations": 1200})
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (self.folder / "history.jsonl").write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "fcn", *FOLLOW]
        self.follower = subprocess.Popen(command, cwd=root, env={**os.environ, "PYTHONPATH": str(repository)})

    def end(self, *, whole: bool) -> None:
        """Let go of the lock, as the end of a process does; a training that is whole has removed its folder."""
        if whole:
            shutil.rmtree(self.folder)
        self.lock.close()
        assert self.follower.wait(PATIENCE_SECONDS) == 0


def runs(client: "MlflowClient") -> "list[Run]":
    """The runs of that training."""
    experiment = client.get_experiment_by_name("sample / trainings")
    found = [] if experiment is None else client.search_runs([experiment.experiment_id])
    return [run for run in found if run.info.run_name == RUN]


def points(client: "MlflowClient") -> dict[str, dict[str, list[int]]]:
    """Every step of every metric of every training, those that stand twice twice."""
    return {
        str(run.info.run_name): {
            key: sorted(point.step for point in client.get_metric_history(run.info.run_id, key))
            for key in run.data.metrics
        }
        for run in ledgers.held(client)["sample / trainings"]
    }


def history(root: Path, config: Config) -> list[dict[str, float]]:
    lines = (root / Places(config).history(RUN)).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("end", ["finished", "cut off"])
def test_publish_completes_the_trainings_run(
    world: tuple[Path, "MlflowClient"], repository: Path, run_fcn: RunFcn, end: str
) -> None:
    """The run that a follower made, whole or cut off in the middle, is the published one; no step stands twice.

    Published again, every run has its id and every metric its steps.
    """
    root, client = world
    rows = history(root, load(root / "params.yaml"))
    told = rows if end == "finished" else rows[: len(rows) // 2]
    training = Training(root, repository, told)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (mine := runs(client)) or "loss" not in mine[0].data.metrics:
        assert training.follower.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.2)
    if end == "finished":
        training.end(whole=True)
    else:
        training.follower.kill()
        training.follower.wait()
        training.lock.close()
    (before,) = runs(client)
    assert before.info.status == ("FINISHED" if end == "finished" else "RUNNING")
    assert run_fcn(["publish"], root).returncode == 0
    identities = ledgers.complete(client, root)
    assert identities["sample / trainings"][RUN] == before.info.run_id
    found = points(client)
    assert found[RUN]["loss"] == found[RUN]["rate"] == [row["iteration"] for row in rows if "loss" in row]
    assert found[RUN]["val/mean_iu"] == [600, 1200]
    assert client.get_metric_history(before.info.run_id, "val/mean_iu")[-1].value == 50
    assert all(len(set(steps)) == len(steps) for keys in found.values() for steps in keys.values())
    after = client.get_run(before.info.run_id)
    assert {"mean_iu", "system/system_memory_usage_percentage"} <= set(after.data.metrics)
    assert after.data.tags["dvc.stage"] == f"train@{RUN}, evaluate@{RUN}"
    assert {item.path for item in client.list_artifacts(before.info.run_id)} >= {"semantic", "figures"}
    assert run_fcn(["publish"], root).returncode == 0
    assert ledgers.complete(client, root) == identities
    assert points(client) == found


def test_a_training_that_was_faster_is_whole(
    results_once: Path, tmp_path: Path, run_fcn: RunFcn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A follower that comes when the training is over, its folder gone, logs all of it; without results it says so."""
    root = Path(shutil.copytree(results_once, tmp_path / "project"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
    config, client = load(root / "params.yaml"), ledgers.client(ledgers.sqlite(root))
    assert run_fcn(FOLLOW, root).returncode == 0
    (run,) = runs(client)
    assert (run.info.status, run.data.tags["settings"]) == ("FINISHED", SETTINGS)
    assert points(client)[RUN]["loss"] == [row["iteration"] for row in history(root, config) if "loss" in row]
    (root / Places(config).history(RUN)).unlink()
    done = run_fcn(FOLLOW, root)
    assert done.returncode == 2
    assert f"holds no training of {RUN}" in done.stderr
    assert not (root / ".resume").exists()


def test_what_says_otherwise_is_replaced(
    results_once: Path, tmp_path: Path, run_fcn: RunFcn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that an interrupted publish left with another score, since changed, is replaced, not completed."""
    root = Path(shutil.copytree(results_once, tmp_path / "project"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
    client = ledgers.client(ledgers.sqlite(root))
    artifacts = (root / "mlartifacts").as_uri()
    experiment = client.create_experiment("sample / trainings", artifact_location=artifacts)
    tags = {"settings": SETTINGS, "digest": "unfinished"}
    left = client.create_run(experiment, run_name=RUN, tags=tags).info.run_id
    client.log_metric(left, "mean_iu", 1.0, step=0)
    assert run_fcn(["publish"], root).returncode == 0
    (run,) = runs(client)
    assert run.info.run_id != left
    score = read_json(root / Places(load(root / "params.yaml")).scores(RUN))
    assert run.data.metrics["mean_iu"] == float(f"{100 * score['mean_iu']:.1f}")


def test_another_training_is_left_alone(world: tuple[Path, "MlflowClient"], repository: Path, run_fcn: RunFcn) -> None:
    """A run of other settings, still going on, is neither taken over nor ended; the files' training has its own."""
    root, client = world
    config = load(root / "params.yaml")
    path = root / Places(config).cost(RUN)
    write_json(path, {**read_json(path), "settings": "another"})
    training = Training(root, repository, history(root, config)[:3])
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (mine := runs(client)):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert run_fcn(["publish"], root).returncode == 0
    assert client.get_run(mine[0].info.run_id).info.status == "RUNNING"
    assert sorted(run.data.tags["settings"] for run in runs(client)) == sorted([SETTINGS, "another"])
    training.end(whole=False)
    assert client.get_run(mine[0].info.run_id).info.status == "KILLED"
