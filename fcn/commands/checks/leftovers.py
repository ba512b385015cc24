"""What interrupted work has left: states of trainings to resume from, part files."""

import re
import time
from pathlib import Path

import psutil

from fcn.commands.checks.finding import Finding, age, some
from fcn.commands.checks.locks import held
from fcn.config import Config
from fcn.datasets.room import size
from fcn.stages.places import Places

_OLD_SECONDS = 7 * 86400.0
_FOLDER = re.compile(r"(?P<run>.+)-[0-9a-f]+")
_PART_OF = re.compile(r"\..*\.(?P<pid>\d+)\.part")  # as fcn/stages/places.py names a part of a file


def check(config: Config) -> list[Finding]:
    """The folder .resume, and part files below the profile's data."""
    return [_trainings(config), _parts(config)]


def _trainings(config: Config) -> Finding:
    name, root = "resume states", Places(config).resume("run", "hash").parent
    folders = sorted(path for path in root.glob("*") if path.is_dir())
    newest: dict[str, Path] = {}
    for folder in sorted(folders, key=_changed):
        newest[_run(folder)] = folder
    running, waiting, abandoned = [], [], []
    for folder in folders:
        seconds = time.time() - _changed(folder)
        shown = f"{folder} ({size(_bytes(folder))}, {age(seconds)} old)"
        if held(folder / "lock"):
            running.append(_run(folder))
        elif _run(folder) not in config.runs or folder != newest[_run(folder)] or seconds > _OLD_SECONDS:
            abandoned.append(shown)
        else:
            waiting.append(shown)
    if abandoned:
        said = f"abandoned, of runs that are gone or have other settings now, or old: {some(abandoned)}"
        return Finding(
            name=name,
            state="warning",
            said=said,
            do="delete these folders; or let the training go on with `dvc repro`, if its settings are still the same",
        )
    known = [f"being trained: {some(running)}"] if running else []
    known += [f"interrupted, to go on with `dvc repro`: {some(waiting)}"] if waiting else []
    return Finding(name=name, state="ok", said="; ".join(known) or "none")


def _run(folder: Path) -> str:
    match = _FOLDER.fullmatch(folder.name)
    return match["run"] if match else folder.name


def _changed(path: Path) -> float:
    """When it or anything in it changed last; 0 where it is gone meanwhile."""
    try:
        return max(item.stat().st_mtime for item in [path, *path.rglob("*")])
    except FileNotFoundError:
        return 0.0


def _bytes(path: Path) -> int:
    try:
        return sum(item.stat().st_size for item in [path, *path.rglob("*")] if item.is_file())
    except FileNotFoundError:
        return 0


def _parts(config: Config) -> Finding:
    places = Places(config)
    found = [path for path in places.data.rglob(".*.part") if not _being_written(path)]
    if found:
        total = sum(_bytes(path) for path in found)
        shown = some([str(path) for path in found])
        said = f"half-written files of processes that are gone: {shown}, {size(total)} together"
        return Finding(name="part files", state="warning", said=said, do="delete them; nothing reads them")
    part_downloads = [path for path in places.downloads.glob("*.part*") if path.is_file()]
    said = "none below the profile's data"
    if part_downloads:
        said += f"; downloads to go on with: {some([f'{path.name} ({size(_bytes(path))})' for path in part_downloads])}"
    return Finding(name="part files", state="ok", said=said)


def _being_written(path: Path) -> bool:
    """Whether its writer lives; folders don't name theirs, so the youngest get the benefit of the doubt."""
    match = _PART_OF.fullmatch(path.name)
    if match:
        return psutil.pid_exists(int(match["pid"]))
    return time.time() - _changed(path) < 600
