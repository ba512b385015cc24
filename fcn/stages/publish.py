"""Stage: fill MLflow from the files; it may be deleted and is rebuilt, and publishing twice changes nothing."""

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from fcn.config import Config
from fcn.errors import InputError, StageFailure
from fcn.paper.table import every
from fcn.publishing import origin, pages, printed, redirects, trainings, views
from fcn.publishing.ledger import Entry, Experiment, Upload
from fcn.stages.places import Places, read_json, whole_folder, write_json

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

DEFAULT_URI = "sqlite:///mlflow.db"
UI = "http://127.0.0.1:5000"  # what `make ui` starts
DIGEST = "digest"  # "unfinished" until a run is complete
PROFILE = "profile"
_LOCK_SECONDS = 600.0
_BATCH = 1000  # MLflow's own limit for one request
# Read when mlflow is imported. An unreachable server is to be known in seconds, not after minutes of retries.
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
}


def run(config: Config, name: str | None) -> None:
    """Write published.json, into MLflow what it says, and a page that leads there for each experiment.

    Environment: MLFLOW_TRACKING_URI (without it mlflow.db in the project's root) and MLflow's own for its credentials;
    PREFECT__FLOW_RUN_ID, which Prefect sets in a flow run's process, becomes a tag.
    """
    if name is not None:
        raise InputError(f"publish takes no name, found {name!r}; write `python -m fcn publish`")
    experiments = wanted(config)
    uri = os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI
    with _alone(uri), _failing_clearly(uri):
        client = _client(uri)
        # The last one first, because MLflow lists the newest first.
        ids = {item.name: _publish(client, item, profile=config.profile, uri=uri) for item in reversed(experiments)}
        _drop_others(client, profile=config.profile, names=list(ids))
    rows = {item.name: {entry.name: entry.digest for entry in item.entries} for item in experiments}
    write_json(Places(config).published, {"profile": config.profile, "experiments": rows})
    served = uri.startswith("http")
    print("In MLflow:" if served else "In MLflow, which `make ui` starts:")
    with whole_folder(Places(config).views) as folder:
        for item in experiments:
            address = views.link(uri.rstrip("/") if served else UI, ids[item.name])
            page = redirects.page(item.title, address=address)
            (folder / redirects.file_name(item.name)).write_text(page, encoding="utf-8")
            print(f"  {item.name}: {address}")


def wanted(config: Config) -> list[Experiment]:
    """What MLflow shall hold of the profile, from its files; those that aren't there yet are left out."""
    places, every_run = Places(config), list(config.runs)
    scores = read_json(places.tables / "scores.json")
    tables = {}
    for key, table in every().items():
        path = places.tables / f"{key}.json"
        if not table.beside and path.exists() and printed.is_filled(found := read_json(path)):
            tables[key] = (table, found)
    lock = _lock_file(config)
    marks = {name: origin.tags(lock, [f"evaluate@{name}"]) for name in every_run}
    figures = _uploads(places.figures, runs=every_run)
    results = {name: _results(name, places, scores, figures.get(name, ())) for name in every_run}
    results = {name: item for name, item in results.items() if item.history or item.score.get("images")}
    own = [*_uploads(places.report, runs=[]).get("", ()), *figures.get("", ())]
    files = {key: [_upload(path, "") for path in sorted(places.tables.glob(f"{key}.*"))] for key in ("scores", *tables)}
    trained = {
        name: origin.tags(lock, [f"train@{name}", f"evaluate@{name}"])
        | origin.checkpoint(lock, f"train@{name}", places.net(name).as_posix())
        for name in every_run
    }
    whole = origin.tags(lock, ["tables", "figures", "report"])
    return [
        *(printed.experiment(table, rows, marks=marks, profile=config.profile) for table, rows in tables.values()),
        trainings.experiment(config, results, marks=trained),
        pages.experiment(tables, files=files, report=[*own, *files["scores"]], mark=whole, profile=config.profile),
    ]


