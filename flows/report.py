"""The flow `report`: tables, figures, the report and MLflow, and the results as artifacts in Prefect."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.artifacts import show_results
from flows.dag import SAMPLE
from flows.entry import outcome, run_name, start
from flows.slices import plan
from flows.walking import Manner, walk


@flow(name="report", flow_run_name=run_name)
def report(
    profile: str = SAMPLE,
    runs: list[str] | None = None,
    force: bool = False,
    gpus: list[int] | None = None,
    keep_going: bool = True,
    without: list[str] | None = None,
) -> State[Any]:
    """Bring tables, figures, report and MLflow up to date, and whatever stale stage they need; show them in Prefect.

    Args:
        profile: sample, or the name of a folder below profiles/.
        runs: names of runs; of the others no stale stage is done, and their rows are as they are. None: all runs.
        force: do every stage of this slice, also those that are up to date.
        gpus: ids of the GPUs to work on, one stage each. None: as the environment says.
        keep_going: after a failure, do what doesn't need the failed stage; otherwise nothing new is begun.
        without: names of stages that are left out, with all that needs them.

    """
    how = Manner(profile=profile, gpus=gpus or (), keep_going=keep_going)
    ended = outcome(lambda: walk(plan("report", profile=profile, runs=runs, force=force, without=without), how=how))
    show_results(profile, return_state=True)  # also what is there of an unfinished report; a view fails nothing
    return ended


if __name__ == "__main__":
    start(report)
