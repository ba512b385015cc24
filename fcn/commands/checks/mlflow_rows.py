"""MLflow: runs that it takes for running though their process is gone, and numbers that are not the files'."""

import math
import os
import socket
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fcn.commands.checks.finding import Finding, command_of, ours, repro, some
from fcn.config import Config
from fcn.publishing import tracking
from fcn.publishing.follower import HOST, PID
from fcn.stages.places import Places

_RUNNING, _NUMBERS = "mlflow runs", "numbers: MLflow"
_CLOSE = 1e-9


class Row(NamedTuple):
    """A run of MLflow that isn't deleted, with each metric's last value."""

    experiment: str
    name: str
    identity: str
    status: str
    metrics: Mapping[str, float]
    tags: Mapping[str, str]


def check(config: Config) -> Iterator[Finding]:
    """Read every run once; nothing is made where there is none."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or tracking.DEFAULT_URI
    path = Path(uri.partition(":///")[2])
    if uri.startswith("sqlite:") and not (path.exists() and path.stat().st_size):
        message = f"there is no {path}, so MLflow shows nothing"
        first = "" if Places(config).tables.exists() else f"once `{repro(config)}` has made the tables, "
        yield Finding(_NUMBERS, "warning", message, f"{first}`{ours(config, 'publish')}` fills it from the files")
        return
    try:
        rows = list(_rows(uri))
    except Exception as error:  # MLflow's own, requests', sqlalchemy's, and what a strange answer leads to
        why = f"{type(error).__name__}: {tracking.brief(error)}"
        cure = "start that server, or set MLFLOW_TRACKING_URI to another; a damaged mlflow.db is deleted and published"
        yield Finding(_RUNNING, "broken", f"can't be read: {uri}: {why}", cure)
        return
    yield _running(rows, uri=uri)
    if Places(config).tables.exists():
        yield _numbers(config, {(row.experiment, row.name): row.metrics for row in rows if tracking.DIGEST in row.tags})


def _rows(uri: str) -> Iterator[Row]:
    if "://" in uri and not uri.startswith(("http", "databricks", "file")):
        yield from _rows_of_database(uri)
        return
    os.environ.update({key: value for key, value in tracking.QUIET.items() if key not in os.environ})
    client = tracking.connected(uri)
    for experiment in client.search_experiments():
        for run in tracking.runs(client, experiment.experiment_id):
            info, data = run.info, run.data
            yield Row(experiment.name, str(info.run_name), info.run_id, info.status, data.metrics, data.tags)


def _rows_of_database(uri: str) -> Iterator[Row]:
    """By SQL: MLflow's client takes two seconds to load, and would make a database of a file that is none."""
    import sqlalchemy as sql

    def of_runs(table: str) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = defaultdict(dict)
        columns: list[sql.ColumnClause[Any]] = [sql.column(name) for name in ("run_uuid", "key", "value")]
        for run, key, value in connection.execute(sql.select(sql.table(table, *columns))):
            found[run][key] = value
        return found

    active = "SELECT e.name, r.name, r.run_uuid, r.status FROM runs r JOIN experiments e USING (experiment_id) "
    active += "WHERE r.lifecycle_stage = 'active' AND e.lifecycle_stage = 'active'"
    read_only = f"sqlite:///file:{uri.partition(':///')[2]}?mode=ro&uri=true" if uri.startswith("sqlite:") else uri
    with sql.create_engine(read_only, poolclass=sql.pool.NullPool).connect() as connection:
        metrics, tags = of_runs("latest_metrics"), of_runs("tags")
        for experiment, name, run, status in connection.execute(sql.text(active)):
            yield Row(experiment, str(name), run, status, metrics[run], tags[run])


def _running(rows: Sequence[Row], *, uri: str) -> Finding:
    """Look for each running run's process; on another machine nobody here can tell."""
    running, dead, elsewhere = [row for row in rows if row.status == "RUNNING"], [], []
    for row in running:
        host, pid = row.tags.get(HOST, ""), row.tags.get(PID, "")
        process = f", process {pid} on {host}" if host and pid else ""
        shown = f"{row.name} in {row.experiment!r} ({row.identity}{process})"
        if host not in (socket.gethostname(), socket.getfqdn()) or not pid.isdecimal():
            elsewhere.append(shown)
        elif (words := command_of(int(pid))) is None or (words and "fcn" not in words):
            dead.append(shown)
    if dead:
        cure = "run the training again, it goes on in the same run; or delete the run in MLflow"
        return Finding(_RUNNING, "broken", f"RUNNING, but the process is gone: {some(dead)}", cure)
    message = f"{len(running) or 'none'} running"
    if elsewhere:
        message += f"; of another machine, or without the tags that name their process: {some(elsewhere)}"
        cure = "look whether they still run; publishing again completes what publish left"
        return Finding(_RUNNING, "warning", message, cure)
    return Finding(_RUNNING, "ok", f"{message} ({uri})")


def _numbers(config: Config, published: Mapping[tuple[str, str], Mapping[str, float]]) -> Finding:
    """Compare each metric of each row with what publish would write there now."""
    from fcn.stages.publish import wanted

    try:
        expected = {(item.name, entry.name): entry.metrics for item in wanted(config) for entry in item.entries}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"can't be compared: the files aren't of this params.yaml ({type(error).__name__}: {error})"
        return Finding(_NUMBERS, "warning", message, f"`{repro(config)}` makes them anew; ask again after it")
    if not any(name.startswith(f"{config.profile} / ") for name, _ in published):
        message = f"MLflow has other profiles' rows, and none of {config.profile}"
        return Finding(_NUMBERS, "warning", message, f"publish, the last stage of `{repro(config)}`, writes them")
    surplus = [key for key in published.keys() - expected.keys() if key[0].startswith(f"{config.profile} / ")]
    wrong = [f"{', '.join(key)} is of nothing in the files" for key in surplus]
    for key, metrics in expected.items():
        shown = published.get(key, {})
        for name, value in metrics.items():
            if abs(shown.get(name, math.inf) - value) > _CLOSE:
                what = f"{shown[name]:g}" if name in shown else "nothing"
                wrong.append(f"{', '.join(key)}, {name}: {what}, the files have {value:.4g}")
    if wrong:
        cure = f"`{ours(config, 'publish')}` replaces what changed; delete in MLflow what is named still"
        return Finding(_NUMBERS, "broken", f"{len(wrong)} differ: {some(wrong, most=3)}", cure)
    return Finding(_NUMBERS, "ok", f"all {sum(map(len, expected.values())):,} are those of the files")
