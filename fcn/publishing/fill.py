"""Brings an experiment of MLflow into line with what it shall hold; done twice, the second changes nothing."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from fcn.publishing import tracking
from fcn.publishing.experiment import Entry, Experiment
from fcn.publishing.tracking import DIGEST

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Metric, Run

_UNFINISHED = "unfinished"  # what the digest says until all else is there

Say = Callable[[str], None]


def fill(
    client: "MlflowClient", wanted: Experiment, *, profile: str, uri: str, made: Mapping[str, str], say: Say
) -> tuple[str, dict[str, str]]:
    """Bring one experiment into line; its id and its runs' ids by row are returned.

    `made` are tags of where this is done, for the runs that have to be made.
    """
    identity = tracking.experiment(client, wanted, profile=profile, uri=uri)
    entries = {entry.name: entry for entry in wanted.entries}
    whole: dict[str, str] = {}
    begun: list[Run] = []  # by a training that was followed, by a publish that was interrupted, or by somebody else
    surplus: list[Run] = []
    models = tracking.models(client, identity)
    for run in tracking.runs(client, identity):
        name, digest = run.info.run_name or "", run.data.tags.get(DIGEST, "")
        lacking = name in entries and entries[name].metrics and run.info.run_id not in models
        if name in entries and name not in whole and entries[name].digest == digest and not lacking:
            whole[name] = run.info.run_id
            tracking.tag(client, run, entries[name].origin)
        else:
            (begun if digest in ("", _UNFINISHED) else surplus).append(run)
    fresh = [entry for entry in wanted.entries if entry.name not in whole]
    for entry in reversed(fresh):  # because MLflow lists the newest first
        found = _completable(entry, begun)
        whole[entry.name] = _complete(client, identity, entry, made=made, begun=found, models=models)
    surplus += [run for run in begun if DIGEST in run.data.tags and run.info.run_id not in whole.values()]
    for run in surplus:  # after the new ones are whole, so that no row is ever without a run
        if run.info.status == "RUNNING":
            client.set_terminated(run.info.run_id, "KILLED")
        client.delete_run(run.info.run_id)
    for key in models.keys() - set(whole.values()):
        client.delete_logged_model(models[key].model_id)
    say(f"{wanted.name}: {len(fresh)} runs added, {len(entries) - len(fresh)} kept, {len(surplus)} removed")
    return identity, whole


def drop_others(client: "MlflowClient", *, profile: str, names: Sequence[str], say: Say) -> None:
    """Delete experiments of the profile that its files no longer fill."""
    for found in client.search_experiments(filter_string=f"tags.{tracking.PROFILE} = '{profile}'"):
        if found.name not in names:
            client.delete_experiment(found.experiment_id)
            say(f"{found.name}: removed, nothing fills it any more")


def _completable(entry: Entry, begun: "Sequence[Run]") -> "Run | None":
    """The newest run of this very training that says nothing else than the files do."""
    fitting = (
        run
        for run in begun
        if tracking.is_of(run, entry)
        and all(run.data.params.get(key, value) == value for key, value in entry.params.items())
        and all(run.data.metrics.get(key, value) == value for key, value in entry.metrics.items())
    )
    return next(fitting, None)


def _complete(
    client: "MlflowClient",
    identity: str,
    entry: Entry,
    *,
    made: Mapping[str, str],
    begun: "Run | None",
    models: "Mapping[str, LoggedModel]",
) -> str:
    """Make one run whole, from nothing or from what there is of it; its digest comes last.

    Its duration in MLflow is that of the work.
    """
    took = round(1000 * entry.seconds)
    run = begun or client.create_run(
        identity, start_time=tracking.now() - took, tags={DIGEST: _UNFINISHED}, run_name=entry.name
    )
    key, began = str(run.info.run_id), run.info.start_time
    ended = run.info.end_time or began + took
    lacking = {tag: value for tag, value in made.items() if tag not in run.data.tags}
    tracking.describe(client, run, entry, {**lacking, DIGEST: _UNFINISHED})
    model = tracking.model(client, run, entry, found=models.get(key)) if entry.metrics else None
    there = tracking.steps(client, key, entry.curves) if begun else set()
    numbers = _numbers(entry, began=began, ended=ended, model=model)
    client.log_batch(key, metrics=[point for point in numbers if (point.key, point.step) not in there])
    for file, text in entry.texts.items():
        client.log_text(key, text, file)
    for artifact, path in entry.files.items():
        client.log_artifact(key, str(path), artifact.rpartition("/")[0] or None)
    if run.info.status != "FINISHED":
        client.set_terminated(key, "FINISHED", end_time=ended)
    client.set_tag(key, DIGEST, entry.digest)
    return key


def _numbers(entry: Entry, *, began: int, ended: int, model: str | None) -> "list[Metric]":
    """The metrics, also the row's model's, and the curves with their steps spread over the time that the work took.

    What is logged again with its time and value is in MLflow once.
    """
    from mlflow.entities import Metric

    numbers = [Metric(key, value, ended, 0, model_id=model) for key, value in entry.metrics.items()]
    for key, points in entry.curves.items():
        last = max(step for step, _ in points)
        numbers += [Metric(key, value, began + (ended - began) * step // max(last, 1), step) for step, value in points]
    return numbers
