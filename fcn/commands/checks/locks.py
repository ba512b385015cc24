"""DVC's locks: who holds them, and entries that a killed process has left.

DVC 3.67 keeps, in .dvc/tmp, `lock` (held by flock, so a dead holder's is free again, whatever number stands in it) and
`rwlock`, a JSON of the paths that are being read or written, each with a process and its command. DVC itself drops
entries whose process is gone when it meets them; it takes any process of the same number for the one that is named.
"""

import fcntl
import json
from pathlib import Path
from typing import Any

import psutil

from fcn.commands.checks.finding import Finding, some
from fcn.config import Config

REPOSITORY, _PATHS = Path(".dvc/tmp/lock"), Path(".dvc/tmp/rwlock")


def check(_config: Config) -> list[Finding]:
    """The repository's lock, and that of its paths."""
    return [_whole(REPOSITORY), _paths(_PATHS)]


def _whole(path: Path) -> Finding:
    if held(path):
        said = f"a dvc is at work here (process {_text(path).strip() or 'unknown'})"
        return Finding(name="dvc lock", state="ok", said=said)
    return Finding(name="dvc lock", state="ok", said="free")


def held(path: Path) -> bool:
    """Whether a process holds this lock at this moment."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # it isn't there, or the file system knows no such locks
        return False
    return False


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _paths(path: Path) -> Finding:
    name = "dvc rwlock"
    if not path.exists():
        return Finding(name=name, state="ok", said="free")
    try:
        holders = _holders(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        said = f"{path} is no JSON that DVC could read, so every dvc command fails; a kill or a full disk did that"
        return Finding(name=name, state="broken", said=said, do=f"end any dvc that runs here, then delete {path}")
    states = {pid: _state(pid) for pid in holders}
    shown = {pid: f"process {pid} ({holders[pid]})" for pid in holders}
    strange = [f"{shown[pid]}, but that is now {state}" for pid, state in states.items() if state not in ("", "dvc")]
    if strange:
        said = f"{path} names {some(strange)}: DVC waits for it in vain"
        return Finding(name=name, state="broken", said=said, do=f"delete {path} while no dvc runs here")
    dead = [shown[pid] for pid, state in states.items() if not state]
    if dead:
        said = f"{path} names {some(dead)}, which is gone: it was killed"
        do = f"run the same command again, DVC drops what the dead have left; or delete {path} while no dvc runs here"
        return Finding(name=name, state="warning", said=said, do=do)
    at_work = f"held by {some(list(shown.values()))}" if shown else "free"
    return Finding(name=name, state="ok", said=at_work)


def _holders(found: Any) -> dict[int, str]:
    """The command by process id."""
    infos = list(found.get("write", {}).values())
    for readers in found.get("read", {}).values():
        infos += readers
    return {int(info["pid"]): str(info["cmd"]) for info in infos if info}


def _state(pid: int) -> str:
    """`dvc` for a process that is one, empty for none, else what it is."""
    try:
        process = psutil.Process(pid)
        words = process.cmdline()
        if process.status() == psutil.STATUS_ZOMBIE:
            return ""
    except psutil.NoSuchProcess:
        return ""
    except psutil.AccessDenied:
        return "somebody else's process"
    # `dvc repro`, `python -m dvc repro`, or a flow that reads the graph with DVC in it
    return "dvc" if any("dvc" in word or "flows" in word for word in words) else " ".join(words)[:60] or "a system's"
