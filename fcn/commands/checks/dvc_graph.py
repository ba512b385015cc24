"""What DVC says of the profile: what is stale, missing or changed here, and entries of dvc.lock without a stage."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fcn.commands.checks import lock_entries
from fcn.commands.checks.dvc_locks import is_held
from fcn.commands.checks.finding import Finding, ours, python, repro, some
from fcn.commands.mend import REPOSITORY, WITHOUT_GIT
from fcn.config import Config
from fcn.errors import StageFailure
from fcn.files import exclusive, write_text
from fcn.publishing import origin
from fcn.stages.places import Places


def check(config: Config) -> list[Finding]:
    """Ask `dvc status` for the profile's pipeline file, which also compares the cache."""
    pipeline = Path(config.params).with_name("dvc.yaml")
    if not pipeline.exists():
        return [Finding("graph", "broken", f"{pipeline} isn't there", "run from the project's root")]
    try:
        answer = python("-m", "dvc", "status", "--json", str(pipeline))
        changed: dict[str, list[Any]] = json.loads(answer.stdout or "null") or {}
    except subprocess.TimeoutExpired:
        return [Finding("graph", "broken", "dvc status gave no answer", "look at the locks above")]
    except ValueError:
        answer.returncode = answer.returncode or 1
    if answer.returncode and (is_held(REPOSITORY) or "is being blocked by" in answer.stderr):
        message = "a dvc is at work here and holds one of the locks above: ask again when it is done"
        return [Finding("graph", "skipped", message)]
    if answer.returncode:
        message = f"dvc status {pipeline} fails: {' '.join(answer.stderr.split())[-300:] or 'no answer'}"
        without_git = "is not a git repository" in answer.stderr
        cure = WITHOUT_GIT if without_git else "mend what it names, or restore it with git"
        return [Finding("graph", "broken", message, cure)]
    found, again = [], repro(config)
    if not changed:
        found.append(Finding("graph", "ok", "every stage is up to date, and the cache has all results"))
    elif any(path.exists() for path in (Places(config).tables, *map(Places(config).net, config.runs))):
        found += _differences(changed, again=again)
    else:
        cure = f"`{again}` makes them; with a remote that has them, `dvc pull --run-cache {pipeline}` before"
        found.append(Finding("graph", "warning", f"no results of profile {config.profile} are here", cure))
    if names := _forgotten(config):
        message = (
            f"{pipeline.with_suffix('.lock')} has entries of stages that {pipeline} hasn't any more: {some(names)}"
        )
        cure = f"`{ours(config, 'doctor --mend')}` takes out these entries, and nothing else"
        found.append(Finding("dvc.lock", "warning", message, cure))
    return found


def _differences(stages: Mapping[str, Sequence[Any]], *, again: str) -> list[Finding]:
    """Outputs that are not what their stage made, though nothing it depends on has changed; then what is stale."""
    found, changed, by_hand, lost, missing, to_restore, why = [], [], [], [], [], [], []
    for address, entries in stages.items():
        parts = {kind: paths for entry in entries if isinstance(entry, dict) for kind, paths in entry.items()}
        deps, outs = parts.get("changed deps", {}), parts.get("changed outs", {})
        edited = [path for path, how in outs.items() if how in ("modified", "new")]
        causes = [entry for entry in entries if isinstance(entry, str)]  # "changed command"
        causes += [f"{key} {how}" for keys in deps.values() if isinstance(keys, dict) for key, how in keys.items()]
        # What is deleted is the output of a stage that stands here too.
        causes += [f"{path} {how}" for path, how in deps.items() if isinstance(how, str) and how != "deleted"]
        if causes:
            why += [*causes, *(f"{path} modified" for path in edited)]
        elif not address.endswith("publish"):  # its files follow MLflow, and are not in the cache
            lost += [path for path, how in outs.items() if how == "not in cache"]
            if gone := [path for path, how in outs.items() if how == "deleted"]:
                missing += gone
                to_restore.append(address)
            if any(Path(path).parent.name == "cost" for path in edited):  # which the stage itself wrote beside the rest
                by_hand.append(address)
            elif edited:
                changed += edited
                to_restore.append(address)
    if by_hand:
        message = f"{some(by_hand)}: run again with `python -m fcn STAGE`, without DVC"
        cure = f"`dvc commit --force {' '.join(by_hand)}` keeps what they made; `{again}` has DVC make it anew"
        found.append(Finding("run by hand", "warning", message, cure))
    put_back = f"`dvc repro --single-item {' '.join(dict.fromkeys(to_restore))}` puts back what the stage made"
    if changed:
        cure = f"{put_back}; if the cache is broken too, first see to that"
        message = f"damaged, or changed by something else than their stage: {some(changed)}"
        found.append(Finding("results", "broken", message, cure))
    if lost:
        message = f"not in DVC's cache (or changed there, through a link: DVC drops such files): {some(lost)}"
        cure = f"`dvc pull` where a remote has them, else `{again}` makes them again"
        found.append(Finding("results", "broken", message, cure))
    if missing:
        found.append(Finding("results", "broken", f"deleted: {some(missing)}", put_back))
    because = f", because of {some(list(dict.fromkeys(why)), most=3)}" if why else ""
    message = f"not up to date: {some([address.rpartition(':')[2] for address in stages])}{because}"
    return [*found, Finding("graph", "warning", message, f"`{again}` brings it up to date")]


def _forgotten(config: Config) -> list[str]:
    """The entries of dvc.lock whose stages dvc.yaml hasn't any more, such as those of runs that were renamed."""
    recorded, pipeline = origin.read(config).get("stages", {}), Path(config.params).with_name("dvc.yaml")
    answer = python("-m", "dvc", "stage", "list", "--name-only", str(pipeline))
    stages = {line.rpartition(":")[2] for line in answer.stdout.split()}
    return [] if answer.returncode else [name for name in recorded if name not in stages]


def mend(config: Config) -> list[str]:
    """Take the forgotten entries out of dvc.lock, whose other bytes stay, and return their names.

    Raises InputError, and changes nothing, where that isn't possible.
    """
    lock = Path(config.params).with_name("dvc.lock")
    if not (names := _forgotten(config)):
        return []
    try:
        with exclusive(REPOSITORY):
            write_text(lock, lock_entries.without(lock, names))
    except BlockingIOError:
        message = f"a dvc is at work here and holds the lock, so {lock} stays: ask again when it is done"
        raise StageFailure(message) from None
    return names
