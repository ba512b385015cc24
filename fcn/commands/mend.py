"""`python -m fcn mend`: put right what a kill or a full disk has cut short of DVC's own files, so that DVC works again.

DVC 3.67 writes both in place. Without a whole dvc.lock it stops, or forgets stages; without a whole rwlock it stops.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from fcn.commands.checks.finding import command_of
from fcn.config import Config
from fcn.files import exclusive, regular, whole_file

REPOSITORY = Path(".dvc/tmp/lock")
"""Held by flock, so a dead holder's is free again, whatever number stands in it."""
RWLOCK = Path(".dvc/tmp/rwlock")
"""A JSON of the paths that are being read or written, each with a process and its command."""
WITHOUT_GIT = "a copy without .git, such as a ZIP, wants `dvc config --local core.no_scm true`, once"
_RWLOCK_GUARD = Path(".dvc/tmp/rwlock.lock")
LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""In C: 30 ms instead of 0.6 s."""


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """`mend` takes nothing: it looks after every profile."""


def run(_config: Config, _options: argparse.Namespace) -> None:
    """Mend, and say a line for each thing that was mended."""
    for sentence in mend():
        print(sentence, file=sys.stderr)


def mend() -> Iterator[str]:
    """Put right what is torn in the project around, and say what, a sentence each; what a DVC uses is left alone.

    Nothing is lost with a torn dvc.lock: what the committed one doesn't have was run here, so that DVC finds it in its
    run cache, and restores it instead of running it. Raises InputError where a folder has the name of one of them.
    """
    if not REPOSITORY.parent.is_dir():  # no DVC has worked here yet
        return
    with suppress(BlockingIOError), exclusive(REPOSITORY):
        for lock in torn():
            yield f"{lock} was cut short, by a kill or a full disk: {_replaced(lock)}; `dvc repro` restores the rest"
    with suppress(BlockingIOError), exclusive(_RWLOCK_GUARD):
        if RWLOCK.exists() and not _is_held(regular(RWLOCK).read_text(encoding="utf-8", errors="replace")):
            RWLOCK.unlink()
            yield f"{RWLOCK} was cut short, or names only processes that are gone: removed"


def torn() -> list[Path]:
    """The dvc.lock files, of all profiles, that are not whole: one of them stops DVC everywhere."""
    locks = (Path("dvc.lock"), *sorted(Path("profiles").glob("*/dvc.lock")))
    return [lock for lock in locks if lock.exists() and is_torn(regular(lock).read_bytes())]


def is_torn(lock: bytes) -> bool:
    """Whether this is the beginning of a dvc.lock and no more. One with the marks of a merge is a person's to mend."""
    if b"<<<<<<<" in lock:
        return False
    try:
        content = yaml.load(lock, LOADER)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError:
        return True
    stages = content.get("stages") if isinstance(content, dict) else None
    # What is cut can be valid YAML, and seldom ends with a line, as DVC ends the file. DVC restores what it then lacks.
    whole = isinstance(stages, dict) and all(
        isinstance(it, dict) and "cmd" in it and it.get("outs") for it in stages.values()
    )
    return not (whole and lock.endswith(b"\n"))


def _replaced(lock: Path) -> str:
    """Put the committed file in its place, or none; which of the two."""
    content = committed(lock)
    if content is None or is_torn(content):
        lock.unlink()
        return "removed"
    with whole_file(lock) as part:
        part.write_bytes(content)
    return "it is as committed again"


def committed(path: Path) -> bytes | None:
    """The file as the last commit has it; None where there is none, or no git."""
    read = ["git", "-c", "safe.directory=*", "cat-file", "blob", f"HEAD:./{path}"]  # also in another owner's checkout
    with suppress(OSError):
        found = subprocess.run(read, capture_output=True, check=False)
        return None if found.returncode else found.stdout
    return None


def holders(rwlock: str) -> dict[int, str]:
    """The commands by process id. Raises ValueError where the text is not what DVC writes."""
    try:
        locks = json.loads(rwlock)
        infos = [
            *locks.get("write", {}).values(),
            *(info for infos in locks.get("read", {}).values() for info in infos),
        ]
        return {int(info["pid"]): str(info["cmd"]) for info in infos if info}
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not what DVC writes: {error}") from None


def is_dvc(command: str) -> bool:
    """Whether a living process may hold it: `dvc repro`, `python -m dvc repro`, or a flow that reads the graph."""
    return "dvc" in command or "flows" in command


def _is_held(rwlock: str) -> bool:
    """Whether it names nobody, or somebody who still works: the numbers of processes are used again."""
    try:
        named = [command_of(process) for process in holders(rwlock)]
    except ValueError:
        return False
    return not named or any(command is not None and (not command or is_dvc(command)) for command in named)
