"""DVC's locks: who holds them, and entries that a killed process has left.

DVC itself drops entries whose process is gone when it meets them; it takes any process of the same number for the one
that is named.
"""

import fcntl
from pathlib import Path

from fcn.commands.checks.finding import Finding, command_of, some
from fcn.commands.mend import REPOSITORY, RWLOCK, holders, is_dvc, torn
from fcn.config import Config

_MEND = "`python -m fcn mend` removes it"


def check(_config: Config) -> list[Finding]:
    """The repository's lock, and that of its paths."""
    busy = is_held(REPOSITORY)
    process = REPOSITORY.read_text(encoding="utf-8", errors="replace").strip() if busy else ""
    message = f"a dvc is at work here (process {process or 'unknown'})" if busy else "free"
    found = [Finding("dvc lock", "ok", message), _paths("dvc rwlock", RWLOCK)]
    if not busy and (cut := torn()):
        message = f"{some(cut)} was cut short, by a kill or a full disk: DVC stops there, or forgets stages"
        found.append(
            Finding("dvc.lock", "broken", message, "`python -m fcn mend`, then the same `dvc repro` as before")
        )
    return found


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
        named = holders(path.read_text(encoding="utf-8"))
    except ValueError:
        message = f"{path} is no JSON that DVC could read, so every dvc command fails; a kill or a full disk did that"
        return Finding(name, "broken", message, _MEND)
    shown = {pid: f"process {pid} ({command})" for pid, command in named.items()}
    now = {pid: command_of(pid) for pid in named}
    strange = {pid: words for pid, words in now.items() if words is not None and not is_dvc(words)}
    if strange:
        others = [f"{shown[pid]}, but that is now {words[:60] or 'somebody else'}" for pid, words in strange.items()]
        message = f"{path} names {some(others)}: DVC waits for it in vain"
        return Finding(name, "broken", message, f"{_MEND}, where no dvc runs here")
    dead = [shown[pid] for pid, words in now.items() if words is None]
    if dead:
        cure = f"run the same command again, DVC drops what the dead have left; or {_MEND}"
        return Finding(name, "warning", f"{path} names {some(dead)}, which is gone: it was killed", cure)
    return Finding(name, "ok", f"held by {some(list(shown.values()))}" if shown else "free")
