"""Stage: get an archive: download it, or make it (sample)."""

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from fcn.config import Config
from fcn.datasets import download, manifests, pinned, room
from fcn.datasets.sample import standins
from fcn.errors import InputError, StageFailure
from fcn.files import sha256, whole_folder, write_text
from fcn.paper import downloads
from fcn.stages.places import Places

_LINE_EVERY_S = 10.0  # of progress, where there is no terminal


def run(config: Config, name: str | None) -> None:
    """Fill data/<profile>/archives/<name> with an archive and, last, its manifest."""
    if name is None:
        raise InputError(f"which archive? add its name; known are: {', '.join(config.archives) or 'none'}")
    entry, places = config.archive(name), Places(config)
    with whole_folder(places.archive(name)) as part:
        if entry.kind == "download":
            before, fetched, names = places.archive(name), places.downloads, entry.parts or (name,)
            files = [
                _download(each, part, before=before, fetched=fetched, noted=places.first_hash(each)) for each in names
            ]
        else:
            files = standins.load(entry, where=f"archives.{name}").write(part, entry)
        manifests.write(part, archive=name, kind=entry.kind, files=files)


def _download(name: str, part: Path, *, before: Path, fetched: Path, noted: Path) -> str:
    """The pinned file of this name: from its earlier place, from what an earlier fetch brought, or from a mirror.

    What was fetched stays in `fetched` where a hard link costs nothing: DVC empties the stage's outputs before it
    runs again, and a host that served once may be gone. Where no hash is published, that of the first fetch is `noted`.
    """
    facts = _held(downloads.download(name), noted)
    if _is_right(before / facts.file, facts):
        there = before / facts.file
    else:
        fetched.mkdir(parents=True, exist_ok=True)
        try:
            with _progress(facts.file) as progress:
                there = download.fetch(facts, fetched, progress=progress)
        except StageFailure as error:
            told = f". The hash that it is held to is that of its first download, in {noted}" if noted.exists() else ""
            raise StageFailure(f"{error}{told}", exit_code=error.exit_code) from None
    if not facts.is_pinned:
        write_text(noted, f"{sha256(there)}  {facts.file}\n")
    try:
        (part / facts.file).hardlink_to(there.resolve())
    except OSError:  # another disk, or one without hard links
        shutil.copyfile(there, part / facts.file)
        (fetched / facts.file).unlink(missing_ok=True)
    return facts.file


def _held(facts: downloads.Download, noted: Path) -> downloads.Download:
    """The file's facts, with the hash of its first download where that is the only one."""
    found = noted.read_text(encoding="utf-8").split() if not facts.is_pinned and noted.is_file() else []
    return replace(facts, sha256=found[0]) if found else facts


def _is_right(path: Path, facts: downloads.Download) -> bool:
    if not path.is_file():
        return False
    try:
        pinned.check(path, facts)
    except pinned.WrongContentError:
        return False
    return True


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int | None], None]]:
    """A callback (bytes, bytes in total) that shows progress: a bar on a terminal, a line now and then elsewhere."""
    if sys.stderr.isatty():
        with tqdm(desc=what, unit="B", unit_scale=True, file=sys.stderr) as bar:

            def move(done: int, total: int | None) -> None:
                bar.total = total
                bar.update(done - bar.n)

            yield move
        return
    last = -_LINE_EVERY_S

    def say(done: int, total: int | None) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _LINE_EVERY_S or done == total:
            last = now
            print(f"{what}: {room.size(done)} of {room.size(total) if total else '?'}", file=sys.stderr, flush=True)

    yield say
