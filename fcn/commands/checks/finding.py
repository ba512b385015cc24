"""What a check found, in words."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "broken", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was looked at, how it is, what was found, and what to do about it."""

    name: str
    state: State
    said: str
    do: str = ""


def some(names: Sequence[str], *, most: int = 4) -> str:
    """The first few names, and how many more there are."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def age(seconds: float) -> str:
    """A time span in the unit that suits it."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def python(*arguments: str, seconds: float = 120.0) -> "subprocess.CompletedProcess[str]":
    """Run this Python with `arguments`; raises subprocess.TimeoutExpired, or OSError."""
    return subprocess.run(
        [sys.executable, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )
