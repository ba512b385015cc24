"""`make worker`: one command from nothing to a run, and nothing left of it after Ctrl-C."""

import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests

from flows import server, site
from tests.conftest import ROOT
from tests.doors import resumable
from tests.doors.conftest import Project, quiet
from tests.doors.resumable import Training
from tests.doors.servers import Site, free_port, until

pytestmark = pytest.mark.slow  # servers, workers, runs

_LAST_WORD = "Ctrl-C ends all of it"
_SITE = [sys.executable, "-m", "flows.site"]


class Home(Site):
    """What `python -m flows.site` starts in a project's folder, seen from outside."""

    def __init__(self, home: Path, folder: Path) -> None:
        super().__init__(home, quiet(home))
        self.folder = folder
        del self.environment["PREFECT_API_URL"]

    def begin(self) -> "subprocess.Popen[bytes]":
        """Start it, and wait for its last word."""
        before = self.said().count(_LAST_WORD)
        process = self.start([*_SITE, "--port", str(self.port)], cwd=self.folder)
        until(lambda: self.said().count(_LAST_WORD) > before, doing="the site is up", explain=self.said)
        return process

    def call(self, *options: str, **more: str) -> "subprocess.CompletedProcess[str]":
        """Call it where it should end by itself."""
        command, environment = [*_SITE, *options], self.environment | more
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=120
        )

    def alive(self) -> list[str]:
        """The commands of all living processes of this home, whatever their parent or session."""
        found = []
        for process in psutil.process_iter():
            try:
                ours = process.environ().get("PREFECT_HOME") == self.environment["PREFECT_HOME"]
                if ours and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(f"{process.pid} {' '.join(process.cmdline())}")
            except psutil.Error:
                continue
        return found

    def until_nothing_is_alive(self) -> None:
        """Wait until none of its processes is left."""
        until(lambda: not self.alive(), doing="nothing is alive", explain=lambda: "\n".join(self.alive()))


@pytest.fixture
def training(project: Project) -> Training:
    """A project with our deployments and a training that is held in its middle."""
    made = resumable.make(project)
    for name in ("prefect.yaml", "pyproject.toml"):
        shutil.copy(ROOT / name, made.folder)
    return made


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory, training: Training) -> Iterator[Home]:
    """A home in which nothing runs yet, and nothing runs afterwards."""
    made = Home(tmp_path_factory.mktemp("home"), training.folder)
    yield made
    made.end()


def test_what_is_to_be_pasted_is_one_command_wherever_the_project_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell reads the path of Prefect's command as one word, spaces and all."""
    monkeypatch.setattr(sys, "executable", "/srv/a b's/project/.venv/bin/python")
    *_, last = site.in_another_terminal("http://127.0.0.1:4200/api", found=True)
    assert shlex.split(last)[:2] == ["/srv/a b's/project/.venv/bin/prefect", "deployment"]


def test_one_command_makes_a_site_and_ctrl_c_ends_it(home: Home, training: Training) -> None:
    """Deployments, automation and worker are there; another terminal starts a run, and sees its stages end.

    Ctrl-C cancels the next and leaves nothing. After kill -9 of the command itself, server, worker, run and stage end
    all the same, and where the server was is forgotten. A folder further down knows of none of it, and says so.
    """
    process = home.begin()
    names = {deployment["name"] for deployment in home.ask("post", "deployments/filter")}
    assert names == {"sample", "gpu", "train", "report"}
    assert len(home.ask("post", "automations/filter")) == 1
    assert home.said().partition("\n")[0].endswith("start: some seconds, more on a busy machine")
    pasted = re.findall(r"(?m)^  (\S.*)$", home.said().partition("In another terminal")[2])
    *proxied, command = pasted  # no address, for prefect.toml has it
    assert shlex.split(command)[1:] == ["deployment", "run", "reproduce/sample", "--watch"]
    assert all(line.startswith("export NO_PROXY=") for line in proxied)
    assert f"in any other after `export PREFECT_API_URL={home.api}`" in home.said()
    assert requests.get(f"{home.api.removesuffix('/api')}/ui-settings", timeout=60).json()["api_url"] == home.api
    training.release()
    watched = home.prefect(*shlex.split(command)[1:], cwd=home.folder)
    for name in ("before", "training"):
        assert f"{name}: Completed, 0:00" in watched
    assert training.whole
    training.anew()
    cancelled = home.run()
    training.until_held(home)

    second = home.call("--port", str(free_port()))
    assert second.returncode == 2
    assert re.fullmatch(r"error: `make worker` already runs for this clone, as process \d+: .*\n", second.stderr)

    process.send_signal(signal.SIGINT)
    assert process.wait(180) == 128 + signal.SIGINT
    home.until_nothing_is_alive()
    assert training.iterations
    assert not (home.folder / "prefect.toml").exists()

    again = home.begin()
    assert home.state(cancelled) == "Cancelled", home.said()  # the server's data outlived it
    assert "temporary server" not in home.said()  # it was this site's own server that was told
    home.run()
    until(lambda: len(training.starts) == 3, doing="the training is resumed", explain=home.said)
    again.kill()
    home.until_nothing_is_alive()
    assert (home.folder / "prefect.toml").exists()
    subprocess.run([sys.executable, "-c", "import flows"], cwd=home.folder, env=home.environment, check=True)
    assert not (home.folder / "prefect.toml").exists()

    (home.folder / "below").mkdir()
    told = subprocess.run(
        [*server.PREFECT, *shlex.split(command)[1:]],
        cwd=home.folder / "below",
        # Prefect's own server, which knows no deployment, has to begin beside all that other tests run.
        env={**home.environment, "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120"},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert told.returncode == 1
    assert "Deployment 'reproduce/sample' not found" in told.stdout + told.stderr


def test_without_a_server_prefect_says_so(home: Home) -> None:
    """A deployment run where PREFECT_API_URL isn't set ends at once, where it would wait for a worker of nobody's."""
    with pytest.raises(AssertionError, match="Please set PREFECT_API_URL to the address of a running Prefect server"):
        home.prefect("deployment", "run", "reproduce/sample", "--watch", cwd=home.folder)


def test_a_taken_port_is_one_sentence(home: Home) -> None:
    """A port that somebody listens on: one line that says so and what to do, and nothing is started."""
    with socket.create_server(("127.0.0.1", home.port)):
        ended = home.call("--port", str(home.port))
    assert ended.returncode == 2
    assert re.fullmatch(
        rf"error: port {home.port} can't be used \(Address already in use\); .*PORT=4201\n", ended.stderr
    )


def test_a_named_server_is_used(prefect_site: Site, home: Home) -> None:
    """With PREFECT_API_URL of a server that answers, none is started, and that one knows the pools."""
    home.environment["PREFECT_API_URL"] = prefect_site.api
    process = home.begin()
    assert not [command for command in home.alive() if "server start" in command]
    assert prefect_site.ask("get", "deployments/name/reproduce/train")["work_pool_name"] == "gpu"
    process.terminate()
    assert process.wait(180) == 128 + signal.SIGTERM
    home.until_nothing_is_alive()


def test_a_named_server_that_is_away_is_one_sentence(home: Home) -> None:
    """PREFECT_API_URL names another machine that doesn't answer: one line, and nothing is started."""
    ended = home.call(PREFECT_API_URL="http://prefect.invalid:4200/api")
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: PREFECT_API_URL is http://prefect.invalid:4200/api, which doesn't answer")
    assert ended.stderr.count("\n") == 1
