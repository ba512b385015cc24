"""The flow `evaluate`: the scores of all runs, and the forward times."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.dag import SAMPLE
from flows.entry import outcome, run_name, start
from flows.slices import plan
from flows.walking import Manner, walk


@flow(name="evaluate", flow_run_name=run_name)
def evaluate(
    profile: str = SAMPLE,
    runs: list[str] | None = None,
    force: bool = False,
    gpus: list[int] | None = None,
    keep_going: bool = True,
    without: list[str] | None = None,
) -> State[Any]:
    """Bring scores and forward times up to date, and whatever stale stage they need.

    Args:
        profile: sample, or the name of a folder below profiles/.
        runs: names of the runs to score. None: all runs.
        force: do every stage of this slice, also those that are up to date.
        gpus: ids of the GPUs to work on, one stage each. None: as the environment says.
        keep_going: after a failure, do what doesn't need the failed stage; otherwise nothing new is begun.
        without: names of stages that are left out, with all that needs them.

    """
    how = Manner(profile=profile, gpus=gpus or (), keep_going=keep_going)
    return outcome(lambda: walk(plan("evaluate", profile=profile, runs=runs, force=force, without=without), how=how))


if __name__ == "__main__":
    start(evaluate)
