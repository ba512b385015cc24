"""`make worker`: Prefect's server, pools, deployments and workers on one machine, until Ctrl-C.

For a first try, and for a machine of one's own. On a site each of these runs by itself: see docs/orchestration.md.
"""

import argparse
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from subprocess import Popen
from types import FrameType
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import psutil
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings
from prefect.states import Cancelling
from prefect.workers.process import ProcessWorker

from fcn.errors import InputError, StageFailure
from fcn.files import exclusive
from fcn.machine import gpu_is_visible
from flows import address, automations, guardian, server
from flows.children import environment

_LOG = address.LOCK.with_name("server.log")
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> None:
    """Start server, pools, deployments and workers here, and end them with Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m flows.site", description=main.__doc__)
    parser.add_argument("--port", type=int, default=4200, help="where the server is to listen, if one is started")
    options = parser.parse_args()
    for number in _ENDS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has SIGHUP
            signal.signal(number, _leave)
    try:
        with _alone(), ExitStack() as started:
            _serve(started, port=options.port)
    except (InputError, StageFailure) as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(2 if isinstance(error, InputError) else 1)


def _serve(started: ExitStack, *, port: int) -> None:
    """All steps; what `started` holds ends in the reverse order, so that the server hears of the workers' end."""
    api, own = _api(port)
    _say("Prefect's server, pools, deployments and workers start: some seconds, more on a busy machine")
    served = _database() | environment()
    ours = started.enter_context(server.running(api, variables=served, log=_LOG)) if own else None
    # Until the workers have ended, whose runs are cancelled at this server.
    started.enter_context(temporary_settings({PREFECT_API_URL: api}))
    variables = {**environment(), "PREFECT_API_URL": api, "PREFECT_CLIENT_MAX_RETRIES": "8"}
    with get_client(sync_client=True) as client:
        for pool in ("cpu", "gpu"):
            _make_pool(client, pool)
    _deploy(variables)
    _say(automations.install())
    pools = ["cpu", "gpu"] if gpu_is_visible() else ["cpu"]
    workers = [started.enter_context(_worker(pool, variables)) for pool in pools]
    found = started.enter_context(address.told(api)) if own else False
    _explain(api, pools=pools, found=found)
    while all(worker.poll() is None for worker in workers) and (ours is None or ours.poll() is None):
        time.sleep(server.POLL_SECONDS)
    raise StageFailure(f"the server or a worker has ended by itself; the server's words are in {_LOG}")


@contextmanager
def _alone() -> Iterator[None]:
    """Hold this clone's lock, which the kernel takes back from whoever dies."""
    with ExitStack() as held:
        try:
            lock = held.enter_context(exclusive(address.LOCK, patience_seconds=1.0))  # a flow may look at it, too
        except BlockingIOError:
            number = address.LOCK.read_text(encoding="utf-8").strip()
            running = f"`make worker` already runs for this clone, as process {number}"
            raise InputError(f"{running}: use that one, or end it with Ctrl-C first") from None
        lock.truncate(0)
        print(os.getpid(), file=lock, flush=True)
        yield


def _database() -> dict[str, str]:
    """A database of this clone, where nobody named one.

    In the one of the user's home, a `prefect` of a folder without our settings would find our deployments, with a
    server of its own and without our workers, and wait for a run for ever.
    """
    if "connection_url" in get_current_settings().server.database.model_fields_set:
        return {}
    return {"PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{_LOG.with_name('prefect.db').resolve()}"}


def _api(port: int) -> tuple[str, bool]:
    """The address of the API, and whether its server is ours to start: where none is named, or a local one is down."""
    named = get_current_settings().api.url
    if named is not None and server.is_healthy(named):
        return named, False
    if named is not None and urlsplit(named).hostname not in ("127.0.0.1", "localhost"):
        raise StageFailure(
            f"PREFECT_API_URL is {named}, which doesn't answer: start that server, or unset the variable"
        )
    api = named or f"http://127.0.0.1:{port}/api"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", server.port_of(api)))
        except OSError as error:
            how = "choose another: make worker PORT=4201"
            if server.is_healthy(api):
                how = f"a Prefect server listens there: to use it, set PREFECT_API_URL={api}; or {how}"
            raise InputError(f"port {server.port_of(api)} can't be used ({error.strerror}); {how}") from None
    return api, True


