"""Stage: extract a source's archive, or copy what is needed of an already extracted folder."""

import importlib
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

from fcn.config import Config
from fcn.datasets import archive, room
from fcn.errors import InputError
from fcn.stages import archives
from fcn.stages.places import Places, read_json, whole_folder, write_json


def run(config: Config, name: str | None) -> None:
    """Bring the source `name` into its dataset's own layout at data/<profile>/raw/<name>."""
    name = archives.given(name, config)
    places = Places(config)
    dataset = importlib.import_module(f"fcn.datasets.{config.source(name).dataset}")
    manifest = read_json(places.archive(name) / "manifest.json")
    origin = _origin(manifest, places.archive(name))
    with whole_folder(places.raw(name)) as part:
        if origin.is_dir():
            _copy(origin, part, dataset)
        else:
            _extract(origin, part, dataset)
        write_json(part / "manifest.json", {"source": name, **archive.digest(part)})


def _origin(manifest: dict[str, Any], folder: Path) -> Path:
    """The archive or folder that a manifest speaks of, if it is still what was recorded."""
    if manifest["kind"] != "local":
        return folder / str(manifest["file"])
    origin = Path(manifest["from"])
    if archives.fingerprint(origin) != manifest["content"]:
        raise InputError(
            f"{origin} has changed since it was recorded in {folder}; run `dvc repro`, which records it anew"
        )
    return origin


def _extract(origin: Path, part: Path, dataset: ModuleType) -> None:
    inner = part / ".members"
    inner.mkdir()
    root = ""

    def wanted(members: list[str]) -> list[str]:
        nonlocal root
        root = dataset.root(members)
        names: list[str] = dataset.wanted(members)
        return names

    archive.extract(origin, inner, wanted=wanted)
    for child in (inner / root).iterdir():
        child.rename(part / child.name)
    shutil.rmtree(inner)


def _copy(origin: Path, part: Path, dataset: ModuleType) -> None:
    members = [path.relative_to(origin).as_posix() for path in archives.files(origin)]
    try:
        root: str = dataset.root(members)
        names: list[str] = dataset.wanted(members)
    except InputError as error:
        raise InputError(f"{origin}: {error}") from None
    room.check(part, sum((origin / name).stat().st_size for name in names), what=f"the copy of {origin}")
    for name in names:
        target = part / name.removeprefix(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(origin / name, target)
