"""MLflow as others see it: what it holds, read through its own client, and a server of its own."""

import itertools
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run

PASSWORD = "pass/word-of-nobody"  # in addresses; the slash should have been escaped, and people forget that
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "DO_NOT_TRACK": "1"}
START_SECONDS = 180.0
_ADDRESSES = itertools.count()


def client(uri: str) -> "MlflowClient":
    """MLflow's client; the module is imported late, it takes a second."""
    os.environ.update(QUIET)
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def sqlite(root: Path) -> str:
    """An address of the database that publish makes in a project's root.

    A client keeps the file open that it found at an address, also when another has come there; so no two are equal.
    """
    return f"sqlite:///{root}{'/.' * next(_ADDRESSES)}/mlflow.db"


def held(reader: "MlflowClient") -> dict[str, "list[Run]"]:
    """All that isn't deleted: runs by experiment, in the order of their tag `row`."""
    found = {}
    for experiment in reader.search_experiments():
        if experiment.name != "Default":
            found[experiment.name] = list(reader.search_runs([experiment.experiment_id], order_by=["tags.row ASC"]))
    return found


def identities(reader: "MlflowClient") -> dict[str, dict[str, str]]:
    """Run ids by experiment and row; a row that stands twice is an error."""
    found = {}
    for title, runs in held(reader).items():
        found[title] = {str(run.info.run_name): run.info.run_id for run in runs}
        assert len(found[title]) == len(runs), f"{title}: {[run.info.run_name for run in runs]}"
    return found


def complete(reader: "MlflowClient", root: Path) -> dict[str, dict[str, str]]:
    """Run ids by experiment and row, if MLflow has what published.json says, every run whole and ended, none twice."""
    found = identities(reader)
    published = json.loads((root / "data" / "sample" / "published.json").read_text(encoding="utf-8"))["experiments"]
    assert set(found) == set(published)
    for title, runs in held(reader).items():
        assert {str(run.info.run_name): run.data.tags["digest"] for run in runs} == published[title]
        assert {run.info.status for run in runs} == {"FINISHED"}
        rows = {str(run.info.run_name): run.info.run_id for run in runs if run.data.metrics}
        assert {key: model.source_run_id for key, model in models(reader, title).items()} == rows
    return found


def models(reader: "MlflowClient", title: str) -> dict[str, "LoggedModel"]:
    """The models of an experiment's rows by the name of their run; a row with two is an error."""
    experiment = reader.get_experiment_by_name(title)
    assert experiment is not None
    found = [model for model in reader.search_logged_models([experiment.experiment_id]) if "row" in model.tags]
    named = {str(reader.get_run(str(model.source_run_id)).info.run_name): model for model in found}
    assert len(named) == len(found), f"{title}: {[model.name for model in found]}"
    return named


def with_password(address: str) -> str:
    """The address as somebody gives it who has to say who they are; our servers ask nobody."""
    return address.replace("://", f"://somebody:{PASSWORD.replace('/', '%2F')}@")


def tells(*texts: str, below: Path) -> list[str]:
    """Which of these texts, and of the files below a folder, have the password of such an address in them."""
    texts += tuple(path.read_text("utf-8", "replace") for path in below.rglob("*") if path.is_file())
    return [text[:2000] for text in texts if "word-of-nobody" in text]


def count(database: Path, where: str = "1") -> int:
    """Runs in a database, deleted ones too; 0 while there is none yet."""
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=60)) as connection:
            return int(connection.execute(f"SELECT count(*) FROM runs WHERE {where}").fetchone()[0])
    except sqlite3.OperationalError:  # no file, or no tables in it
        return 0


def publishing(repository: Path, root: Path) -> "subprocess.Popen[str]":
    """Start `python -m fcn publish`, and return at once."""
    command = [sys.executable, "-m", "fcn", "publish"]
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    return subprocess.Popen(command, cwd=root, env=environment, stderr=subprocess.PIPE, text=True)


def free_port() -> int:
    """A port of this machine that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def ui(root: Path, repository: Path, *, port: int) -> Iterator[str]:
    """What `make ui` starts, by the Makefile's own line, on mlflow.db in `root`; as `server` otherwise."""
    makefile = (repository / "Makefile").read_text(encoding="utf-8")
    line = next(line for line in makefile.splitlines() if "fcn.serving.ui:app" in line)
    line = line.strip("\t@").replace("$(BIN)/python", sys.executable).replace("$(PORT)", str(port))
    with _serving(["sh", "-c", line], root, port=port, PYTHONPATH=str(repository)) as address:
        yield address


@contextmanager
def server(root: Path, *, port: int, store: str | None = None) -> Iterator[str]:
    """A real `mlflow server` on a database, or on `server.db` in `root`.

    Yields its address, then kills it with all that it started.
    """
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--backend-store-uri",
        store or f"sqlite:///{root / 'server.db'}",
    ]
    command += ["--artifacts-destination", str(root / "kept"), "--port", str(port), "--workers", "1"]
    with _serving(command, root, port=port) as address:
        yield address


@contextmanager
def _serving(command: list[str], root: Path, *, port: int, **environment: str) -> Iterator[str]:
    address = f"http://127.0.0.1:{port}"
    with (root / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=root,
            env={**os.environ, **QUIET, **environment},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            _wait_for(process, address, root / "server.log")
            yield address
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_for(process: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text(encoding="utf-8")
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5):
                return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.2)
    raise AssertionError(f"no answer in {START_SECONDS} s: {log.read_text(encoding='utf-8')}")
