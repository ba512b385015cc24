"""Runs that MLflow takes for running though their process is gone."""

import socket

import psutil

from fcn.commands.checks import mlflow_held
from fcn.commands.checks.finding import Finding, some
from fcn.commands.checks.mlflow_held import Held
from fcn.config import Config

_NAME = "mlflow runs"
HOST, PID = "live.host", "live.pid"  # the tags of a training that writes while it runs


def check(_config: Config) -> list[Finding]:
    """Look for each running run's process; on another machine nobody here can tell."""
    try:
        running = [run for run in mlflow_held.runs() if run.status == "RUNNING"]
    except mlflow_held.NothingHereError as error:
        return [Finding(name=_NAME, state="skipped", said=f"{error}; `python -m fcn publish` fills one")]
    except mlflow_held.UnreadableError as error:
        do = (
            "start that server, or set MLFLOW_TRACKING_URI to another; a damaged mlflow.db may be deleted and published"
        )
        return [Finding(name=_NAME, state="broken", said=f"can't be read: {error}", do=do)]
    dead = [_shown(run) for run in running if _ours(run) and not _lives(run)]
    if dead:
        do = "run the training again, it goes on in the same run; or delete the run in MLflow"
        return [Finding(name=_NAME, state="broken", said=f"RUNNING, but the process is gone: {some(dead)}", do=do)]
    elsewhere = [_shown(run) for run in running if not _ours(run)]
    said = f"{len(running)} running" if running else "none is running"
    if elsewhere:
        said += f"; of another machine, or without the tags that name their process: {some(elsewhere)}"
        return [
            Finding(
                name=_NAME,
                state="warning",
                said=said,
                do="look whether they still run; publishing again completes what publish left",
            )
        ]
    return [
        Finding(name=_NAME, state="ok", said=f"{said} ({mlflow_held.uri().partition('@')[2] or mlflow_held.uri()})")
    ]


def _ours(run: Held) -> bool:
    return run.tags.get(HOST) in (socket.gethostname(), socket.getfqdn()) and run.tags.get(PID, "").isdecimal()


def _lives(run: Held) -> bool:
    try:
        process = psutil.Process(int(run.tags[PID]))
        words = process.cmdline()
        return process.status() != psutil.STATUS_ZOMBIE and (not words or any("fcn" in word for word in words))
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def _shown(run: Held) -> str:
    host, pid = run.tags.get(HOST), run.tags.get(PID)
    process = f", process {pid} on {host}" if host and pid else ""
    return f"{run.name} in {run.experiment!r} ({run.identity}{process})"
