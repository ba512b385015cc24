"""Asks a stage to stop when a signal comes, or when the process that started it has died."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import psutil

_SHELLS = {"sh", "ash", "bash", "dash", "zsh", "ksh", "mksh", "fish", "csh", "tcsh", "busybox"}
_POLL_SECONDS = 0.5
_REPEAT_SECONDS = 10.0

_starter_is_gone = threading.Event()


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
    """For stages that have something to save: take SIGINT and SIGTERM as a wish to stop, not as the end."""
    line = Lifeline()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if _starter_is_gone.is_set():
            line.pull("the process that started it is gone", 1)
        else:
            line.pull(signal.Signals(number).name, 128 + number)

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    if _starter_is_gone.is_set():  # and the interrupt was lost in an import that catches everything
        on_signal(signal.SIGINT, None)
    try:
        yield line
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def keep_interrupts() -> None:
    """From now on an interrupt that came where nothing can be raised, as in a callback from C, comes once more.

    Python would drop it, with a traceback as of an error.
    """
    others = sys.unraisablehook

    def on_unraisable(caught: "sys.UnraisableHookArgs") -> None:
        if issubclass(caught.exc_type, KeyboardInterrupt):
            threading.Timer(0.1, signal.raise_signal, [signal.SIGINT]).start()  # not in here, where it is lost, too
        else:
            others(caught)

    sys.unraisablehook = on_unraisable


def watch_starter() -> None:
    """From now on interrupt this process, as Ctrl-C would, when its starter dies: DVC, or whoever ran the command.

    To be called before all else: imports take seconds, and an orphan can't tell who its starter was. A shell in
    between doesn't count, for it outlives a killed DVC; nor does who is beyond the session, such as a terminal that
    is closed behind a command under nohup.
    """
    try:
        starter = _starter()
    except psutil.NoSuchProcess:  # it died while we looked
        _interrupt()
        return
    if starter is not None:
        threading.Thread(target=_watch, args=(starter,), daemon=True, name="lifeline").start()


def _starter() -> psutil.Process | None:
    """The nearest ancestor that isn't a shell; None where there is none in this session, as for an orphan."""
    for ancestor in psutil.Process().parents():
        if ancestor.pid == 1 or not _in_this_session(ancestor.pid):
            return None
        if ancestor.name() not in _SHELLS:
            return ancestor
    return None


def _in_this_session(pid: int) -> bool:
    try:
        return os.getsid(pid) == os.getsid(0)
    except OSError:  # it is gone, or of a system that doesn't tell
        return False


def _watch(starter: psutil.Process) -> None:
    while _lives(starter):
        time.sleep(_POLL_SECONDS)
    while True:  # again, should the interrupt have met code that swallows it
        _interrupt()
        time.sleep(_REPEAT_SECONDS)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _interrupt() -> None:
    """SIGINT, which lets a stage clean up, or SIGTERM where the shell has had it ignored, as for `command &`."""
    _starter_is_gone.set()
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    os.kill(os.getpid(), signal.SIGTERM if ignored else signal.SIGINT)
