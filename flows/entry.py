"""What the flows share at their doors: a run's readable name, an end in one sentence, the command line."""

import argparse
import inspect
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import httpx
from prefect.client.schemas.objects import State
from prefect.flows import Flow
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from fcn.errors import InputError, StageFailure
from flows import dag
from flows.slices import names
from flows.walking import NotAllDone


def run_name() -> str:
    """The name of the running flow run, as `train-sample-voc-fcn8s-vgg16`."""
    given = flow_run.parameters
    runs = given.get("runs") or []
    chosen = [runs[0], *([f"and-{len(runs) - 1}-more"] if len(runs) > 1 else [])] if runs else []
    return "-".join([flow_run.flow_name, given.get("profile", dag.SAMPLE), *chosen])


def outcome(work: Callable[[], object]) -> State[Any]:
    """The state that a flow ends in after `work`: what went wrong is its message, without a traceback in the log."""
    try:
        work()
    except (InputError, StageFailure, NotAllDone) as error:
        return Failed(message=str(error), data=error)
    return Completed()


def start(flow: Flow[..., State[Any]]) -> None:
    """Run a flow here, without a worker: the command line of `python -m flows.<name>`."""
    options = vars(_parser(flow).parse_args())
    try:
        names(options["profile"], runs=options["runs"])  # what a person mistyped is said before a server is started
        state: State[Any] = flow(**options, return_state=True)
    except (InputError, StageFailure) as error:
        _leave(error)
    except (httpx.HTTPError, RuntimeError) as error:  # Prefect's own, for a server that is away or doesn't start
        where = os.environ.get("PREFECT_API_URL", "started for this run")
        _leave(f"the Prefect server ({where}) could not be used: {str(error).rstrip('.')}. What ended well is kept")
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)  # noqa: T201
        sys.exit(130)
    if not state.is_completed():
        _leave(state.result(raise_on_failure=False))


def _leave(error: object) -> NoReturn:
    print(f"error: {error}", file=sys.stderr)  # noqa: T201
    sys.exit(2 if isinstance(error, InputError) else 1)


def _parser(flow: Flow[..., State[Any]]) -> argparse.ArgumentParser:
    takes = inspect.signature(flow.fn).parameters
    parser = argparse.ArgumentParser(
        prog=f"python -m flows.{flow.name}", description=(flow.fn.__doc__ or "").partition("\n")[0]
    )
    add = parser.add_argument
    add("--profile", default=dag.SAMPLE, help=f"one of {', '.join(dag.profiles())}; {dag.SAMPLE} without this option")
    add("--runs", nargs="+", metavar="RUN", help="names of runs, as params.yaml has them; all without this option")
    add("--force", action="store_true", help="run every stage of it, also those that are up to date")
    add("--stop-at-failure", dest="keep_going", action="store_false", help="begin nothing new after a failure")
    if "gpus" in takes:
        add("--gpus", type=int, nargs="+", metavar="ID", help="ids of the GPUs to work on, one training each")
    if "exchange" in takes:
        add("--exchange", action="store_true", help="fetch what the DVC remote has of it first, push afterwards")
    if "train_on" in takes:
        add("--train-on", metavar="DEPLOYMENT", help="train where the workers of this deployment are, as train/gpu")
    if "remote" in takes:
        add("--remote", metavar="NAME", help="the DVC remote for that; the default one without this option")
    return parser
