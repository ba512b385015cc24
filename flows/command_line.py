"""The command line of the flow `reproduce`, which then runs here, without a worker."""

import argparse
import logging
import os
import signal
import sys
import time
from contextlib import nullcontext
from typing import Any, NoReturn

import httpx
from prefect.client.schemas.objects import State
from prefect.flows import Flow
from prefect.settings import get_current_settings
from prefect.states import Completed

from fcn.commands.mend import mend
from fcn.errors import InputError, StageFailure, without_secrets
from flows import dag, server
from flows.artifacts import last_word
from flows.plan import SLICES, RunOptions, plan
from flows.walking import counted, lasted


def start(flow: Flow[..., State[Any]]) -> None:
    """Run the flow as the command line says, at the server that is named or at a temporary one.

    Where nothing is stale and nobody would look at a run, none is made.
    """
    options, began = vars(_parser().parse_args()), time.monotonic()
    named, asked = get_current_settings().api.url, RunOptions(**options)
    try:
        for sentence in mend():
            print(sentence, file=sys.stderr)  # noqa: T201
        todo = plan(asked)  # what a person mistyped is said before a server is started
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # unwinds, so that the server ends, too
        console = _quiet()
        if todo.stale or named or asked.exchange or asked.train_on:
            with nullcontext() if named else server.temporary():
                state: State[Any] = flow(**options, return_state=True)
        else:
            console.info("%s", counted(todo, asked))
            state = Completed(message=last_word(asked))
    except (InputError, StageFailure) as error:
        _leave(error)
    except (httpx.HTTPError, RuntimeError) as error:  # Prefect's own, for a server that is away or doesn't start
        what = f"the Prefect server ({named or 'started for this run'}) could not be used: {str(error).rstrip('.')}"
        where = "`prefect config unset PREFECT_API_URL`, where `config set` did it; prefect.toml here may name it, too"
        unset = f"unset PREFECT_API_URL ({where})"
        advice = f"start it, or {unset} to do without it, and " if named else ""
        _leave(f"{what}. What ended well is kept; {advice}run the same command again")
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)  # noqa: T201
        sys.exit(130)
    if not state.is_completed():
        _leave(state.result(raise_on_failure=False))
    console.info("done in %s%s", lasted(began), f"; {state.message}" if state.message else "")


def _quiet() -> logging.Logger:
    """Have the console say what `tell` says and what Prefect warns of; PREFECT_LOGGING_LEVEL=INFO has all of it."""
    if "PREFECT_LOGGING_LEVEL" not in os.environ:
        logging.getLogger("prefect").setLevel(logging.WARNING)
        for name in ("prefect.flow_runs", "prefect.task_runs"):  # of which the server alone hears
            logging.getLogger(name).setLevel(logging.INFO)
            logging.getLogger(name).propagate = False
    logging.raiseExceptions = False  # of a reader who has enough, as `head` has
    console = logging.getLogger("flows")
    console.addHandler(logging.StreamHandler(sys.stdout))
    console.setLevel(logging.INFO)
    console.propagate = False
    return console


def _leave(error: object) -> NoReturn:
    print(f"error: {without_secrets(str(error))}", file=sys.stderr)  # noqa: T201
    sys.exit(2 if isinstance(error, InputError) else 1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m flows.reproduce", description="Rebuild everything of a profile that is stale."
    )
    add = parser.add_argument
    add("only", nargs="*", metavar="SLICE", help=f"of {', '.join(SLICES)}, with what it needs; without it, everything")
    add("--profile", default=dag.SAMPLE, help=f"one of {', '.join(dag.profiles())}; {dag.SAMPLE} without this option")
    add("--runs", nargs="+", metavar="RUN", help="names of runs, as params.yaml has them; all without this option")
    add("--force", action="store_true", help="run every stage again; with --runs, their trainings and scores alone")
    add("--stop-at-failure", dest="keep_going", action="store_false", help="begin nothing new after a failure")
    add(
        "--gpus",
        type=int,
        nargs="+",
        metavar="ID",
        help="ids of the GPUs to work on; a training takes one, or `devices`",
    )
    add("--exchange", action="store_true", help="fetch what the DVC remote has of it first, push afterwards")
    add("--train-on", metavar="DEPLOYMENT", help="train where the workers of this deployment are, as reproduce/train")
    add("--remote", metavar="NAME", help="the DVC remote for that; the default one without this option")
    return parser
