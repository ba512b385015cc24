"""Where this clone's server is, in prefect.toml, which every `prefect` reads that is started in this folder."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fcn.files import exclusive, write_text

LOCK = Path(".resume/worker/lock")
"""Held by `make worker` as long as it lives, however it ends."""
_FILE = Path("prefect.toml")
_TEXT = "# Made by `make worker`, and removed when it ends; a file of your own is left alone.\n[api]\nurl = {}\n"
_OURS = re.compile(re.escape(_TEXT).replace(r"\{\}", '".*"'))


@contextmanager
def told(api: str) -> Iterator[bool]:
    """Have the address there as long as this lasts; whether it is, for a person's own file stays as it is."""
    free = _is_ours() or not _FILE.exists()
    if free:
        write_text(_FILE, _TEXT.format(json.dumps(api)))
    try:
        yield free
    finally:
        if free and _is_ours():
            _FILE.unlink()


def forget_killed() -> None:
    """Remove the address that a killed `make worker` left: no server is there any more."""
    if _is_ours():
        with suppress(BlockingIOError), exclusive(LOCK):
            _FILE.unlink(missing_ok=True)


def _is_ours() -> bool:
    return _FILE.is_file() and _OURS.fullmatch(_FILE.read_text(encoding="utf-8", errors="replace")) is not None
