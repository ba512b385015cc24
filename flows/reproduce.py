"""The flow `reproduce`: a task for each stage of the graph, or of some slices of it."""

import logging
from typing import Any

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from fcn.commands.mend import mend
from fcn.errors import InputError, StageFailure
from flows import command_line, elsewhere
from flows.artifacts import last_word, show_results
from flows.dag import SAMPLE
from flows.plan import RunOptions
from flows.walking import NotAllDone, walk, write_digests

_SAID = (InputError, StageFailure, NotAllDone)  # whose words are enough


def run_name() -> str:
    """The name of the running flow run, as `reproduce-sample-train-voc-fcn8s-vgg16`."""
    asked = flow_run.parameters
    runs = asked.get("runs") or []
    more = [f"and-{len(runs) - 1}-more"] if len(runs) > 1 else []
    return "-".join(["reproduce", asked.get("profile", SAMPLE), *(asked.get("only") or []), *runs[:1], *more])


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
    without: list[str] | None = None,
    made_of: dict[str, str] | None = None,
) -> State[Any]:
    """Rebuild everything of a profile that is stale; DVC decides what that is, and remembers the results.

    What went wrong is the message of the state, and the log's last line.

    Args:
        profile: sample, or the name of a folder below profiles/.
        runs: names of runs; stages of the others are left as they are. None: all runs.
        only: slices of the graph, of code, prepare, train, evaluate, report, with what they need. None: all of it.
        force: run every stage, also those that are up to date; with `runs`, their trainings and scores alone.
        gpus: ids of the GPUs to work on; a training takes as many as its recipe's `devices`. None: as the environment
            says.
        keep_going: after a failure, do what doesn't need the failed stage; otherwise nothing new is begun.
        exchange: take from the DVC remote what other machines have done, and give it what is done here.
        train_on: deployment on another machine, as reproduce/train, which then trains, on its GPUs.
        remote: name of the DVC remote for `exchange` and `train_on`. None: the default one.
        without: names of stages that are left out, with all that needs them.
        made_of: digests of what the stages are made of where this flow is wanted; another clone is refused.

    """
    options = RunOptions(**locals())
    logging.getLogger("prefect.flow_runs").addFilter(_in_one_line)
    logging.getLogger("prefect.task_runs").addFilter(_is_news)
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
    except _SAID as error:
        ended = Failed(message=str(error), data=error)
    if ended.is_completed() and options.wants_report:
        show_results(options.profile, return_state=True)  # a view fails nothing
        ended.message = last_word(options)
    return ended


def _in_one_line(record: logging.LogRecord) -> bool:
    """Say in our words why a run failed, where Prefect's engine logs a traceback through Prefect in a worker's run."""
    if record.exc_info and isinstance(error := record.exc_info[1], _SAID):
        record.msg, record.args, record.exc_info = "%s", (error,), None
    return True


def _is_news(record: logging.LogRecord) -> bool:
    """Leave out Prefect's line for each task that ended well: `walk` says it, with the stage's time."""
    return record.levelno > logging.INFO or not record.getMessage().startswith("Finished in state ")


if __name__ == "__main__":
    command_line.start(reproduce)
