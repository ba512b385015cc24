"""Stage: fill MLflow from the files; it may be deleted and is rebuilt, and publishing twice changes nothing."""

import functools
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from fcn.config import Config
from fcn.errors import InputError, without_secrets
from fcn.files import existing, read_json, whole_folder, write_json
from fcn.publishing import (
    card,
    fill,
    origin,
    paper_tables,
    redirects,
    registered_model,
    shared_view,
    tracking,
    trainings,
)
from fcn.publishing.experiment import Dataset, Entry, Experiment
from fcn.stages.places import Places

UI = "http://127.0.0.1:5000"  # what `make ui` starts
_UNKNOWN = "unknown"
_LOCK_SECONDS = 600.0
_SCRIPT = Path(__file__).parents[1] / "serving" / "model.py"  # MLflow runs it, nobody here imports it


def run(config: Config, name: str | None) -> None:
    """Write published.json, into MLflow what it says, and a page that leads there for each experiment.

    Environment: MLFLOW_TRACKING_URI (without it mlflow.db in the project's root) and MLflow's own for its credentials;
    PREFECT__FLOW_RUN_ID, which Prefect sets in a flow run's process, becomes a tag.
    """
    if name is not None:
        raise InputError(f"publish takes no name, found {name!r}; write `python -m fcn publish`")
    experiments, model = wanted(config), _best(config)
    uri = os.environ.get("MLFLOW_TRACKING_URI") or tracking.DEFAULT_URI
    os.environ.update({key: value for key, value in tracking.QUIET.items() if key not in os.environ})
    waiting = functools.cache(lambda: _say("waiting for another publish to end"))
    with tracking.alone(uri, patience_seconds=_LOCK_SECONDS, waiting=waiting), tracking.failing_clearly(uri):
        client, here = tracking.connected(uri), made()
        if here["git.commit"].startswith(_UNKNOWN):
            _say(f"the runs' git.commit is {here['git.commit']}")
        # The last one first, because MLflow lists the newest first.
        done = {
            item.name: fill.fill(client, item, profile=config.profile, uri=uri, made=here, say=_say)
            for item in reversed(experiments)
        }
        fill.drop_others(client, profile=config.profile, names=list(done), say=_say)
        experiment, runs = done[f"{config.profile} / {redirects.TRAININGS}"]
        if model is not None and model.run in runs:
            registered_model.register(client, model, experiment=experiment, run=runs[model.run], made=here, say=_say)
    rows = {item.name: {entry.name: entry.digest for entry in item.entries} for item in experiments}
    content = {"profile": config.profile, "numbers": _numbers(config), "experiments": rows}
    write_json(Places(config).published, content)
    served = uri.startswith("http")
    base = without_secrets(uri).rstrip("/") if served else UI
    print("In MLflow:" if served else "In MLflow, which `make ui` starts; at another port, its first page has these:")
    with whole_folder(Places(config).views) as folder:
        for item in experiments:
            address = shared_view.link(base, done[item.name][0])
            page = redirects.page(item.title, address=address)
            (folder / redirects.file_name(item.name)).write_text(page, encoding="utf-8")
            print(f"  {item.name}: {address}")
    if model is not None:
        print(f"  the model {model.name}, to be served: {base}/#/models/{model.name}")


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def wanted(config: Config) -> list[Experiment]:
    """What MLflow shall hold of the profile, from its files; those that aren't there yet are left out."""
    places, profile = Places(config), config.profile
    existing(places.tables / "scores.json")
    found = {path.stem: read_json(path) for path in sorted(places.tables.glob("*.json"))}
    numbers, lock = {"numbers": _numbers(config)}, origin.read(config)
    origins = {name: {**numbers, **origin.tags(lock, f"evaluate@{name}")} for name in config.runs}
    origins[""] = {**numbers, **origin.tags(lock, "tables")}
    figures = _files(places.figures, runs=list(config.runs))
    files = figures.get("", {}) | _files(places.report).get("", {}) | _files(places.tables).get("", {})
    whole = {**numbers, **origin.tags(lock, "tables", "figures", "report")}
    return [
        *(
            paper_tables.experiment(table, found[key], origins=origins, profile=profile)
            for key, table in redirects.filled(found).items()
        ),
        trainings.experiment(config, _trainings(config, found["scores"], figures, numbers=numbers, lock=lock)),
        paper_tables.report(files, origin=whole, profile=profile),
    ]


