"""Stages as processes of their own, which tests watch, signal and kill."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 300.0
MODULES = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))


def environment(**extra: str) -> dict[str, str]:
    """This environment, with `python` and the modules that the tests themselves run with, and no service called."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": MODULES, "DVC_NO_ANALYTICS": "1", "SHELL": "/bin/sh", **extra}


_started: list["subprocess.Popen[str]"] = []


def end_all() -> None:
    """Kill what a failed test left behind, whole sessions at a time."""
    while _started:
        process = _started.pop()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def start(command: list[str], folder: Path, **extra: str) -> "subprocess.Popen[str]":
    """Start a command in a session of its own, its output going to files `out` and `err` of the folder."""
    with (folder / "out").open("a") as out, (folder / "err").open("a") as err:
        _started.append(
            subprocess.Popen(
                command, cwd=folder, env=environment(**extra), stdout=out, stderr=err, text=True, start_new_session=True
            )
        )
    return _started[-1]


def fcn(*arguments: str) -> list[str]:
    """`python -m fcn ...`."""
    return [sys.executable, "-m", "fcn", *arguments]


def until(what: Callable[[], bool], *, doing: str) -> None:
    """Wait until `what` holds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not what():
        assert time.monotonic() < deadline, f"waited in vain: {doing}"
        time.sleep(0.01)


def saved_iteration(folder: Path, run: str) -> int:
    """The iteration of a run's newest saved state; 0 where there is none."""
    names = [path.name for path in folder.glob(f".resume/*/{run}-*/state-*.pt")]
    return max((int(name.split("-")[1]) for name in names), default=0)


def trainers(folder: Path) -> Iterator[psutil.Process]:
    """The processes whose working directory is the folder and that run one of our stages, loaders included."""
    for process in psutil.process_iter():
        try:
            command, living = process.cmdline(), process.status() != psutil.STATUS_ZOMBIE
            if living and command[1:3] == ["-m", "fcn"] and process.cwd() == str(folder):
                yield process
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue


def none_left(folder: Path) -> bool:
    """Whether no process of ours works in the folder any more."""
    return not list(trainers(folder))
