"""Stage: fill MLflow from the files; it may be deleted and is rebuilt, and publishing twice changes nothing."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from fcn.config import Config
from fcn.errors import InputError
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
from fcn.publishing.experiment import Dataset, Entry, Experiment, Upload
from fcn.stages.places import Places, read_json, whole_folder, write_json

UI = "http://127.0.0.1:5000"  # what `make ui` starts
_LOCK_SECONDS = 600.0
_SCRIPT = Path(__file__).parents[1] / "serving" / "model.py"  # MLflow runs it, nobody here imports it


def run(config: Config, name: str | None) -> None:
    """Write published.json, into MLflow what it says, and a page that leads there for each experiment.

    Environment: MLFLOW_TRACKING_URI (without it mlflow.db in the project's root) and MLflow's own for its credentials;
    PREFECT__FLOW_RUN_ID, which Prefect sets in a flow run's process, becomes a tag.
    """
    if name is not None:
        raise InputError(f"publish takes no name, found {name!r}; write `python -m fcn publish`")
    experiments = wanted(config)
    uri = os.environ.get("MLFLOW_TRACKING_URI") or tracking.DEFAULT_URI
    os.environ.update({key: value for key, value in tracking.QUIET.items() if key not in os.environ})
    with tracking.alone(uri, patience_seconds=_LOCK_SECONDS, say=_say), tracking.failing_clearly(uri):
        client, here = tracking.connected(uri), made()
        # The last one first, because MLflow lists the newest first.
        done = {
            item.name: fill.fill(client, item, profile=config.profile, uri=uri, made=here, say=_say)
            for item in reversed(experiments)
        }
        fill.drop_others(client, profile=config.profile, names=list(done), say=_say)
        experiment, runs = done[f"{config.profile} / {redirects.TRAININGS}"]
        if (best := _best(config)) is not None and best.run in runs:
            registered_model.register(client, best, experiment=experiment, run=runs[best.run], made=here, say=_say)
    rows = {item.name: {entry.name: entry.digest for entry in item.entries} for item in experiments}
    write_json(Places(config).published, {"profile": config.profile, "experiments": rows})
    served = uri.startswith("http")
    print("In MLflow:" if served else "In MLflow, which `make ui` starts:")
    with whole_folder(Places(config).views) as folder:
        for item in experiments:
            address = shared_view.link(uri.rstrip("/") if served else UI, done[item.name][0])
            page = redirects.page(item.title, address=address)
            (folder / redirects.file_name(item.name)).write_text(page, encoding="utf-8")
            print(f"  {item.name}: {address}")


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def wanted(config: Config) -> list[Experiment]:
    """What MLflow shall hold of the profile, from its files; those that aren't there yet are left out."""
    places, profile, lock = Places(config), config.profile, _lock_file(config)
    files = {path.stem: read_json(path) for path in sorted(places.tables.glob("*.json"))}
    scores = files.get("scores") or read_json(places.tables / "scores.json")
    figures, report = _uploads(places.figures, runs=list(config.runs)), _uploads(places.report, runs=[])
    tables = {key: (table, files[key]) for key, table in redirects.filled(files).items()}
    parts = {key: [_upload(path, "") for path in sorted(places.tables.glob(f"{key}.*"))] for key in ("scores", *tables)}
    origins = {name: origin.tags(lock, f"evaluate@{name}") for name in config.runs}
    results, trained = {}, {}
    for name in config.runs:
        found = _results(name, places, scores, figures.get(name, ()), lock=lock)
        if found.history or found.score.get("images"):
            results[name] = found
            tags = origin.tags(lock, f"train@{name}", f"evaluate@{name}")
            trained[name] = trainings.Origin(tags=tags, datasets=_datasets(config, name))
    return [
        *(
            paper_tables.experiment(table, rows, origins={"": origin.tags(lock, "tables"), **origins}, profile=profile)
            for table, rows in tables.values()
        ),
        trainings.experiment(config, results, origins=trained),
        paper_tables.whole(
            tables,
            files=parts,
            report=[*report.get("", ()), *figures.get("", ()), *parts["scores"]],
            origin=origin.tags(lock, "tables", "figures", "report"),
            profile=profile,
        ),
    ]


def _best(config: Config) -> registered_model.Model | None:
    """The best net at stride 8 as a model; None where none was scored, or its checkpoint isn't known."""
    places = Places(config)
    scores = read_json(places.tables / "scores.json")
    score = card.best(config, scores["scores"])
    if score is None:
        return None
    name = str(score["run"])
    path = places.net(name)
    known = origin.checkpoint(_lock_file(config), f"train@{name}", path.as_posix())
    md5 = known.get("checkpoint.md5") or (_upload(path, "").md5 if path.exists() else None)
    if md5 is None:
        return None
    return registered_model.Model(
        name=f"{config.profile}-fcn{card.STRIDE}s",
        run=name,
        checkpoint=path.as_posix(),
        md5=md5,
        card=card.card(config, score, departures=scores["departures"].get(name, [])),
        script=str(_SCRIPT),
    )


def begun(config: Config, name: str, *, environment: Mapping[str, object]) -> Entry:
    """What a training's run shall say when it starts."""
    place = trainings.Origin(tags={"dvc.stage": f"train@{name}", **made()}, datasets=_datasets(config, name))
    return trainings.begun(config, name, environment=environment, origin=place)


def made() -> dict[str, str]:
    """Where and by what a run was made. It doesn't count for the digest: it changes without any result doing so."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    tags = {
        "git.commit": commit,
        "prefect.flow_run": os.environ.get("PREFECT__FLOW_RUN_ID", ""),
        "mlflow": version("mlflow"),
    }
    return {key: value for key, value in tags.items() if value}


def _datasets(config: Config, name: str) -> list[Dataset]:
    """The pictures that a run is trained and scored on, as far as they are here."""
    places, found = Places(config), []
    for ref, context in ((config.run(name).train, "training"), (config.run(name).val, "validation")):
        manifest = places.raw(ref.source) / "manifest.json"
        if manifest.exists():
            digest = str(read_json(manifest)["sha256"])[:16]
            path = places.raw(ref.source).as_posix()
            found.append(Dataset(name=f"{ref.source}/{ref.list}", digest=digest, path=path, context=context))
    return found


def _results(
    name: str, places: Places, scores: Mapping[str, Any], figures: Sequence[Upload], *, lock: Mapping[str, Any]
) -> trainings.Results:
    history, histogram = places.history(name), places.histogram(name)
    lines = history.read_text(encoding="utf-8").splitlines() if history.exists() else []
    return trainings.Results(
        score=next((item for item in scores["scores"] if item["run"] == name), {}),
        departures=scores["departures"].get(name, []),
        history=[json.loads(line) for line in lines],
        cost=_json(places.cost(name)),
        classes=_json(places.classes(name)),
        confusion=np.load(histogram).tolist() if histogram.exists() else [],
        figures=figures,
        checkpoint=origin.checkpoint(lock, f"train@{name}", places.net(name).as_posix()),
    )


def _json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = read_json(path) if path.exists() else {}
    return found


def _uploads(root: Path, *, runs: Sequence[str]) -> dict[str, list[Upload]]:
    """The files below `root` by the run that their path names, the longest name counts; "" has those of no run."""
    found: dict[str, list[Upload]] = {}
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        inner = path.relative_to(root)
        owner = max((run for run in runs if run in inner.as_posix()), key=len, default="")
        found.setdefault(owner, []).append(_upload(path, (root.name / inner.parent).as_posix()))
    return found


def _upload(path: Path, folder: str) -> Upload:
    with path.open("rb") as file:
        return Upload(path=path, folder=folder, md5=hashlib.file_digest(file, "md5").hexdigest())


def _lock_file(config: Config) -> dict[str, Any]:
    path = Path(config.params).with_name("dvc.lock")
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8")) or {} if path.exists() else {}
    except yaml.YAMLError as error:
        message = f"{path} is not YAML ({' '.join(str(error).split())}); a merge may have left marks in it: mend it"
        raise InputError(message) from None
