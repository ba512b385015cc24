"""What a check found, in words."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import psutil

from fcn.config import Config

State = Literal["ok", "warning", "broken", "skipped"]


class Finding(NamedTuple):
    """What was looked at, how it is, what was found there, and what to do about it."""

    name: str
    state: State
    message: str
    cure: str = ""


def repro(config: Config) -> str:
    """The command that brings the profile up to date."""
    graph = Path(config.params).with_name("dvc.yaml")
    return "dvc repro" if graph == Path("dvc.yaml") else f"dvc repro {graph}"


def ours(config: Config, command: str) -> str:
    """A command of ours, for this profile."""
    of = "" if config.params == "params.yaml" else f" --params {config.params}"
    return f"python -m fcn {command}{of}"


def some(names: Sequence[object], *, most: int = 4) -> str:
    """The first few names, and how many more there are."""
    shown = ", ".join(map(str, names[:most]))
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def age(seconds: float) -> str:
    """A time span in the unit that suits it."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def python(*arguments: str, seconds: float = 120.0) -> "subprocess.CompletedProcess[str]":
    """Run this Python with `arguments`; raises subprocess.TimeoutExpired."""
    command = [sys.executable, *arguments]
    nothing = subprocess.DEVNULL
    return subprocess.run(command, stdin=nothing, capture_output=True, text=True, check=False, timeout=seconds)


def command_of(pid: int) -> str | None:
    """The command line of a living process; empty where nobody may see it, None where there is no such process."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return None
    except psutil.AccessDenied:
        return ""