def _results(name: str, places: Places, scores: Mapping[str, Any], figures: Sequence[Upload]) -> trainings.Results:
    history, histogram = places.history(name), places.histogram(name)
    lines = history.read_text(encoding="utf-8").splitlines() if history.exists() else []
    return trainings.Results(
        score=next((item for item in scores["scores"] if item["run"] == name), {}),
        departures=scores["departures"].get(name, []),
        history=[json.loads(line) for line in lines],
        cost=read_json(places.cost(name)) if places.cost(name).exists() else {},
        classes=read_json(places.classes(name)) if places.classes(name).exists() else {},
        confusion=np.load(histogram).tolist() if histogram.exists() else [],
        figures=figures,
    )


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


@contextmanager
def _alone(uri: str) -> Iterator[None]:
    """Hold the lock beside the database, so that two publishes neither create it at once nor fill it twice."""
    path = _database(uri).with_name(f"{_database(uri).name}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        deadline, said = time.monotonic() + _LOCK_SECONDS, False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    message = f"another publish holds {path}; wait for it, or end it and run the same command again"
                    raise StageFailure(message) from None
                if not said:
                    print("waiting for another publish to end", file=sys.stderr)
                    said = True
                time.sleep(0.2)
        yield


def _database(uri: str) -> Path:
    """The file of a sqlite database; for servers the default one, whose lock serves them too."""
    path = Path((uri if uri.startswith("sqlite:") else DEFAULT_URI).partition(":///")[2])
    if not path.name or path.is_dir():
        raise InputError(f"MLFLOW_TRACKING_URI is {uri!r}: it lacks a database's file, as in {DEFAULT_URI}")
    if path.exists() and not _is_sqlite(path):
        raise InputError(f"{path} is not a database; delete it, publish makes it anew from the files")
    return path


def _is_sqlite(path: Path) -> bool:
    """Whether the file is a database, or empty as a new one is. MLflow would try for minutes to open another."""
    with path.open("rb") as file:
        return file.read(15) in (b"", b"SQLite format 3")


@contextmanager
def _failing_clearly(uri: str) -> Iterator[None]:
    os.environ.update({key: value for key, value in _QUIET.items() if key not in os.environ})
    from mlflow.exceptions import MlflowException
    from requests import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, RequestException, SQLAlchemyError) as error:
        why = " ".join(str(error).split())
        why = why if len(why) < 300 else f"{why[:300]}..."
        advice = "Start that server, set MLFLOW_TRACKING_URI to another, or unset it to use mlflow.db here"
        if uri.startswith("sqlite:"):
            advice = f"If the database is damaged or of another version of MLflow, delete {_database(uri)}"
        message = f"MLflow at {uri} could not be filled: {why}. {advice}; the same command then does what is left"
        raise StageFailure(message) from error


def _client(uri: str) -> "MlflowClient":
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def _publish(client: "MlflowClient", wanted: Experiment, *, profile: str, uri: str) -> str:
    """Bring one experiment into line, and return its id."""
    identity = _experiment_id(client, wanted.name, uri=uri)
    link = views.link("", identity).removeprefix("/")  # the page's own server, whichever that is
    tags = {
        PROFILE: profile,
        "mlflow.note.content": f"{wanted.title} ([as a table]({link})). {wanted.note}",
        views.TAG: views.state(wanted),
    }
    here = client.get_experiment(identity).tags
    for key, value in tags.items():
        if here.get(key) != value:
            client.set_experiment_tag(identity, key, value)
    digests = {entry.name: entry.digest for entry in wanted.entries}
    kept: set[str] = set()
    surplus = []
    for found in _ours(client, identity):
        title = found.info.run_name or ""
        if title not in kept and digests.get(title) == found.data.tags[DIGEST]:
            kept.add(title)
        else:
            surplus.append(found.info)
    fresh = [entry for entry in wanted.entries if entry.name not in kept]
    origin_tags = _origin_tags() if fresh else {}
    for entry in fresh:
        _add(client, identity, entry, origin_tags=origin_tags)
    for info in surplus:  # after the new ones are whole, so that no row is ever without a run
        if info.status == "RUNNING":
            client.set_terminated(info.run_id, "KILLED")
        client.delete_run(info.run_id)
    print(f"{wanted.name}: {len(fresh)} runs added, {len(kept)} kept, {len(surplus)} removed", file=sys.stderr)
    return identity


