"""The flow `reproduce`: the whole graph, slice by slice. `python -m flows.reproduce`, or a deployment of it."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.flows import Flow

from fcn.errors import InputError, StageFailure
from flows import elsewhere
from flows.dag import SAMPLE
from flows.entry import outcome, run_name, start
from flows.evaluate import evaluate
from flows.prepare import prepare
from flows.report import report
from flows.slices import names
from flows.train import train
from flows.walking import NotAllDone


@flow(name="reproduce", flow_run_name=run_name)
def reproduce(
    profile: str = SAMPLE,
    runs: list[str] | None = None,
    force: bool = False,
    gpus: list[int] | None = None,
    keep_going: bool = True,
    train_on: str | None = None,
    remote: str | None = None,
) -> State[Any]:
    """Rebuild everything of a profile that is stale; DVC decides what that is, and remembers the results.

    Args:
        profile: sample, or the name of a folder below profiles/.
        runs: names of runs; stages of the others are left as they are. None: all runs.
        force: run every stage, also those that are up to date.
        gpus: ids of the GPUs to work on, one training each. None: as the environment says.
        keep_going: after a failure, do what doesn't need the failed stage; otherwise nothing new is begun.
        train_on: deployment of the flow `train` on another machine, as train/gpu, which then trains, on its GPUs.
        remote: name of the DVC remote over which results travel to and from there. None: the default one.

    """
    here = None if train_on else gpus
    undone: dict[str, str] = {}
    elsewhere_failed: list[str] = []

    def then(step: Flow[..., State[Any]], **more: Any) -> None:
        if (undone or elsewhere_failed) and not keep_going:
            return
        left_out = sorted(undone)
        given = {"profile": profile, "runs": runs, "keep_going": keep_going, "without": left_out, **more}
        state: State[Any] = step(**given, return_state=True)
        undone.update(_undone(state, step=step.name))

    def work() -> None:
        every = names(profile, runs=runs)
        if train_on and force:
            raise InputError("force and train_on exclude each other; run train with force on the other machine")
        if train_on:
            elsewhere.check(train_on, remote=remote)
        then(prepare, force=force)
        if train_on and (keep_going or not undone):
            wanted = {"profile": profile, "runs": runs, "gpus": gpus, "keep_going": keep_going, "remote": remote}
            try:
                elsewhere.train(train_on, parameters={**wanted, "without": sorted(undone)})
            except StageFailure as error:
                elsewhere_failed.append(str(error))
        then(train, force=force, gpus=here, only_fetch=train_on is not None, remote=remote)
        then(evaluate, force=force, gpus=here)
        then(report, force=force, gpus=here)
        if elsewhere_failed:
            raise StageFailure("\n".join([*elsewhere_failed, *(f"{name}: {state}" for name, state in undone.items())]))
        if undone:
            raise NotAllDone(undone, of=len(every))

    return outcome(work)


def _undone(state: State[Any], *, step: str) -> dict[str, str]:
    """The stages of a slice that were not done, with their states."""
    if state.is_completed():
        return {}
    error = state.result(raise_on_failure=False)
    if isinstance(error, NotAllDone):
        return error.stages
    raise StageFailure(f"{step}: {state.message}")


if __name__ == "__main__":
    start(reproduce)
