"""A Prefect site of the tests' own: a real server on a free port, real process workers, runs as the UI starts them."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import requests
import yaml
from prefect.workers.process import ProcessWorker

from tests.conftest import ROOT

PATIENCE_SECONDS = 240.0


def until(what: Callable[[], bool], *, doing: str, explain: Callable[[], str] = str) -> None:
    """Wait until `what` holds; a test that waits in vain fails with what `explain` says."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not what():
        assert time.monotonic() < deadline, f"waited in vain: {doing}\n{explain()}"
        time.sleep(0.2)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def at_work_in(folder: Path) -> list[str]:
    """The commands of all living processes whose working directory is the folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.cwd() == str(folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(f"{process.pid} {' '.join(process.cmdline())}")
    return found


class Site:
    """One Prefect server with its home, and the workers that a test starts; `end` leaves none of them."""

    def __init__(self, home: Path, environment: dict[str, str], **extra: str) -> None:
        self.port = free_port()
        self.api = f"http://127.0.0.1:{self.port}/api"
        self.log = home / "log"
        self.environment = {
            **environment,
            "PREFECT_HOME": str(home),
            "PREFECT_API_URL": self.api,
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            **extra,
        }
        self._home = home
        self._server: subprocess.Popen[bytes] | None = None
        self._started: list[subprocess.Popen[bytes]] = []

    def prefect(self, *arguments: str, cwd: Path | None = None) -> str:
        """`prefect ...`, which must succeed; what it said."""
        command = [sys.executable, "-m", "prefect", *arguments]
        ended = subprocess.run(
            command, cwd=cwd or self._home, env=self.environment, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout + ended.stderr

    def start(self, command: list[str], *, cwd: Path | None = None) -> "subprocess.Popen[bytes]":
        """Start something that `end` ends, in a session of its own, saying what it says to the log."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=cwd or self._home,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._started.append(process)
        return process

    def start_server(self) -> None:
        """Start the server, for the first time or on the data that it left; it answers afterwards."""
        command = [sys.executable, "-m", "prefect", "server", "start", "--port", str(self.port)]
        server = self._server = self.start(command)

        def answers() -> bool:
            assert server.poll() is None, self.said()
            with contextlib.suppress(requests.ConnectionError):
                return requests.get(f"{self.api}/health", timeout=10).ok
            return False

        until(answers, doing="the server answers", explain=self.said)

    def stop_server(self) -> None:
        """Stop the server; its data stay."""
        assert self._server is not None
        self._server.terminate()
        self._server.wait(PATIENCE_SECONDS)

    def start_worker(self, pool: str) -> "subprocess.Popen[bytes]":
        """Start a worker of the pool that polls for work."""
        known = self._online(pool)
        worker = self.start([sys.executable, "-m", "prefect", "worker", "start", "--pool", pool])
        until(lambda: bool(self._online(pool) - known), doing="the worker is online", explain=self.said)
        return worker

    def make_pool(self, pool: str) -> None:
        """Make a process pool where it is missing."""
        if not self.ask("post", "work_pools/filter", work_pools={"name": {"any_": [pool]}}):
            template = ProcessWorker.get_default_base_job_template()
            self.ask("post", "work_pools/", name=pool, type="process", base_job_template=template)

    @contextlib.contextmanager
    def worker(self, pool: str) -> Iterator["subprocess.Popen[bytes]"]:
        """A worker of the pool, killed at the end of the block with all that it started."""
        self.make_pool(pool)
        worker = self.start_worker(pool)
        try:
            yield worker
        finally:
            family: list[subprocess.Popen[bytes] | psutil.Process] = [worker]
            with contextlib.suppress(psutil.NoSuchProcess):
                family += psutil.Process(worker.pid).children(recursive=True)
            for process in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            worker.wait()

    def deploy(self, folder: Path, *, pool: str) -> None:
        """Deploy a project's reproduce/sample to a pool, as prefect.yaml has it; test_site.py has the CLI do it."""
        self.make_pool(pool)
        (found, *_) = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
        body = {name: found[name] for name in ("name", "entrypoint", "parameters")}
        body |= {"work_pool_name": pool, "job_variables": found["work_pool"]["job_variables"]}
        body["pull_steps"] = [{"prefect.deployments.steps.set_working_directory": {"directory": str(folder)}}]
        flow = self.ask("post", "flows/", name="reproduce")["id"]
        self.ask("post", "deployments/", flow_id=flow, enforce_parameter_schema=False, **body)

    def run(self, name: str = "reproduce/sample", **parameters: object) -> str:
        """Start a run of a deployment, as a button of the UI does; its id."""
        deployment = self.ask("get", f"deployments/name/{name}")["id"]
        run: str = self.ask("post", f"deployments/{deployment}/create_flow_run", parameters=parameters)["id"]
        return run

    def cancel(self, run: str) -> None:
        """Cancel a run, as a button of the UI does."""
        self.ask("post", f"flow_runs/{run}/set_state", state={"type": "CANCELLING", "name": "Cancelling"})

    def state(self, run: str) -> str:
        """The name of a run's state."""
        name: str = self.ask("get", f"flow_runs/{run}")["state"]["name"]
        return name

    def until_state(self, run: str, *names: str) -> str:
        """Wait until a run's state has one of the names; which."""
        until(lambda: self.state(run) in names, doing=f"the run is {' or '.join(names)}", explain=self.said)
        return self.state(run)

    def engine(self, run: str) -> psutil.Process:
        """The process of a flow run."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                command = process.cmdline()
                if "prefect.engine" in command and process.environ().get("PREFECT__FLOW_RUN_ID") == run:
                    return process
        raise AssertionError(f"no process runs the flow\n{self.said()}")

    def ask(self, verb: str, path: str, **body: object) -> Any:
        """A request to the server's API, which must succeed; its answer."""
        while True:
            answer = requests.request(verb, f"{self.api}/{path}", json=body if verb == "post" else None, timeout=60)
            if answer.status_code != requests.codes.unavailable:  # sqlite was locked: clients are to ask again
                break
            time.sleep(0.2)
        assert answer.ok, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    def said(self) -> str:
        """The end of all that server and workers said."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-20_000:] if self.log.exists() else ""

    def end(self) -> None:
        """Kill what is left, and what that started."""
        for process in reversed(self._started):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._started.clear()
        for left in psutil.process_iter():  # engines are sessions of their own
            with contextlib.suppress(psutil.Error):
                if left.environ().get("PREFECT_HOME") == str(self._home):
                    left.kill()

    def _online(self, pool: str) -> set[str]:
        answer = requests.post(f"{self.api}/work_pools/{pool}/workers/filter", json={}, timeout=60)
        return {worker["name"] for worker in answer.json() if worker["status"] == "ONLINE"} if answer.ok else set()


@contextlib.contextmanager
def site(home: Path, environment: dict[str, str], **extra: str) -> Iterator[Site]:
    """A site whose server answers; nothing of it is left afterwards."""
    home.mkdir(parents=True, exist_ok=True)
    made = Site(home, environment, **extra)
    try:
        made.start_server()
        yield made
    finally:
        made.end()
