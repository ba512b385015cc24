"""Asks a long stage to stop when a signal comes, or when the process that started it has died."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import psutil

_SHELLS = {"sh", "bash", "dash", "zsh", "ksh", "busybox"}
_POLL_SECONDS = 0.5


class Lifeline:
    """`cut` is set once the stage should save and stop; `reason` says why, `exit_code` what to leave with."""

    def __init__(self) -> None:
        self.cut = threading.Event()
        self.reason = ""
        self.exit_code = 0

    def pull(self, reason: str, exit_code: int) -> None:
        """Ask for a stop; the first reason stays."""
        if not self.cut.is_set():
            self.reason, self.exit_code = reason, exit_code
            self.cut.set()


@contextmanager
def lifeline() -> Iterator[Lifeline]:
    """Watch for SIGINT, SIGTERM and the death of the starter: DVC, or whoever ran the command.

    A shell between the two doesn't count: it outlives a killed DVC.
    """
    line = Lifeline()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        line.pull(signal.Signals(number).name, 128 + number)

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    done = threading.Event()
    starter = _starter()
    if starter is not None:
        threading.Thread(target=_watch, args=(starter, line, done), daemon=True, name="lifeline").start()
    try:
        yield line
    finally:
        done.set()
        for number, handler in before.items():
            signal.signal(number, handler)


def _starter() -> psutil.Process | None:
    """The nearest ancestor that isn't a shell; None for a stage that was already an orphan when it began."""
    for ancestor in psutil.Process().parents():
        if ancestor.pid == 1:
            return None
        if ancestor.name() not in _SHELLS:
            return ancestor
    return None


def _watch(starter: psutil.Process, line: Lifeline, done: threading.Event) -> None:
    while not done.wait(_POLL_SECONDS):
        if not starter.is_running() or starter.status() == psutil.STATUS_ZOMBIE:
            line.pull(f"process {starter.pid} that started this stage is gone", 1)
            return
