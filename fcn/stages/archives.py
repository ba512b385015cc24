"""Stage: get a source's archive: download it, make it (sample), or note which local one is meant."""

import hashlib
import importlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from fcn.config import Config, Source
from fcn.datasets import download, room
from fcn.errors import InputError
from fcn.paper.downloads import DOWNLOADS, Download
from fcn.stages.places import Places, whole_folder

_LINE_EVERY_S = 10.0  # of progress, where there is no terminal


def run(config: Config, name: str | None) -> None:
    """Fill data/<profile>/archives/<name> with an archive and, last, its manifest.

    A local archive or folder stays where it is; the manifest says which one it is, and what is in it.
    """
    name = given(name, config)
    source = config.source(name)
    places = Places(config)
    with whole_folder(places.archive(name)) as part:
        if source.kind == "local":
            manifest = _local(name, source)
        elif source.kind == "download":
            manifest = _download(name, source, part, downloads=places.downloads)
        else:
            manifest = _sample(name, source, part, seed=config.seed)
        text = json.dumps({"source": name, "kind": source.kind, **manifest}, indent=2) + "\n"
        (part / "manifest.json").write_text(text, encoding="utf-8")
    if source.kind == "download":
        (places.downloads / str(manifest["file"])).unlink(missing_ok=True)


def given(name: str | None, config: Config) -> str:
    """The source's name from the command line.

    Raises InputError where there is none, or an unknown one.
    """
    if name is None:
        raise InputError(f"which source? add its name; known are: {', '.join(config.sources)}")
    config.source(name)
    return name


def fingerprint(path: Path) -> dict[str, Any]:
    """What a local archive or folder is known by: size and hash of the file, or of the list of paths and sizes."""
    if path.is_file():
        with path.open("rb") as file:
            return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
    total = hashlib.sha256()
    count = size = 0
    for member in files(path):
        bytes_ = member.stat().st_size
        total.update(f"{member.relative_to(path).as_posix()}\0{bytes_}\n".encode())
        count += 1
        size += bytes_
    return {"files": count, "bytes": size, "sha256": total.hexdigest()}


def files(folder: Path) -> list[Path]:
    """All files of a folder, sorted by path; links are followed to files, not into folders.

    Raises InputError where there is no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such archive or folder; give the path, from the project's root, as `from`")
    return sorted(Path(top, name) for top, _, names in os.walk(folder) for name in names if Path(top, name).is_file())


@contextmanager
def shown(what: str) -> Iterator[Callable[[int, int | None], None]]:
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


def _local(name: str, source: Source) -> dict[str, Any]:
    path = Path(source.from_)
    content = fingerprint(path)
    pinned = DOWNLOADS.get(name)
    if path.is_file() and pinned is not None:
        try:
            download.check(path, pinned)
        except download.WrongContentError as error:
            raise InputError(
                f"{path}: not the file {pinned.file} that source {name!r} is: {error}; fetch it again, "
                "or give the source a name of its own"
            ) from None
    return {"from": source.from_, "content": content}


def _download(name: str, source: Source, part: Path, *, downloads: Path) -> dict[str, Any]:
    pinned = pinned_download(name)
    if source.archive not in (None, pinned.file):
        raise InputError(
            f"sources.{name}.archive: {source.archive!r}, but what is downloaded is {pinned.file!r}; leave it out"
        )
    downloads.mkdir(parents=True, exist_ok=True)
    with shown(pinned.file) as progress:
        fetched = download.fetch(pinned, downloads, progress=progress)
    target = part / pinned.file
    try:
        target.hardlink_to(fetched)
    except OSError:  # another disk, or one without hard links
        shutil.copyfile(fetched, target)
    return {"file": pinned.file, "content": fingerprint(target)}


def pinned_download(name: str) -> Download:
    """The facts of the file that a source or weights entry of kind download is named after.

    Raises InputError for a name without facts.
    """
    if name in DOWNLOADS:
        return DOWNLOADS[name]
    raise InputError(
        f"{name!r} can't be downloaded: fcn/paper/downloads.py has addresses and hashes for {', '.join(DOWNLOADS)}; "
        "use one of these names, or a local file: `kind: local, from: PATH`"
    )


def _sample(name: str, source: Source, part: Path, *, seed: int) -> dict[str, Any]:
    if source.archive is None or source.scenes is None:
        raise InputError(f"sources.{name}: kind sample needs `archive`, a file name, and `scenes`")
    sample = importlib.import_module("fcn.datasets.sample")
    write = {"voc": "write_voc_archive", "sbd": "write_sbd_archive"}[source.dataset]
    getattr(sample, write)(part / source.archive, seed=seed, scenes=source.scenes)
    return {"file": source.archive, "content": fingerprint(part / source.archive)}
