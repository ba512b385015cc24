"""The flow `reproduce`, a task for each stage of the graph, and the flows `train` and `report` of parts of it."""

from typing import Any

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from fcn.commands.mend import mend
from fcn.errors import InputError, StageFailure
from flows import command_line, elsewhere
from flows.artifacts import show_results
from flows.dag import SAMPLE
from flows.plan import RunOptions
from flows.walking import NotAllDone, walk, write_digests


def run_name() -> str:
    """The name of the running flow run, as `train-sample-voc-fcn8s-vgg16`."""
    runs = flow_run.parameters.get("runs") or []
    more = [f"and-{len(runs) - 1}-more"] if len(runs) > 1 else []
    return "-".join([flow_run.flow_name, flow_run.parameters.get("profile", SAMPLE), *runs[:1], *more])


def bring_up_to_date(options: RunOptions) -> State[Any]:
    """What all flows do; what went wrong is the message of their state, without a traceback in the log."""
    try:
        for sentence in mend():
            get_run_logger().warning("%s", sentence)
        if options.train_on:
            elsewhere.reproduce(options.train_on, options)
        elif options.exchange:
            elsewhere.share(options)
        else:
            write_digests(options)
            walk(options)
        ended: State[Any] = Completed()
    except (InputError, StageFailure, NotAllDone) as error:
        ended = Failed(message=str(error), data=error)
    if not options.only or "report" in options.only:
        show_results(options.profile, return_state=True)  # of an unfinished report, too; a view fails nothing
    return ended


@flow(flow_run_name=run_name)
def reproduce(
    profile: str = SAMPLE,
    runs: list[str] | None = None,
    only: list[str] | None = None,
    force: bool = False,
    gpus: list[int] | None = None,
    keep_going: bool = True,
    exchange: bool = False,
    train_on: str | None = None,
    remote: str | None = None,
) -> State[Any]:
    """Rebuild everything of a profile that is stale; DVC decides what that is, and remembers the results.

    Args:
        profile: sample, or the name of a folder below profiles/.
        runs: names of runs; stages of the others are left as they are. None: all runs.
        only: slices of the graph, of code, prepare, train, evaluate, report, with what they need. None: all of it.
        force: run every stage, also those that are up to date.
        gpus: ids of the GPUs to work on, one training each. None: as the environment says.
        keep_going: after a failure, do what doesn't need the failed stage; otherwise nothing new is begun.
        exchange: take from the DVC remote what other machines have done, and give it what is done here.
        train_on: deployment of the flow `train` on another machine, as train/gpu, which then trains, on its GPUs.
        remote: name of the DVC remote for `exchange` and `train_on`. None: the default one.

    """
    return bring_up_to_date(RunOptions(**locals()))


@flow(flow_run_name=run_name)
def train(
    profile: str = SAMPLE,
    runs: list[str] | None = None,
    force: bool = False,
    gpus: list[int] | None = None,
    keep_going: bool = True,
    without: list[str] | None = None,
    exchange: bool = False,
    remote: str | None = None,
    made_of: dict[str, str] | None = None,
) -> State[Any]:
    """Bring trained networks up to date, and whatever stale stage they need; also for another machine's `reproduce`.

    Args:
        profile: sample, or the name of a folder below profiles/.
        runs: names of the runs to train; a staged one's parents are among what it needs. None: all runs.
        force: do every training, also those that are up to date.
        gpus: ids of the GPUs to train on, one training each. None: as the environment says.
        keep_going: after a failure, do what doesn't need the failed stage; otherwise nothing new is begun.
        without: names of stages that are left out, with all that needs them.
        exchange: take from the DVC remote what other machines have done, and give it what is done here.
        remote: name of that DVC remote. None: the default one.
        made_of: digests of what the stages are made of where this flow is wanted; another clone is refused.

    """
    return bring_up_to_date(RunOptions(only=["train"], **locals()))


@flow(flow_run_name=run_name)
def report(
    profile: str = SAMPLE,
    runs: list[str] | None = None,
    force: bool = False,
    gpus: list[int] | None = None,
    keep_going: bool = True,
) -> State[Any]:
    """Bring tables, figures, report and MLflow up to date, and whatever stale stage they need; show them in Prefect.

    Args:
        profile: sample, or the name of a folder below profiles/.
        runs: names of runs; of the others no stale stage is done, and their rows are as they are. None: all runs.
        force: do every stage of this slice, also those that are up to date.
        gpus: ids of the GPUs to work on, one stage each. None: as the environment says.
        keep_going: after a failure, do what doesn't need the failed stage; otherwise nothing new is begun.

    """
    return bring_up_to_date(RunOptions(only=["report"], **locals()))


if __name__ == "__main__":
    command_line.start(reproduce)
