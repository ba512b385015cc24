"""Whether DVC's cache has the bytes that its files are named by: DVC trusts them, and restores what has rotted."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from fcn.commands.checks.finding import Finding, ours, python, repro, some
from fcn.commands.mend import REPOSITORY
from fcn.config import Config
from fcn.datasets.room import size
from fcn.files import exclusive, whole_file
from fcn.publishing import origin

_QUICK_BYTES = 2e9  # read in some three seconds; at full size that leaves out archives and the larger nets


def check(config: Config) -> list[Finding]:
    """Hash what the cache has of dvc.lock's results, the smallest first."""
    objects = _objects(config)
    quick, read = {}, 0
    for file in sorted(objects, key=_bytes):
        if (read := read + _bytes(file)) <= _QUICK_BYTES:
            quick[file] = objects[file]
    left = f"; {len(objects) - len(quick)} larger files are left to --mend" if len(quick) < len(objects) else ""
    if rotten := list(_rotten(quick).values()):
        message = f"DVC would restore other bytes than their stage made, of {some(rotten)}{left}"
        cure = f"`{ours(config, 'doctor --mend')}`, then `dvc pull` where a remote has them, else `{repro(config)}`"
        return [Finding("cache", "broken", message, cure)]
    return [Finding("cache", "ok", f"{len(quick)} files, {size(sum(map(_bytes, quick)))}, are whole{left}")]


def mend(config: Config) -> Iterator[str]:
    """Make good what has rotted in the cache, from the result where that is whole, or delete both; a sentence each."""
    if rotten := _rotten(_objects(config)):
        with suppress(BlockingIOError), exclusive(REPOSITORY):  # what a DVC uses is left alone
            for file, path in rotten.items():
                yield f"{path} had rotted in DVC's cache: {_mended(file, path, again=repro(config))}"


def _mended(file: Path, result: Path, *, again: str) -> str:
    here = origin.md5(result) if result.is_file() else ""
    if here == _name(file):
        with whole_file(file) as part:
            shutil.copyfile(result, part)
        file.chmod(0o444)  # as DVC has them
        return "copied there again, as it is whole in its place"
    if here == origin.md5(file):
        result.unlink()
    file.unlink()
    return f"deleted; `dvc pull` where a remote has it, else `{again}`"


def _rotten(objects: Mapping[Path, Path]) -> dict[Path, Path]:
    found = {}
    for file, result in objects.items():
        with suppress(FileNotFoundError):  # `dvc status`, beside us, deletes what it sees to be changed
            if origin.md5(file) != _name(file):
                found[file] = result
    return found


def _name(file: Path) -> str:
    return f"{file.parent.name}{file.name.removesuffix('.dir')}"


def _bytes(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _objects(config: Config) -> dict[Path, Path]:
    """The cache's files that dvc.lock needs and that are there, with the result that each is of."""
    lock = origin.read(config)
    cache = Path(python("-m", "dvc", "cache", "dir").stdout.strip(), "files", "md5") if lock else Path()
    outs = [out for stage in lock.get("stages", {}).values() for out in stage.get("outs", []) if "md5" in out]
    named = [item for out in outs for item in _named(out, cache)]
    files = {cache / md5[:2] / md5[2:]: path for md5, path in named}
    return {file: path for file, path in files.items() if file.is_file()}


def _named(out: Mapping[str, Any], cache: Path) -> Iterator[tuple[str, Path]]:
    """Hash and path of an output, and of each file of a folder."""
    md5, path = out["md5"], Path(out["path"])
    yield md5, path
    if md5.endswith(".dir"):
        with suppress(OSError, ValueError):  # it isn't there, or has itself rotted
            for item in json.loads((cache / md5[:2] / md5[2:]).read_bytes()):
                yield item["md5"], path / item["relpath"]
