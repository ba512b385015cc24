"""What interrupted or abandoned work has left: states of trainings to resume from, part files, results set aside."""

import re
import time
from contextlib import suppress
from pathlib import Path

import psutil

from fcn.commands.checks.dvc_locks import is_held
from fcn.commands.checks.finding import Finding, age, repro, some
from fcn.config import Config
from fcn.datasets.room import size
from fcn.errors import InputError
from fcn.files import written
from fcn.stages.places import Places

_PART = re.compile(r"\..*\.(?P<pid>\d+)\.part")  # as fcn/files.py names it


def states(config: Config) -> list[Finding]:
    """The folder .resume: a state waits for its run as long as settings, code and data are those that it began with."""
    folders = [path for path in Places(config).resume("run", "hash").parent.glob("*-*") if path.is_dir()]
    training, waiting, abandoned = [], [], []
    for folder in sorted(folders, key=_seconds_old):
        run = folder.name.rpartition("-")[0]
        shown = f"{folder} ({_size(folder)}, {age(_seconds_old(folder))} old)"
        if is_held(folder / "lock"):
            training.append(run)
        elif run in config.runs and _now(config, run) in (folder, None):
            waiting.append(shown)
        else:
            abandoned.append(shown)
    if abandoned:
        message = f"of runs that are gone, or have other settings, code or data now: {some(abandoned)}"
        cure = "delete these folders; or bring back what they began with, as another git commit has it, and "
        cure += f"`{repro(config)}`"
        return [Finding("resume states", "warning", message, cure)]
    known = [f"being trained: {some(training)}"] if training else []
    known += [f"interrupted, to go on with `{repro(config)}`: {some(waiting)}"] if waiting else []
    return [Finding("resume states", "ok", "; ".join(known) or "none")]


def _now(config: Config, run: str) -> Path | None:
    """Where the run's training would look for its state; None where what it starts from isn't here to tell."""
    from fcn.stages import train  # late: it loads torch, and mostly nothing waits

    with suppress(FileNotFoundError, InputError):
        return train.resume_folder(config, run)
    return None


def parts(config: Config) -> list[Finding]:
    """Half-written files below the profile's data, and downloads to go on with."""
    places = Places(config)
    found = [path for path in places.data.rglob(".*.part") if not _is_being_written(path)]
    if found:
        shown = [f"{path} ({_size(path)})" for path in found]
        message = f"half-written files of processes that are gone: {some(shown)}"
        return [Finding("part files", "warning", message, "delete them; nothing reads them")]
    downloads = [f"{path.name} ({_size(path)})" for path in places.downloads.glob("*.part*") if path.is_file()]
    also = f"; downloads to go on with: {some(downloads)}" if downloads else ""
    return [Finding("part files", "ok", f"none below the profile's data{also}")]


def _is_being_written(path: Path) -> bool:
    """Whether its writer lives."""
    match = _PART.fullmatch(path.name)
    return match is not None and psutil.pid_exists(int(match["pid"]))


def removed(config: Config) -> list[Finding]:
    """Results of runs that params.yaml has no more, which the stage `code` set aside."""
    folder = Places(config).removed
    names = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    if not names:
        return []
    message = f"{folder} has {_size(folder)} of runs that params.yaml has no more: {some(names)}"
    return [Finding("removed results", "ok", message, f"nothing reads them: delete {folder} when nobody needs them")]


def _seconds_old(path: Path) -> float:
    """Since it or anything in it changed last; endless where it is gone meanwhile."""
    try:
        return time.time() - max(item.stat().st_mtime for item in [path, *path.rglob("*")])
    except FileNotFoundError:
        return float("inf")


def _size(path: Path) -> str:
    try:
        return size(written(path)["bytes"])
    except FileNotFoundError:
        return "gone meanwhile"