@contextmanager
def _worker(pool: str, variables: dict[str, str]) -> "Iterator[Popen[bytes]]":
    """A worker of a pool, for one flow run at a time, because all of them work in this clone.

    Its runs are cancelled before it ends: it would kill them, and they stay Running until their heartbeats are missed.
    """
    with server.process(
        [*server.PREFECT, "worker", "start", "--pool", pool, "--limit", "1"], variables=variables
    ) as worker:
        try:
            yield worker
        finally:
            _cancel(worker)


def _cancel(worker: "Popen[bytes]") -> None:
    """Cancel a worker's runs, and give them time until they are, and have said so."""
    runs = {UUID(run) for run in _runs(worker)}
    deadline = time.monotonic() + guardian.GRACE_SECONDS
    with suppress(httpx.HTTPError, ObjectNotFound), get_client(sync_client=True) as client:
        for run in runs:
            client.set_flow_run_state(run, Cancelling())
        while runs and time.monotonic() < deadline:
            runs = {run for run in runs if not (state := client.read_flow_run(run).state) or not state.is_final()}
            time.sleep(server.POLL_SECONDS)


def _runs(worker: "Popen[bytes]") -> set[str]:
    """The flow runs whose processes a worker has started."""
    found = set()
    with suppress(psutil.Error):
        for process in psutil.Process(worker.pid).children(recursive=True):
            with suppress(psutil.Error):
                found.add(process.environ().get("PREFECT__FLOW_RUN_ID", ""))
    return found - {""}


def _make_pool(client: SyncPrefectClient, name: str) -> None:
    try:
        client.read_work_pool(name)
    except ObjectNotFound:
        template = ProcessWorker.get_default_base_job_template()
        client.create_work_pool(WorkPoolCreate(name=name, type="process", base_job_template=template))


def _deploy(variables: dict[str, str]) -> None:
    command = [*server.PREFECT, "--no-prompt", "deploy", "--all"]
    ended = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, start_new_session=True)
    if ended.returncode != 0:
        raise StageFailure(f"`prefect deploy --all` failed:\n{ended.stdout}{ended.stderr}")


def _explain(api: str, *, pools: Sequence[str], found: bool) -> None:
    waits = "" if "gpu" in pools else "; no GPU is visible here, so what is deployed to the pool gpu waits"
    _say(f"Prefect: {api.removesuffix('/api')}   workers: {' and '.join(pools)}{waits}")
    where = f", in this folder (in any other after `export PREFECT_API_URL={api}`)" if found else ""
    _say(f"In another terminal{where}:")
    for line in in_another_terminal(api, found=found):
        _say(f"  {line}")
    _say("Ctrl-C ends all of it; what was trained until then is kept.")


def in_another_terminal(api: str, *, found: bool) -> Iterator[str]:
    """What a person pastes there to start a run, whatever characters this folder's path has.

    Where the address is `found` in prefect.toml, it needn't be said.
    """
    if "NO_PROXY" in os.environ:  # a proxy is set, and is asked for this machine's own server, too
        yield f"export NO_PROXY={os.environ['NO_PROXY']}"
    if not found:
        yield f"export PREFECT_API_URL={api}"
    yield f"{shlex.quote(str(Path(sys.executable).parent / 'prefect'))} deployment run reproduce/sample --watch"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _leave(number: int, _frame: FrameType | None) -> None:
    """Unwind, so that everything started is ended; once is enough, for a second signal would cut that short."""
    for again in _ENDS:
        signal.signal(again, signal.SIG_IGN)
    with suppress(OSError):  # the terminal was closed
        _say("ending: what is at work saves and leaves ...")
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
