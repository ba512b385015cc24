"""Child processes of a flow: their output in its log, their end with its end."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from flows import guardian
from flows.worker_watch import watch_worker

_PATIENCE_SECONDS = guardian.GRACE_SECONDS + 10.0
_LAST_LINES = 10
_ERROR = "error: "  # as fcn/cli.py begins the sentence that says what was wrong
_BUSY = "is busy, it is being blocked by"
_EXITED = re.compile(r"ERROR: failed to reproduce .*: failed to run: .*, exited with (-?\d+)$")


class ChildFailed(RuntimeError):
    """A child ended with an exit code other than 0: why, in one line, and its last lines."""

    def __init__(self, why: str, *, last: Sequence[str] = ()) -> None:
        self.last = last
        super().__init__(why)


class Children:
    """The running children of a `with` block: none, and nothing that one started, is left after it.

    Where the flow is interrupted or cancelled they would go on, and who waits for them hang.
    """

    def __init__(self) -> None:
        watch_worker()
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._closed = False

    def __enter__(self) -> "Children":
        return self

    def __exit__(self, *_: object) -> None:
        """Ask every child to save and leave, and after a while make it; none is started any more."""
        with self._lock:
            self._closed = True
            running = list(self._running)
        for child in running:
            guardian.ask_to_end(child)
        for child in running:
            try:
                child.wait(_PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:  # its guardian was killed, or can't end it
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)

    def run(self, command: Sequence[str], *, variables: dict[str, str], hear: Callable[[str], None]) -> None:
        """Run a command to its end; `hear` gets every line that it says.

        Raises ChildFailed for an exit code other than 0.
        """
        with self._lock:
            if self._closed:
                raise ChildFailed("not started: the flow is being stopped")
            streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
            child = guardian.start(command, variables=variables, text=True, errors="replace", **streams)
            self._running.add(child)
        last: list[str] = []
        try:
            with child:
                assert child.stdout is not None
                for line in child.stdout:
                    if text := line.rstrip():
                        hear(text)
                        last = [*last[1 - _LAST_LINES :], text]
        finally:
            with self._lock:
                self._running.discard(child)
        if child.returncode != 0:
            raise ChildFailed(_why(child.returncode, last), last=last)


def _why(code: int, last: Sequence[str]) -> str:
    """A stage's own error, or that DVC is at work elsewhere, or the exit code and last line that aren't DVC's own."""
    if errors := [line for line in last if line.startswith(_ERROR)]:
        return errors[-1].removeprefix(_ERROR)
    if any(_BUSY in line for line in last):  # the blocked one's last line is how to remove the lock
        return "another `dvc`, or another run, is at work on what it needs: start this again when that is done"
    codes = [found[1] for line in last if (found := _EXITED.match(line))]
    said = [line for line in last if not _EXITED.match(line)]
    return f"exit code {[str(code), *codes][-1]}: {said[-1] if said else 'without a word'}"


def dvc(*arguments: str) -> list[str]:
    """A command of DVC, whoever else holds its locks for a moment."""
    return [sys.executable, "-m", "dvc", "--wait-for-lock", *arguments]


def environment() -> dict[str, str]:
    """Ours, with this interpreter first on PATH: the graph's commands say `python`."""
    folder = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": os.pathsep.join([folder, os.environ.get("PATH", "")]), "DVC_NO_ANALYTICS": "1"}
