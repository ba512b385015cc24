"""One stage as a child process: its output in the log, its device, its end with ours."""

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from flows.guardian import GRACE_SECONDS
from flows.lifeline import watch_worker

_PATIENCE_SECONDS = GRACE_SECONDS + 10.0


class StageFailed(RuntimeError):
    """A stage ended with an exit code other than 0."""


class Children:
    """The running children: each ends, with all that it started, when the flow is stopped or dies."""

    def __init__(self) -> None:
        watch_worker()
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._closed = False

    def run(self, command: Sequence[str], *, environment: dict[str, str], hear: Callable[[str], None]) -> None:
        """Run `command` in a session of its own; `hear` gets every line that it says.

        Raises StageFailed, with its last lines, for an exit code other than 0.
        """
        with self._lock:
            if self._closed:
                raise StageFailed("not started: the flow is being stopped")
            child = subprocess.Popen(
                [sys.executable, "-m", "flows.guardian", *command],
                env=environment,
                stdin=subprocess.PIPE,  # says nothing; that it is closed tells the guardian that we are gone
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
            self._running.add(child)
        last: list[str] = []
        try:
            with child:
                assert child.stdout is not None
                for line in child.stdout:
                    if text := line.rstrip():
                        hear(text)
                        last = [*last[-9:], text]
        finally:
            with self._lock:
                self._running.discard(child)
        if child.returncode != 0:
            said = "\n".join(last)
            raise StageFailed(
                f"{' '.join(command[1:])} ended with exit code {child.returncode}; its last lines:\n{said}"
            )

    def stop(self) -> None:
        """Ask every child to save and leave, and after a while make it; none is started any more."""
        with self._lock:
            self._closed = True
            running = list(self._running)
        for child in running:
            assert child.stdin is not None
            child.stdin.close()
        for child in running:
            try:
                child.wait(_PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:  # its guardian was killed, or can't end it
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)


class Devices:
    """The GPUs that trainings may use, one each; without any, trainings share the CPU."""

    def __init__(self, gpus: Sequence[int]) -> None:
        self._free: queue.Queue[int] | None = queue.Queue() if gpus else None
        for gpu in gpus:
            assert self._free is not None
            self._free.put(gpu)

    @contextmanager
    def one(self) -> Iterator[dict[str, str]]:
        """The environment that names a free GPU, once there is one."""
        if self._free is None:
            yield {}
            return
        gpu = self._free.get()
        try:
            yield {"CUDA_VISIBLE_DEVICES": str(gpu)}
        finally:
            self._free.put(gpu)


def repro(address: str, *, force: bool) -> list[str]:
    """The command that brings one stage up to date, whoever else holds DVC's locks for a moment."""
    options = ["--force"] if force else []
    return [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", *options, address]


def environment() -> dict[str, str]:
    """Ours, with this interpreter first on PATH: the graph's commands say `python`."""
    folder = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": os.pathsep.join([folder, os.environ.get("PATH", "")]), "DVC_NO_ANALYTICS": "1"}
