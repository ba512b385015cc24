"""Brings an experiment of MLflow into line with what it shall hold; done twice, the second changes nothing."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from fcn.publishing import live, store
from fcn.publishing.ledger import Entry, Experiment
from fcn.publishing.store import BATCH, DIGEST, PROFILE

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

_UNFINISHED = "unfinished"

Say = Callable[[str], None]


def fill(
    client: "MlflowClient", wanted: Experiment, *, profile: str, uri: str, made: Mapping[str, str], say: Say
) -> tuple[str, dict[str, str]]:
    """Bring one experiment into line; its id and its runs' ids by row are returned.

    `made` are tags of where this is done, for the runs that have to be made.
    """
    identity = store.experiment(client, wanted, profile=profile, uri=uri)
    entries = {entry.name: entry for entry in wanted.entries}
    kept: dict[str, str] = {}
    surplus: list[Run] = []
    followed: list[Run] = []
    for found in store.runs(client, identity):
        digest, title = found.data.tags.get(DIGEST), found.info.run_name or ""
        if digest is None or (digest == _UNFINISHED and live.HOST in found.data.tags):
            followed.append(found)  # a training's own run, or somebody's
        elif title in entries and title not in kept and entries[title].digest == digest:
            kept[title] = found.info.run_id
            _retag(client, found, entries[title].origin)
        else:
            surplus.append(found)
    fresh = [entry for entry in wanted.entries if entry.name not in kept]
    for entry in fresh:
        kept[entry.name] = _add(client, identity, entry, made=made, adopted=live.run_of(client, entry, followed))
    for gone in surplus:  # after the new ones are whole, so that no row is ever without a run
        if gone.info.status == "RUNNING":
            client.set_terminated(gone.info.run_id, "KILLED")
        client.delete_run(gone.info.run_id)
    say(f"{wanted.name}: {len(fresh)} runs added, {len(entries) - len(fresh)} kept, {len(surplus)} removed")
    return identity, kept


def drop_others(client: "MlflowClient", *, profile: str, names: Sequence[str], say: Say) -> None:
    """Delete experiments of the profile that its files no longer fill."""
    for found in client.search_experiments(filter_string=f"tags.{PROFILE} = '{profile}'"):
        if found.name not in names:
            client.delete_experiment(found.experiment_id)
            say(f"{found.name}: removed, nothing fills it any more")


def _retag(client: "MlflowClient", found: "Run", tags: Mapping[str, str]) -> None:
    for key, value in tags.items():
        if found.data.tags.get(key) != value:
            client.set_tag(found.info.run_id, key, value)


def _add(client: "MlflowClient", identity: str, entry: Entry, *, made: Mapping[str, str], adopted: "Run | None") -> str:
    """Make one run whole, from nothing or from what a training left of it; its digest comes last.

    Its duration in MLflow is that of the work.
    """
    from mlflow.entities import Param

    tags = {**entry.tags, **entry.origin, "mlflow.note.content": entry.note, DIGEST: _UNFINISHED}
    if adopted is None:
        ended = time.time_ns() // 1_000_000
        began = ended - round(1000 * entry.seconds)
        run = client.create_run(identity, start_time=began, tags={**tags, **made}, run_name=entry.name).info.run_id
        logged, params = set(), entry.params
    else:
        run, began = adopted.info.run_id, adopted.info.start_time
        ended = adopted.info.end_time or began + round(1000 * entry.seconds)
        for key, value in ({**made, **adopted.data.tags} | tags).items():
            if adopted.data.tags.get(key) != value:
                client.set_tag(run, key, value)
        logged = store.steps(client, run, list(entry.metrics) + list(entry.curves))
        params = {key: value for key, value in entry.params.items() if key not in adopted.data.params}
    client.log_batch(run, params=[Param(key, value) for key, value in params.items()])
    numbers = [point for point in _numbers(entry, began=began, ended=ended) if (point.key, point.step) not in logged]
    for start in range(0, len(numbers), BATCH):
        client.log_batch(run, metrics=numbers[start : start + BATCH])
    if entry.datasets:
        client.log_inputs(run, live.inputs(entry.datasets))
    for file, text in entry.texts.items():
        client.log_text(run, text, file)
    for upload in entry.uploads:
        client.log_artifact(run, str(upload.path), upload.folder or None)
    if entry.table:
        client.log_table(run, {key: list(column) for key, column in entry.table.items()}, "table.json")
    if adopted is None or adopted.info.status != "FINISHED":
        client.set_terminated(run, "FINISHED", end_time=ended)
    client.set_tag(run, DIGEST, entry.digest)
    return str(run)


def _numbers(entry: Entry, *, began: int, ended: int) -> "list[Metric]":
    """The metrics, and the curves with their steps spread over the time that the work took."""
    from mlflow.entities import Metric

    numbers = [Metric(key, value, ended, 0) for key, value in entry.metrics.items()]
    for key, points in entry.curves.items():
        last = max(step for step, _ in points)
        numbers += [Metric(key, value, began + (ended - began) * step // max(last, 1), step) for step, value in points]
    return numbers