def _experiment_id(client: "MlflowClient", name: str, *, uri: str) -> str:
    """The experiment of this name, made or brought back if need be.

    MLflow writes down where artifacts lie as an absolute path. A database that was moved or copied with the project
    would still send them to the old place, so its experiments are set aside and made anew.
    """
    artifacts = None if "://" not in uri or uri.startswith(("http", "databricks")) else _artifacts(uri)
    found = client.get_experiment_by_name(name)
    if found is not None and artifacts is not None and found.artifact_location != artifacts:
        client.rename_experiment(found.experiment_id, f"{name} ({found.experiment_id}, artifacts elsewhere)")
        if found.lifecycle_stage == "active":
            client.delete_experiment(found.experiment_id)
        found = None
    if found is None:
        return str(client.create_experiment(name, artifact_location=artifacts))
    if found.lifecycle_stage != "active":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def _artifacts(uri: str) -> str:
    return _database(uri).resolve().with_name("mlartifacts").as_uri()


def _ours(client: "MlflowClient", identity: str) -> "list[Run]":
    """The experiment's runs that this stage made, whole or not; people's own are left alone."""
    found: list[Run] = []
    token = None
    while token is None or token:
        page = client.search_runs([identity], max_results=_BATCH, page_token=token)
        found += [run for run in page if DIGEST in run.data.tags]
        token = page.token or ""
    return found


def _origin_tags() -> dict[str, str]:
    """Where the publishing was done. They don't count for the digest: they change without any result doing so."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    flow_run = os.environ.get("PREFECT__FLOW_RUN_ID", "")
    return {key: value for key, value in (("git.commit", commit), ("prefect.flow_run", flow_run)) if value}


def _add(client: "MlflowClient", identity: str, entry: Entry, *, origin_tags: Mapping[str, str]) -> None:
    """Make one run, whose duration in MLflow is that of the work; its digest comes last."""
    from mlflow.entities import Metric, Param

    ended = time.time_ns() // 1_000_000
    began = ended - round(1000 * entry.seconds)
    tags = {**entry.tags, **origin_tags, "mlflow.note.content": entry.note, DIGEST: "unfinished"}
    run = client.create_run(identity, start_time=began, tags=tags, run_name=entry.name).info.run_id
    client.log_batch(run, params=[Param(key, value) for key, value in entry.params.items()])
    numbers = [Metric(key, value, ended, 0) for key, value in entry.metrics.items()]
    for key, points in entry.curves.items():
        last = max(step for step, _ in points)
        numbers += [Metric(key, value, began + (ended - began) * step // max(last, 1), step) for step, value in points]
    for start in range(0, len(numbers), _BATCH):
        client.log_batch(run, metrics=numbers[start : start + _BATCH])
    for file, text in entry.texts.items():
        client.log_text(run, text, file)
    for upload in entry.uploads:
        client.log_artifact(run, str(upload.path), upload.folder or None)
    if entry.table:
        client.log_table(run, {key: list(column) for key, column in entry.table.items()}, "table.json")
    client.set_terminated(run, "FINISHED", end_time=ended)
    client.set_tag(run, DIGEST, entry.digest)


def _drop_others(client: "MlflowClient", *, profile: str, names: Sequence[str]) -> None:
    """Delete experiments of the profile that its files no longer fill."""
    for found in client.search_experiments(filter_string=f"tags.{PROFILE} = '{profile}'"):
        if found.name not in names:
            client.delete_experiment(found.experiment_id)
            print(f"{found.name}: removed, nothing fills it any more", file=sys.stderr)
