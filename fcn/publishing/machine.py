"""The load of the whole machine while a training runs: CPU, memory, disk, network, GPUs, by MLflow's monitors."""

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow.entities import Metric


class Machine:
    """Takes a sample now and then. MLflow's own thread for it would end for good when the server is away once."""

    def __init__(self, run: str, *, uri: str) -> None:
        from mlflow.system_metrics import system_metrics_monitor

        untyped: Any = system_metrics_monitor
        self._monitor = untyped.SystemMetricsMonitor(run, resume_logging=True, tracking_uri=uri)
        self._step = int(self._monitor._logging_step)
        self._taken_at: float | None = None
        self._monitor.collect_metrics()  # CPU shares count from here on
        self._forget()

    def sample(self) -> "list[Metric]":
        """What the monitors say, if it is time; MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL counts."""
        from mlflow.entities import Metric

        if self._taken_at is not None and time.monotonic() - self._taken_at < self._monitor.sampling_interval:
            return []
        self._taken_at, now = time.monotonic(), time.time_ns() // 1_000_000
        self._monitor.collect_metrics()
        values = self._monitor.aggregate_metrics()
        self._forget()
        self._step += 1
        return [Metric(f"system/{key}", value, now, self._step - 1) for key, value in values.items()]

    def _forget(self) -> None:
        for part in self._monitor.monitors:
            part.clear_metrics()
