"""Files that are whole or not there, their hashes, and locks on them."""

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from fcn.errors import InputError

_POLL_SECONDS = 0.2


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path`; on success it is flushed to disk and takes the final name.

    If the body raises, nothing is left behind and what stood at `path` before is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _part(path)
    try:
        yield part
        _flush(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _part(path: Path) -> Path:
    """Of this process alone: an orphan may be writing the same file."""
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def _flush(path: Path) -> None:
    """Have a file's bytes, or a folder's names, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling folder; on success it is flushed and takes the final name, and an older one goes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _part(path)
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        yield part
        for inside in [*part.rglob("*"), part]:
            _flush(inside)
        if path.exists():
            shutil.rmtree(path)
        part.replace(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name, which takes no room; where the disk has none, copy it."""
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    """Write `value` as indented JSON, whole or not at all; NaN, which JSON doesn't know, is a mistake of ours."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file that an earlier stage wrote. Raises InputError for what none writes: half a JSON, or a NaN."""
    file = existing(path)
    try:
        return json.loads(file.read_text(encoding="utf-8"), parse_constant=_refused)
    except ValueError as error:
        advice = "remove it, and `dvc repro` makes it again"
        raise InputError(f"{path} is not as a stage wrote it ({error}): {advice}") from None


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def existing(path: Path) -> Path:
    """`path`, if it is there.

    Raises InputError saying which stage makes it.
    """
    if path.exists():
        return path
    raise InputError(
        f"{path} is missing; an earlier stage makes it: run `make reproduce` for the sample profile, `dvc repro "
        "profiles/NAME/dvc.yaml` for another; where a DVC remote has it, `dvc pull` with the same dvc.yaml fetches it"
    )


def regular(path: Path) -> Path:
    """`path`, of a file that is there or isn't.

    Raises InputError where the name is a folder's, a link's to nothing, or a pipe's, which would be waited for.
    """
    if os.path.lexists(path) and not path.is_file():
        raise InputError(f"{path} is a folder, a pipe or a link to nothing; a file should be there: move it away")
    return path


def sha256(path: Path) -> str:
    """The hash of a file's content, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def written(path: Path) -> dict[str, int]:
    """How many files lie at `path`, a file or a folder, and their bytes."""
    found = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return {"files": len(found), "bytes": sum(file.stat().st_size for file in found)}


@contextmanager
def exclusive(
    path: Path, *, patience_seconds: float = 0.0, waiting: Callable[[], None] = lambda: None
) -> Iterator[TextIO]:
    """Hold a lock on the file at `path`, which is made where it is missing; it ends with the process at the latest.

    Whoever holds it is waited for as long as `patience_seconds`; `waiting` is called at each look and may raise.
    Raises BlockingIOError once the patience is over.
    """
    deadline = time.monotonic() + patience_seconds
    while (lock := _locked(path)) is None:
        waiting()
        if time.monotonic() >= deadline:
            raise BlockingIOError(f"{path} is locked by another process")
        time.sleep(_POLL_SECONDS)
    with lock:
        yield lock


def _locked(path: Path) -> TextIO | None:
    """The lock file, held until it is closed; None where another holds it, or has just removed it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        lock = path.open("a")
    except FileNotFoundError:  # the folder went between the two lines
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock.fileno()), path.stat()):
            return lock
    except (BlockingIOError, FileNotFoundError):
        pass
    lock.close()
    return None
