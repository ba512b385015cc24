"""MLflow's own side: how its client is made, and what makes an address of it usable."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fcn.errors import InputError, StageFailure, without_secrets
from fcn.files import exclusive
from fcn.publishing import shared_view
from fcn.publishing.experiment import ROW, Entry, Experiment

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run

DEFAULT_URI = "sqlite:///mlflow.db"
PROFILE, SETTINGS = "profile", "settings"
DIGEST = "digest"  # the tag of a run that is whole
# Read when mlflow is imported. An unreachable server is to be known in seconds, not after minutes of retries.
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
}
MODEL_TYPE = "semantic segmentation"
_MOST_RUNS = 50_000  # MLflow's own limit for one request
_NOT_IN_MODELS = str.maketrans(dict.fromkeys("/:.%\"'", "·"))  # what MLflow refuses in a model's name


def connected(uri: str) -> "MlflowClient":
    """MLflow's client; a database that isn't there is made, so hold the lock of `alone` the first time."""
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def failures() -> tuple[type[Exception], ...]:
    """What MLflow's client raises where its server or database doesn't do as it should."""
    from mlflow.exceptions import MlflowException
    from requests import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    return MlflowException, RequestException, SQLAlchemyError, ModuleNotFoundError  # the last: a database's driver


@contextmanager
def failing_clearly(uri: str) -> Iterator[None]:
    """Turn MLflow's exceptions into a sentence with the address in it."""
    try:
        yield
    except failures() as error:
        advice = "Start that server, set MLFLOW_TRACKING_URI to another, or unset it to use mlflow.db here"
        if uri.startswith("sqlite:"):
            advice = f"If the database is damaged or of another version of MLflow, delete {database(uri)}"
        message = f"MLflow at {uri} could not be filled: {brief(error)}. {advice}; the same command then does the rest"
        raise StageFailure(message) from error


def brief(error: Exception) -> str:
    """What an exception says, on one line that isn't too long; cut after its secrets are out, not within one."""
    why = without_secrets(" ".join(str(error).split()))
    return why if len(why) < 300 else f"{why[:300]}..."


@contextmanager
def alone(uri: str, *, patience_seconds: float, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock beside the database, so that two neither create it at once nor fill it twice."""
    path = database(uri).with_name(f"{database(uri).name}.lock")
    try:
        with exclusive(path, patience_seconds=patience_seconds, waiting=waiting):
            yield
    except BlockingIOError:
        message = f"another publish holds {path}; wait for it, or end it and run the same command again"
        raise StageFailure(message) from None


def database(uri: str) -> Path:
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


def experiment(client: "MlflowClient", wanted: Experiment, *, profile: str, uri: str) -> str:
    """The id of the experiment of this name, which is made or brought back if need be; it says what it is."""
    identity = _identity(client, wanted.name, uri=uri)
    link = shared_view.link("", identity).removeprefix("/")  # the page's own server, whichever that is
    tags = {
        PROFILE: profile,
        "mlflow.note.content": f"{wanted.title} ([as a table]({link})). {wanted.note}",
        shared_view.TAG: shared_view.saved(wanted),
    }
    there = client.get_experiment(identity).tags
    for key, value in tags.items():
        if there.get(key) != value:
            client.set_experiment_tag(identity, key, value)
    return identity


def _identity(client: "MlflowClient", name: str, *, uri: str) -> str:
    """The experiment of this name, made or brought back if need be.

    MLflow writes down where artifacts lie as an absolute path. A database that was moved or copied with the project
    would still send them to the old place, so its experiments are set aside and made anew.
    """
    local = "://" in uri and not uri.startswith(("http", "databricks"))
    artifacts = database(uri).resolve().with_name("mlartifacts").as_uri() if local else None
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


def runs(client: "MlflowClient", identity: str) -> "list[Run]":
    """All of the experiment's runs that aren't deleted, the newest first."""
    return list(client.search_runs([identity], max_results=_MOST_RUNS))


def models(client: "MlflowClient", identity: str) -> "dict[str, LoggedModel]":
    """The models of the experiment's rows, by run; of registered ones and somebody's own there are others."""
    found: list[LoggedModel] = []
    token = None
    while token != "":
        page = client.search_logged_models([identity], page_token=token)
        found, token = [*found, *page], page.token or ""
    return {str(item.source_run_id): item for item in found if ROW in item.tags}


def model(client: "MlflowClient", run: "Run", entry: Entry, *, found: "LoggedModel | None") -> str:
    """The id of the model of a row, which is made if need be: a name for its numbers, without any file."""
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus

    key = run.info.run_id
    if found is None:
        found = client.create_logged_model(
            run.info.experiment_id,
            name=entry.name.translate(_NOT_IN_MODELS),
            source_run_id=key,
            tags={ROW: entry.origin[ROW], **entry.tags},
            params=dict(entry.params),
            model_type=MODEL_TYPE,
        )
    identity = str(found.model_id)
    if identity not in {item.model_id for item in (run.outputs.model_outputs if run.outputs else ())}:
        client.log_outputs(key, [LoggedModelOutput(identity, step=0)])
    client.finalize_logged_model(identity, LoggedModelStatus.READY)
    return identity


def is_of(run: "Run", entry: Entry) -> bool:
    """Whether a run is of this very training: of its name and of its settings, by their hash."""
    settings = entry.tags.get(SETTINGS)
    return settings is not None and (run.info.run_name, run.data.tags.get(SETTINGS)) == (entry.name, settings)


def steps(client: "MlflowClient", run: str, keys: Iterable[str]) -> set[tuple[str, int]]:
    """Which steps of these curves a run has."""
    return {(key, point.step) for key in keys for point in client.get_metric_history(run, key)}


def tag(client: "MlflowClient", run: "Run", tags: Mapping[str, str]) -> None:
    """Give a run the tags that it lacks or has otherwise."""
    from mlflow.entities import RunTag

    changed = [RunTag(key, value) for key, value in tags.items() if run.data.tags.get(key) != value]
    client.log_batch(run.info.run_id, tags=changed)


def describe(client: "MlflowClient", run: "Run", entry: Entry, tags: Mapping[str, str]) -> None:
    """Give a run what is known from the start: what it is, settings, pictures, and `tags` beside the entry's own."""
    from mlflow import entities as mlflow

    key = run.info.run_id
    tag(client, run, {**entry.tags, **entry.origin, "mlflow.note.content": entry.note, **tags})
    lacking = [mlflow.Param(name, value) for name, value in entry.params.items() if name not in run.data.params]
    client.log_batch(key, params=lacking)
    for item in entry.datasets:
        pictures = mlflow.Dataset(item.name, item.digest, source_type="dvc", source=item.path)
        context = mlflow.InputTag("mlflow.data.context", item.context)
        client.log_inputs(key, [mlflow.DatasetInput(pictures, [context])])


def now() -> int:
    """Milliseconds, as MLflow counts time."""
    return time.time_ns() // 1_000_000
