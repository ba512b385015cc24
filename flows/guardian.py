"""Runs a command that ends, with all that it started, when whoever wanted it is gone, even killed.

`python -m flows.guardian COMMAND ...` goes on until COMMAND ends or its own standard input is closed, which the kernel
does for a starter that dies. It leads a session, and nothing of that session outlives it.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

import psutil

from fcn.errors import InputError
from fcn.machine import seconds

try:
    GRACE_SECONDS = seconds(
        "FCN_GRACE_SECONDS", default=60.0, meaning="how long what is asked to save and leave may take"
    )
except InputError as error:
    sys.exit(f"error: {error}")
_POLL_SECONDS = 0.1

_ending = threading.Lock()


def start(command: Sequence[str], *, variables: dict[str, str], **options: Any) -> "subprocess.Popen[Any]":
    """Start a command with a guardian, in a session of its own; it ends with us, or where its `stdin` is closed."""
    guarded = [sys.executable, "-m", "flows.guardian", *command]
    return subprocess.Popen(guarded, env=variables, stdin=subprocess.PIPE, start_new_session=True, **options)


def ask_to_end(guarded: "subprocess.Popen[Any]") -> None:
    """Have a guardian end its command; whoever asks waits for the guardian itself."""
    assert guarded.stdin is not None
    guarded.stdin.close()


def main(command: list[str]) -> int:
    """Run `command`; its exit code, or 128 + the number of the signal that ended it."""
    if os.getsid(0) != os.getpid():
        sys.exit("error: it must lead a session of its own, for all of that session ends with it")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _outlive)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    threading.Thread(target=_end_with_starter, daemon=True, name="guardian").start()
    code = child.wait()
    _end()  # whoever killed DVC left its stage at work
    return code if code >= 0 else 128 - code


def _outlive(_number: int, _frame: object) -> None:
    """Stay for what the session does with a signal to all of it; SIG_IGN would be handed on to the command."""


def _end_with_starter() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    _end()


def _end() -> None:
    """Interrupt the session, as Ctrl-C would: trainings save, DVC releases its locks. What doesn't leave is killed."""
    with _ending:
        deadline = time.monotonic() + GRACE_SECONDS
        for pid in _others():
            _signal(pid, signal.SIGINT)
        while left := _others():
            if time.monotonic() > deadline:
                for pid in left:
                    _signal(pid, signal.SIGKILL)
            time.sleep(_POLL_SECONDS)


def _others() -> list[int]:
    """The living processes of this session but this one."""
    found = []
    for pid in psutil.pids():
        try:
            ours = pid != os.getpid() and os.getsid(pid) == os.getsid(0)
            if ours and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
        except (OSError, psutil.Error):  # it is gone, or not to be asked
            continue
    return found


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
