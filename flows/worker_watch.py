"""Ends a worker's flow run that the worker can no longer end: because it is dead, or doesn't hear of a cancellation."""

import os
import signal
import sys
import threading
import time
from functools import cache
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.context import FlowRunContext
from prefect.exceptions import PrefectException
from prefect.states import Cancelled

_POLL_SECONDS = 1.0
_ASK_SECONDS = 15.0  # Prefect's own way takes five


@cache  # one watch a process, however many flows run in it
def watch_worker() -> None:
    """From now on end this process as by SIGTERM, when its worker dies or its run stays Cancelling.

    Does nothing where no worker is. Prefect's gives up listening for cancellations, for good, once the server was
    away for half a minute, and misses one in the first second after a restart. A run whose worker is dead can't be
    cancelled at all, and ends with no word at the next line that it logs, because the worker read its output.
    """
    context = FlowRunContext.get()
    if "PREFECT__FLOW_RUN_ID" in os.environ and context is not None and context.flow_run is not None:
        arguments = context.flow_run, os.getppid()
        threading.Thread(target=_watch, args=arguments, daemon=True, name="worker-watch").start()


def _watch(run: FlowRun, worker: int) -> None:
    asked, cancelling = time.monotonic(), False
    while os.getppid() == worker:
        time.sleep(_POLL_SECONDS)
        if time.monotonic() - asked > _ASK_SECONDS:
            before, cancelling = cancelling, _is_cancelling(run.id)
            if before and cancelling:
                _set_cancelled(run)
                break
            asked = time.monotonic()
    else:
        _let_output_go()
    os.kill(os.getpid(), signal.SIGTERM)


def _is_cancelling(run: UUID) -> bool:
    try:
        with get_client(sync_client=True) as client:
            state = client.read_flow_run(run).state
    except (httpx.HTTPError, PrefectException):  # the server is away: ask again later
        return False
    return state is not None and state.is_cancelling()


def _set_cancelled(run: FlowRun) -> None:
    """Say so to the server, and to Prefect's engine here, which else calls a run Crashed that gets a SIGTERM."""
    state: State[None] = Cancelled(message="cancelled; its worker had not heard of it")
    try:
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(run.id, state)
    except (httpx.HTTPError, PrefectException):
        return
    run.state = state


def _let_output_go() -> None:
    """Point the output, which the worker read, to nowhere: the last words would fail there, and end us mid-report."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout.fileno(), sys.stderr.fileno()):
        os.dup2(nowhere, stream)
