"""DVC's locks: who holds them, and entries that a killed process has left.

DVC 3.67 keeps, in .dvc/tmp, `lock` (held by flock, so a dead holder's is free again, whatever number stands in it) and
`rwlock`, a JSON of the paths that are being read or written, each with a process and its command. DVC itself drops
entries whose process is gone when it meets them; it takes any process of the same number for the one that is named.
"""

import fcntl
import json
from pathlib import Path
from typing import Any

from fcn.commands.checks.finding import Finding, command_of, some
from fcn.config import Config

REPOSITORY, _PATHS = Path(".dvc/tmp/lock"), Path(".dvc/tmp/rwlock")


def check(_config: Config) -> list[Finding]:
    """The repository's lock, and that of its paths."""
    busy = is_held(REPOSITORY)
    process = REPOSITORY.read_text(encoding="utf-8", errors="replace").strip() if busy else ""
    message = f"a dvc is at work here (process {process or 'unknown'})" if busy else "free"
    return [Finding("dvc lock", "ok", message), _paths("dvc rwlock", _PATHS)]


def is_held(path: Path) -> bool:
    """Whether a process holds this lock at this moment."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # it isn't there, or the file system knows no such locks
        return False
    return False


def _paths(name: str, path: Path) -> Finding:
    if not path.exists():
        return Finding(name, "ok", "free")
    try:
        holders = _holders(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        message = f"{path} is no JSON that DVC could read, so every dvc command fails; a kill or a full disk did that"
        return Finding(name, "broken", message, f"end any dvc that runs here, then delete {path}")
    shown = {pid: f"process {pid} ({command})" for pid, command in holders.items()}
    now = {pid: command_of(pid) for pid in holders}
    # `dvc repro`, `python -m dvc repro`, or a flow that reads the graph with DVC in it
    strange = {
        pid: words for pid, words in now.items() if words is not None and not ("dvc" in words or "flows" in words)
    }
    if strange:
        others = [f"{shown[pid]}, but that is now {words[:60] or 'somebody else'}" for pid, words in strange.items()]
        message = f"{path} names {some(others)}: DVC waits for it in vain"
        return Finding(name, "broken", message, f"delete {path} while no dvc runs here")
    dead = [shown[pid] for pid, words in now.items() if words is None]
    if dead:
        cure = f"run the same command again, DVC drops what the dead have left; or delete {path} while no dvc runs here"
        return Finding(name, "warning", f"{path} names {some(dead)}, which is gone: it was killed", cure)
    return Finding(name, "ok", f"held by {some(list(shown.values()))}" if shown else "free")


def _holders(locks: Any) -> dict[int, str]:
    """The command by process id."""
    infos = [*locks.get("write", {}).values(), *(info for infos in locks.get("read", {}).values() for info in infos)]
    return {int(info["pid"]): str(info["cmd"]) for info in infos if info}
