"""The trainer's side of live curves: rows into the pipe of a companion process, which no training waits for.

The pipe holds all rows of a training (some 200) even if nobody reads, and it closes with the trainer, however that
ends. The companion is a session of its own, and inherits nothing of ours: it keeps neither a lock nor a GPU.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

FINISHED, KILLED, FAILED = "FINISHED", "KILLED", "FAILED"
_LAST_WORDS_SECONDS = 15.0
_MOST_SAID = 10_000


class Feed:
    """Gives rows to `python -m fcn follow`, and `warn` what that says; without `command`, nobody listens.

    As a context it says how the training ended, and gives the companion a while to leave.
    """

    def __init__(
        self, command: Sequence[str] | None, *, head: Mapping[str, object], warn: Callable[[str], None]
    ) -> None:
        self._warn = warn
        self._companion: subprocess.Popen[bytes] | None = None
        if command is not None:
            self._companion = subprocess.Popen(
                [sys.executable, *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                bufsize=0,
            )
            assert self._companion.stdin is not None
            assert self._companion.stdout is not None
            os.set_blocking(self._companion.stdin.fileno(), False)
            os.set_blocking(self._companion.stdout.fileno(), False)
            self._give({**head, "at": now()})

    def __enter__(self) -> "Feed":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.end(FINISHED)
        else:
            self.end(FAILED if issubclass(kind, Exception) else KILLED)

    def row(self, row: Mapping[str, float]) -> None:
        """Hand over one row, with the time."""
        self._give({**row, "at": now()})
        self._pass_on()

    def end(self, status: str) -> None:
        """Say how the training ended; the first word counts."""
        self._give({"end": status})
        companion, self._companion = self._companion, None
        if companion is None:
            return
        assert companion.stdin is not None
        companion.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            companion.wait(_LAST_WORDS_SECONDS)
        self._pass_on(companion)

    def _give(self, what: Mapping[str, object]) -> None:
        if self._companion is None:
            return
        line = json.dumps(what).encode() + b"\n"
        assert self._companion.stdin is not None
        try:
            whole = os.write(self._companion.stdin.fileno(), line) == len(line)
        except OSError:  # it is gone, or reads nothing
            whole = False
        if not whole:
            self._pass_on()
            self._companion = None
            self._warn("nobody logs to MLflow any more; the training goes on, and `publish` logs what is missing")

    def _pass_on(self, companion: "subprocess.Popen[bytes] | None" = None) -> None:
        """Warn of what the companion said since the last time."""
        companion = companion or self._companion
        if companion is None or companion.stdout is None:
            return
        with suppress(OSError):  # nothing was said
            for line in os.read(companion.stdout.fileno(), _MOST_SAID).decode(errors="replace").splitlines():
                self._warn(line)


def now() -> int:
    """Milliseconds, as MLflow counts time."""
    return time.time_ns() // 1_000_000
