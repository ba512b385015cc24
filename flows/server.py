"""A Prefect server that ends with whoever started it, for good or until the end of one flow."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from subprocess import Popen
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import httpx
from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

from fcn.errors import StageFailure
from flows import guardian
from flows.children import environment

PREFECT = [sys.executable, "-m", "prefect"]
POLL_SECONDS = 0.2
_START_SECONDS = 180.0


@contextmanager
def temporary() -> Iterator[None]:
    """A server for the flows of this block, in a home of its own: what it knows, and the user's servers do, stay apart.

    In the user's own home it would share their database, and their automations and other servers with it.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        api = f"http://127.0.0.1:{probe.getsockname()[1]}/api"
    variables = {name: value for name, value in environment().items() if not name.startswith("PREFECT_")}
    # Nobody could read these logs.
    settings: Any = {PREFECT_API_URL: api, PREFECT_LOGGING_TO_API_ENABLED: False}
    with TemporaryDirectory(prefix="prefect-", ignore_cleanup_errors=True) as home:
        own = {**variables, "PREFECT_HOME": home, "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
        with running(api, variables=own, log=Path(home, "log")), temporary_settings(settings):
            yield


@contextmanager
def running(api: str, *, variables: dict[str, str], log: Path) -> "Iterator[Popen[bytes]]":
    """The server at an address of this machine, which answers; its words go to `log`. Raises StageFailure."""
    command = [*PREFECT, "server", "start", "--port", str(port_of(api))]
    pages = {"PREFECT_SERVER_UI_API_URL": api}  # they would ask port 4200, whatever the server's own is
    with process(command, variables=pages | variables, log=log) as server:
        deadline = time.monotonic() + _START_SECONDS
        while not is_healthy(api):
            if server.poll() is not None or time.monotonic() > deadline:
                last_words = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-10:]
                raise StageFailure("\n".join(["the Prefect server didn't start; its last words:", *last_words]))
            time.sleep(POLL_SECONDS)
        yield server


@contextmanager
def process(command: Sequence[str], *, variables: dict[str, str], log: Path | None = None) -> "Iterator[Popen[bytes]]":
    """A process that ends with this one, also when that is killed; at the end of the block it is asked to."""
    with log.open("wb") if log else nullcontext() as output:
        started = guardian.start(command, variables=variables, stdout=output, stderr=subprocess.STDOUT if log else None)
    try:
        yield started
    finally:
        guardian.ask_to_end(started)
        started.wait()


def port_of(api: str) -> int:
    """The port of a server's address."""
    return urlsplit(api).port or 80


def is_healthy(api: str) -> bool:
    """Whether a Prefect server answers there."""
    try:
        return httpx.get(f"{api}/health", timeout=10).is_success
    except httpx.HTTPError:
        return False
