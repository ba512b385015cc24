"""A training's run in MLflow while it is under way, from the rows that the training writes into its resume folder.

The run is known by its name and by the hash of its settings, so that whoever goes on with the training goes on with it.
"""

import fcntl
import json
import os
import socket
import time
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcn.publishing import tracking, trainings
from fcn.publishing.experiment import Entry, Experiment

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

HOST, PID = "live.host", "live.pid"  # of the process that logs; a RUNNING run whose process is gone is nobody's
RUNNING, FINISHED, KILLED, FAILED = "RUNNING", "FINISHED", "KILLED", "FAILED"
_PATIENCE_SECONDS = 30.0  # with a publish to the same MLflow


class Trainer:
    """The process that trains, as its resume folder shows it: rows in history.jsonl, `lock` held while it lives.

    A training that is whole leaves `history` and `cost` instead. Files are opened once: what is removed can be read on.
    """

    def __init__(self, folder: Path, *, history: Path, cost: Path) -> None:
        self._folder, self._parent, self._rest = folder, os.getppid(), ""
        self._lock: BufferedReader | None = None
        try:
            self.environment = json.loads((folder / "about.json").read_text(encoding="utf-8"))["environment"]
            self._history = (folder / "history.jsonl").open(encoding="utf-8")
            self._lock = (folder / "lock").open("rb")
        except FileNotFoundError:
            self.environment = json.loads(cost.read_text(encoding="utf-8"))
            self._history = history.open(encoding="utf-8")

    def rows(self) -> list[dict[str, float]]:
        """The rows that were added since the last time; half a line waits for its other half."""
        *lines, self._rest = (self._rest + self._history.read()).split("\n")
        return [json.loads(line) for line in lines]

    def state(self) -> str:
        """RUNNING, or how it ended. Its loaders may hold the lock for a while, so that its own death counts, too."""
        if self._lock is None:
            return FINISHED
        if os.getppid() == self._parent and _is_locked(self._lock):
            return RUNNING
        try:
            there = os.path.samestat(os.fstat(self._lock.fileno()), (self._folder / "lock").stat())
        except FileNotFoundError:
            there = False
        if not there:  # only a training that is whole removes its folder
            return FINISHED
        return FAILED if (self._folder / "failed").exists() else KILLED


def _is_locked(file: BufferedReader) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(file, fcntl.LOCK_UN)
    return False


@dataclass(kw_only=True)
class Follower:
    """Logs a training's rows; whatever fails is tried again with the next call, and no step is logged twice."""

    uri: str
    entry: Entry
    experiment: Experiment
    profile: str
    _pending: "list[Metric]" = field(default_factory=list)
    _run: str = ""
    _load: "_Load | None" = None

    def log(self, rows: list[dict[str, float]], state: str) -> None:
        """Log these rows, those that are pending and, of a training that ended, how.

        Raises what MLflow's client raises.
        """
        from mlflow.entities import Metric

        now = tracking.now()
        for key, points in trainings.curves(rows).items():
            self._pending += [Metric(key, value, now, step) for step, value in points]
        if self._load is not None:
            self._pending += self._load.sample()
            if not self._pending and state == RUNNING:
                return
        with tracking.alone(self.uri, patience_seconds=_PATIENCE_SECONDS):
            client = tracking.connected(self.uri)
            if self._load is None:
                self._run = self._run or self._begin(client)
                self._load = _Load(self._run, uri=self.uri)
                self._pending += self._load.sample()
            curves = {x.key for x in self._pending if not x.key.startswith("system/")}
            there = tracking.steps(client, self._run, curves)
            client.log_batch(self._run, metrics=[x for x in self._pending if (x.key, x.step) not in there])
            self._pending.clear()
            if state != RUNNING:
                self._end(client, state)

    def _begin(self, client: "MlflowClient") -> str:
        """The run that an earlier start of this training left unfinished, set going again, or a new one."""
        entry = self.entry
        identity = tracking.experiment(client, self.experiment, profile=self.profile, uri=self.uri)
        left = [x for x in tracking.runs(client, identity) if tracking.is_of(x, entry) and x.info.status != FINISHED]
        run = left[0] if left else client.create_run(identity, tags=dict(entry.tags), run_name=entry.name)
        key = str(run.info.run_id)
        client.update_run(key, status=RUNNING)
        tracking.describe(client, run, entry, _process())
        return key

    def _end(self, client: "MlflowClient", state: str) -> None:
        """Say how the training ended, unless a publish or the next start of the training has the run by now."""
        run = client.get_run(self._run)
        if run.info.status == RUNNING and _process().items() <= run.data.tags.items():
            client.set_terminated(self._run, state)


class _Load:
    """The whole machine's load now and then: CPU, memory, disk, network, GPUs, by MLflow's monitors.

    MLflow's own thread for it would end for good when the server is away once.
    """

    def __init__(self, run: str, *, uri: str) -> None:
        from mlflow.system_metrics import system_metrics_monitor

        untyped: Any = system_metrics_monitor
        self._monitor = untyped.SystemMetricsMonitor(run, resume_logging=True, tracking_uri=uri)
        self._step = int(self._monitor._logging_step)
        self._due = 0.0
        self._collect()  # CPU shares count from here on

    def sample(self) -> "list[Metric]":
        """What the monitors say, if it is time; MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL counts."""
        from mlflow.entities import Metric

        if time.monotonic() < self._due:
            return []
        self._due = time.monotonic() + self._monitor.sampling_interval
        self._step += 1
        return [
            Metric(f"system/{key}", value, tracking.now(), self._step - 1) for key, value in self._collect().items()
        ]

    def _collect(self) -> dict[str, float]:
        self._monitor.collect_metrics()
        values: dict[str, float] = self._monitor.aggregate_metrics()
        for part in self._monitor.monitors:
            part.clear_metrics()
        return values


def _process() -> dict[str, str]:
    return {HOST: socket.gethostname(), PID: str(os.getpid())}
