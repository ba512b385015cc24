"""What DVC says of the profile: what is stale, what is missing, what lies here changed."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fcn.commands.checks.finding import Finding, python, some
from fcn.commands.checks.locks import REPOSITORY, held
from fcn.config import Config
from fcn.stages.places import Places

_NAME = "graph"


def check(config: Config) -> list[Finding]:
    """Ask `dvc status` for the profile's pipeline file, which also compares the cache."""
    pipeline = Path(config.params).with_name("dvc.yaml")
    if not pipeline.exists():
        return [Finding(name=_NAME, state="broken", said=f"{pipeline} isn't there", do="run from the project's root")]
    try:
        answer = python("-m", "dvc", "status", "--json", str(pipeline))
        changed: dict[str, list[Any]] = json.loads(answer.stdout or "null") or {}
    except subprocess.TimeoutExpired:
        return [Finding(name=_NAME, state="broken", said="dvc status gave no answer", do="look at the locks above")]
    except ValueError:
        answer.returncode = answer.returncode or 1
    if answer.returncode:
        return [_unanswered(pipeline, answer.stderr)]
    stages = [_stage(name, entries) for name, entries in changed.items()]
    repro = "dvc repro" if pipeline.name == str(pipeline) else f"dvc repro {pipeline}"
    if not stages:
        return [Finding(name=_NAME, state="ok", said="every stage is up to date, and the cache has all results")]
    if not any(path.exists() for path in (Places(config).tables, *map(Places(config).net, config.runs))):
        said = f"no results of profile {config.profile} are here"
        do = f"`{repro}` makes them; where there is a remote with them, `dvc pull --run-cache` before it fetches them"
        return [Finding(name=_NAME, state="warning", said=said, do=do)]
    return [*_results(stages, repro=repro), _stale(stages, repro=repro)]


def _unanswered(pipeline: Path, stderr: str) -> Finding:
    if held(REPOSITORY):
        said = "a dvc is at work here and holds the lock"
        return Finding(name=_NAME, state="skipped", said=said, do="ask again when it is done")
    said = f"dvc status {pipeline} fails: {' '.join(stderr.split())[-300:] or 'no answer'}"
    return Finding(name=_NAME, state="broken", said=said, do="mend what it names, or restore it with git")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
    """A stage that DVC would look at again: how its outputs differ, by path, and what else has changed."""

    name: str
    outs: Mapping[str, str]
    causes: Sequence[str]


def _stage(address: str, entries: Sequence[Any]) -> _Stage:
    outs: dict[str, str] = {}
    causes = []
    for entry in entries:
        if not isinstance(entry, dict):  # "changed command"
            causes.append(str(entry))
            continue
        outs |= entry.get("changed outs", {})
        for path, how in entry.get("changed deps", {}).items():
            if isinstance(how, dict):  # parameters of a file
                causes += [f"{key} {change}" for key, change in how.items()]
            elif how != "deleted":  # what is deleted is the output of a stage that stands here too
                causes.append(f"{path} {how}")
    return _Stage(name=address.rpartition(":")[2], outs=outs, causes=causes)


def _results(stages: Sequence[_Stage], *, repro: str) -> list[Finding]:
    """Outputs that are not what their stage made, though nothing it depends on has changed."""
    sound = [stage for stage in stages if not stage.causes and stage.name != "publish"]
    outs = [(path, how) for stage in sound for path, how in stage.outs.items()]
    changed = [path for path, how in outs if how in ("modified", "new")]
    missing = [f"{path} ({how})" for path, how in outs if how not in ("modified", "new")]
    found = []
    if changed:
        said = f"damaged, or changed by something else than their stage: {some(changed)}"
        do = f"`dvc checkout --force PATH` puts back what the stage made; `{repro}` makes it again"
        found.append(Finding(name="results", state="broken", said=said, do=do))
    if missing:
        do = f"`dvc checkout` where the cache has it, `dvc pull` where a remote has it, else `{repro}`"
        found.append(Finding(name="results", state="broken", said=f"missing: {some(missing)}", do=do))
    return found


def _stale(stages: Sequence[_Stage], *, repro: str) -> Finding:
    names = [stage.name for stage in stages]
    why = list(dict.fromkeys(cause for stage in stages for cause in stage.causes))
    said = f"not up to date: {some(names)}" + (f", because of {some(why, most=3)}" if why else "")
    return Finding(name=_NAME, state="warning", said=said, do=f"`{repro}` brings it up to date")
