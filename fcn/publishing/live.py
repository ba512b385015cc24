"""A training's run in MLflow while it is under way: begun, gone on with after a kill, and handed over to publish.

It is known by its name and by the hash of its settings, so that whoever goes on with the training goes on with the run.
"""

import os
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil

from fcn.publishing import store
from fcn.publishing.ledger import Dataset, Entry, Experiment
from fcn.publishing.machine import Machine

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput, Metric, Run

HOST, PID = "live.host", "live.pid"  # of the process that logs; a RUNNING run whose process is gone is nobody's
SETTINGS = "settings"
_CURVES = ("loss", "rate")
_HAND_OVER_SECONDS = 30.0  # longer than a follower's last words may take


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What is known of a training when it starts: its entry without results, and the experiment where it belongs."""

    entry: Entry
    experiment: Experiment
    profile: str
    started: int  # milliseconds


@dataclass(kw_only=True)
class Follower:
    """Logs a training's rows; whatever fails is tried again with the next call, and no step is logged twice."""

    uri: str
    training: Training
    _pending: "list[Metric]" = field(default_factory=list)
    _client: "MlflowClient | None" = None
    _run: str = ""
    _logged: set[tuple[str, int]] = field(default_factory=set)
    _machine: Machine | None = None

    def take(self, row: Mapping[str, float]) -> None:
        """Keep a row until it can be logged."""
        from mlflow.entities import Metric

        at, step = int(row["at"]), int(row["iteration"])
        self._pending += [Metric(key, row[key], at, step) for key in _CURVES if key in row]

    def log(self) -> None:
        """Log all that is pending; raises what MLflow's client raises, and is then to be called again."""
        if self._client is None:
            self._begin(store.connected(self.uri))
        assert self._client is not None
        assert self._machine is not None
        self._pending += self._machine.sample()
        todo = [point for point in self._pending if (point.key, point.step) not in self._logged]
        try:
            for start in range(0, len(todo), store.BATCH):
                self._client.log_batch(self._run, metrics=todo[start : start + store.BATCH])
        except store.failures():
            self._client = None  # what arrived of it is asked for when it is reached again
            raise
        self._logged |= {(point.key, point.step) for point in todo}
        self._pending.clear()

    def end(self, status: str) -> None:
        """Log what is left, and say how the training ended."""
        self.log()
        assert self._client is not None
        self._client.set_terminated(self._run, status)

    def _begin(self, client: "MlflowClient") -> None:
        """Have the training's run, and learn which of its steps are there."""
        from mlflow.entities import Param

        entry = self.training.entry
        if not self._run:
            with store.alone(self.uri, patience_seconds=0.0, say=lambda _: None):
                self._run = self._found(client) or self._made(client)
        there = client.get_run(self._run).data.params
        client.log_batch(self._run, params=[Param(key, entry.params[key]) for key in entry.params if key not in there])
        if entry.datasets:
            client.log_inputs(self._run, inputs(entry.datasets))
        self._logged = store.steps(client, self._run, list(_CURVES))
        self._machine = self._machine or Machine(self._run, uri=self.uri)
        self._client = client

    def _found(self, client: "MlflowClient") -> str | None:
        """The run that an earlier start of this training left unfinished, set going again."""
        experiment = client.get_experiment_by_name(self.training.experiment.name)
        if experiment is None or experiment.lifecycle_stage != "active":
            return None
        for run in store.runs(client, experiment.experiment_id):
            if _is_of(run, self.training.entry) and run.info.status != "FINISHED":
                _wait_for_the_last(client, run)
                client.update_run(run.info.run_id, status="RUNNING")
                for key, value in self._tags().items():
                    client.set_tag(run.info.run_id, key, value)
                return str(run.info.run_id)
        return None

    def _made(self, client: "MlflowClient") -> str:
        training = self.training
        identity = store.experiment(client, training.experiment, profile=training.profile, uri=self.uri)
        name, began = training.entry.name, training.started
        return str(client.create_run(identity, start_time=began, tags=self._tags(), run_name=name).info.run_id)

    def _tags(self) -> dict[str, str]:
        entry = self.training.entry
        return {**entry.tags, **entry.origin, HOST: socket.gethostname(), PID: str(os.getpid())}


def run_of(client: "MlflowClient", entry: Entry, followed: "Sequence[Run]") -> "Run | None":
    """The run that was logged while this very training went on, if it can be completed; the newest comes first.

    One whose process is still at its last words is waited for.
    """
    for found in followed:
        if not _is_of(found, entry):
            continue
        if found.info.status == "RUNNING":
            found = _wait_for_the_last(client, found)
            if found.info.status == "RUNNING" and lives(found):
                continue  # the training was started anew
        if all(found.data.params.get(key, value) == value for key, value in entry.params.items()):
            return found
    return None


def lives(run: "Run") -> bool:
    """Whether another process that logs into this run may be there; of other machines nothing is known."""
    host, pid = run.data.tags.get(HOST), run.data.tags.get(PID, "")
    if host != socket.gethostname():
        return host is not None
    try:
        return int(pid) != os.getpid() and "follow" in psutil.Process(int(pid)).cmdline()
    except (ValueError, psutil.Error):
        return False


def inputs(datasets: Sequence[Dataset]) -> "list[DatasetInput]":
    """Datasets as MLflow has them."""
    from mlflow.entities import Dataset as Known
    from mlflow.entities import DatasetInput, InputTag

    return [
        DatasetInput(
            Known(item.name, item.digest, source_type="dvc", source=item.path),
            [InputTag("mlflow.data.context", item.context)],
        )
        for item in datasets
    ]


def _is_of(found: "Run", entry: Entry) -> bool:
    settings = entry.tags.get(SETTINGS)
    named = found.info.run_name == entry.name and HOST in found.data.tags
    return named and settings is not None and found.data.tags.get(SETTINGS) == settings


def _wait_for_the_last(client: "MlflowClient", run: "Run") -> "Run":
    """Let the process that logged into this run until now come to its end."""
    deadline = time.monotonic() + _HAND_OVER_SECONDS
    while run.info.status == "RUNNING" and lives(run) and time.monotonic() < deadline:
        time.sleep(0.2)
        run = client.get_run(run.info.run_id)
    return run