def _trainings(
    config: Config,
    scores: Mapping[str, Any],
    figures: Mapping[str, Mapping[str, Path]],
    *,
    numbers: Mapping[str, str],
    lock: Mapping[str, Any],
) -> list[Entry]:
    """The runs that were trained or scored, from their files."""
    places, lines, entries = Places(config), {item["run"]: item for item in scores["scores"]}, []
    for name in config.runs:
        score, history = lines.get(name, {}), _text(places.history(name)).splitlines()
        if not (history or score.get("images")):
            continue
        artifacts = {}
        for target, classes in _json(places.classes(name)).items():
            artifacts[f"{target}/classes.csv"] = trainings.classes_csv(classes)
            if (path := places.histogram(name, target)).exists():
                artifacts[f"{target}/confusion.csv"] = trainings.confusion_csv(np.load(path), classes)
        entries.append(
            trainings.entry(
                config,
                name,
                origin={**numbers, **origin.tags(lock, f"train@{name}", f"evaluate@{name}")},
                datasets=_datasets(config, name),
                cost=_json(places.cost(name)),
                score=score,
                history=[json.loads(row) for row in history],
                departures=scores["departures"].get(name, []),
                artifacts=artifacts,
                figures=figures.get(name, {}),
                checkpoint=origin.checkpoint(lock, f"train@{name}", places.net(name).as_posix()),
            )
        )
    return entries


def _numbers(config: Config) -> str:
    from fcn.tables import numbers_digest  # only now: it loads torch, which whoever follows a training doesn't need

    return numbers_digest(Places(config).tables)


def _best(config: Config) -> registered_model.Model | None:
    """The best net at stride 8 as a model; None where none was scored, or its checkpoint isn't known."""
    scores = read_json(Places(config).tables / "scores.json")
    if (score := card.best(config, scores["scores"])) is None:
        return None
    name = str(score["run"])
    path = Places(config).net(name)
    known = origin.checkpoint(origin.read(config), f"train@{name}", path.as_posix())
    md5 = known.get("checkpoint.md5") or (origin.md5(path) if path.exists() else None)
    if md5 is None:
        return None
    return registered_model.Model(
        name=f"{config.profile}-fcn{card.STRIDE}s",
        run=name,
        checkpoint=path.as_posix(),
        md5=md5,
        card=card.card(config, score, departures=scores["departures"].get(name, [])),
        metrics=trainings.scores(score),
        script=_SCRIPT,
    )


def begun(config: Config, name: str, *, environment: Mapping[str, object]) -> Entry:
    """What a training's run shall say when it starts."""
    tags = {"dvc.stage": f"train@{name}", **made()}
    return trainings.entry(config, name, origin=tags, datasets=_datasets(config, name), cost=environment)


def _datasets(config: Config, name: str) -> list[Dataset]:
    """The pictures that a run is trained and scored on, as far as they are here."""
    found = []
    for ref, context in ((config.run(name).train, "training"), (config.run(name).val, "validation")):
        folder, audit = Places(config).dataset(ref.dataset), Places(config).audit(ref.dataset)
        if audit.exists():
            digest, title = read_json(audit)["sha256"][:16], f"{ref.dataset}/{ref.list}"
            found.append(Dataset(name=title, digest=digest, path=folder.as_posix(), context=context))
    return found


def made() -> dict[str, str]:
    """Where and by what a run was made. It doesn't count for the digest: it changes without any result doing so."""
    tags = {
        "git.commit": _commit(),
        "prefect.flow_run": os.environ.get("PREFECT__FLOW_RUN_ID", ""),
        "mlflow": version("mlflow"),
    }
    return {key: value for key, value in tags.items() if value}


def _commit() -> str:
    """The commit of this folder's own checkout, whoever owns it, or why it isn't known."""
    command = ["git", "--git-dir=.git", "rev-parse", "--verify", "HEAD"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return f"{_UNKNOWN}: there is no program git"
    return answer.stdout.strip() or f"{_UNKNOWN}: there is no git checkout"


def _files(root: Path, *, runs: Sequence[str] = ()) -> dict[str, dict[str, Path]]:
    """The files below `root` by the run that their path names, the longest name counts; "" has those of no run."""
    found: dict[str, dict[str, Path]] = {}
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        artifact = path.relative_to(root.parent).as_posix()
        owner = max((run for run in runs if run in artifact), key=len, default="")
        found.setdefault(owner, {})[artifact] = path
    return found


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _json(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(_text(path) or "{}")
    return values
