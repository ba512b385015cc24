"""Whether the scores here are those of the last commit, and where they aren't, whose doing that is."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from fcn.commands.checks.finding import Finding, repro, some
from fcn.commands.mend import LOADER, committed
from fcn.config import Config
from fcn.publishing import origin
from fcn.stages.places import Places


def check(config: Config) -> list[Finding]:
    """Compare each run's file with git's; where they differ, what the two dvc.lock say that they were made of."""
    lock, there = origin.read(config), committed(Path(config.params).with_name("dvc.lock"))
    committed_lock = (yaml.load(there, LOADER) if there else None) or {}  # noqa: S506 - a SafeLoader
    same: list[str] = []
    other_machine: list[str] = []
    other_work: list[str] = []
    damaged: list[Path] = []
    for run in config.runs:
        path = Places(config).scores(run)
        if not path.is_file() or (was := committed(path)) is None:
            continue
        if (now := path.read_bytes()) == was:
            same.append(run)
            continue
        if _percent(now) is None:
            damaged.append(path)
            continue
        made_alike = _made_of(lock, path.as_posix()) == _made_of(committed_lock, path.as_posix())
        words = f"{run} {_percent(now)} (committed: {_percent(was) or 'damaged'})"
        (other_machine if made_alike else other_work).append(words)
    found = []
    if damaged:
        message = f"no scores: {some(damaged)}; damaged, or with a merge's marks in it"
        found.append(Finding("scores", "broken", message, f"`{repro(config)}` writes it as its net was scored"))
    if other_work:
        message = f"mean IU by other code, settings or data than the last commit's: {some(other_work)}"
        cure = "`dvc metrics diff` shows all scores; commit them together with dvc.lock, once they are what is wanted"
        found.append(Finding("scores", "ok", message, cure))
    if other_machine:
        message = f"mean IU by the same code, settings and data as the last commit's: {some(other_machine)}"
        cure = "expected between processors, and on GPUs (README, Limits); on one and the same CPU it is a fault"
        found.append(Finding("scores", "ok", message, cure))
    if same and not found:
        found.append(Finding("scores", "ok", f"those of {len(same)} runs are the last commit's"))
    return found


def _percent(scores: bytes) -> str | None:
    """Their mean IU; None where they are none."""
    try:
        return f"{100 * json.loads(scores)['mean_iu']:.1f}"
    except (ValueError, KeyError, TypeError):
        return None


def _made_of(lock: Mapping[str, Any], path: str) -> set[tuple[str, str]]:
    """What a result goes back to, each with its hash: digests of its stages' code and settings, a person's files."""
    found: set[tuple[str, str]] = set()
    for stage in lock.get("stages", {}).values():
        if any(_share_a_place(out["path"], path) for out in stage.get("outs", [])):
            for dep in stage.get("deps", []):
                made = dep["path"].startswith("data/") and "/code/" not in dep["path"]
                found |= _made_of(lock, dep["path"]) if made else {(dep["path"], dep.get("md5", ""))}
    return found


def _share_a_place(one: str, other: str) -> bool:
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")
