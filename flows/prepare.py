"""The flow `prepare`: archives, raw files, labels, splits and pretrained weights."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.dag import SAMPLE
from flows.entry import outcome, run_name, start
from flows.slices import plan
from flows.walking import Manner, walk


@flow(name="prepare", flow_run_name=run_name)
def prepare(
    profile: str = SAMPLE,
    runs: list[str] | None = None,
    force: bool = False,
    keep_going: bool = True,
    without: list[str] | None = None,
) -> State[Any]:
    """Bring all that trainings need up to date: archives, raw files, labels, splits, weights.

    Args:
        profile: sample, or the name of a folder below profiles/.
        runs: names of runs; only what they need is done. None: all runs.
        force: do every stage of this slice, also those that are up to date.
        keep_going: after a failure, do what doesn't need the failed stage; otherwise nothing new is begun.
        without: names of stages that are left out, with all that needs them.

    """
    how = Manner(profile=profile, keep_going=keep_going)
    return outcome(lambda: walk(plan("prepare", profile=profile, runs=runs, force=force, without=without), how=how))


if __name__ == "__main__":
    start(prepare)
