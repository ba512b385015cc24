"""A project with one long training that saves as it goes; tests hold it in its middle, stop it, and resume it."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from flows.children import environment
from tests.doors.conftest import Project
from tests.doors.servers import Site, at_work_in, until

ITERATIONS = 12
HELD_AT = 6

_TRAINING = f"""
import json, os, time
from pathlib import Path

state = Path("state.json")
done = json.loads(state.read_text()) if state.exists() else []
with open("starts", "a") as starts:
    starts.write(f"{{len(done)}}\\n")
while len(done) < {ITERATIONS}:
    time.sleep(0.05)
    if len(done) < {HELD_AT} or Path("release").exists():
        done.append(len(done))
        Path("state.part").write_text(json.dumps(done))
        Path("state.part").replace(state)
Path("net.txt").write_text(json.dumps(done))
"""


@dataclass(frozen=True, slots=True)
class Training:
    """The project's folder, and what its training has done."""

    folder: Path

    @property
    def iterations(self) -> list[int]:
        """The iterations that are saved."""
        path = self.folder / "state.json"
        return list(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else []

    @property
    def starts(self) -> list[int]:
        """The iteration that each start of the training went on from."""
        return [int(line) for line in (self.folder / "starts").read_text(encoding="utf-8").split()]

    @property
    def whole(self) -> bool:
        """Whether the training has ended with every iteration done once."""
        net = self.folder / "net.txt"
        return net.exists() and json.loads(net.read_text(encoding="utf-8")) == list(range(ITERATIONS))

    def until_held(self, site: Site) -> None:
        """Wait until the training is in its middle, where it waits for `release`."""
        until(lambda: len(self.iterations) == HELD_AT, doing="the training is half done", explain=site.said)

    def release(self) -> None:
        """Let the training, this one or the next, go on to its end."""
        (self.folder / "release").touch()

    def anew(self) -> None:
        """Make the training another one, of which nothing is done, and which is held in its middle again."""
        for name in ("release", "state.json"):
            (self.folder / name).unlink()
        (self.folder / "training.py").write_text(f"{_TRAINING}# another one\n", encoding="utf-8")

    def process(self, command: str) -> psutil.Process:
        """The one process at work in the project whose command begins so, from its second word on."""
        found = [line for line in at_work_in(self.folder) if line.split(maxsplit=2)[2].startswith(command)]
        assert len(found) == 1, (command, at_work_in(self.folder))
        return psutil.Process(int(found[0].split()[0]))

    def until_nobody_is_left(self, site: Site) -> None:
        """Wait until no process works in the project: neither flow, DVC nor stage."""
        until(
            lambda: not at_work_in(self.folder),
            doing="nobody is left",
            explain=lambda: "\n".join([*at_work_in(self.folder), site.said()]),
        )


def make(project: Project) -> Training:
    """The project: a quick stage, then the training."""
    stages: dict[str, Any] = {
        "before": {"cmd": "echo data > data.txt", "outs": ["data.txt"]},
        "training": {"cmd": "python training.py", "deps": ["data.txt", "training.py"], "outs": ["net.txt"]},
    }
    folder = project(stages)
    (folder / "training.py").write_text(_TRAINING, encoding="utf-8")
    return Training(folder)


def begin(site: Site, training: Training, *, pool: str = "cpu") -> str:
    """Deploy the project and run it until the training is half done; the run's id."""
    site.deploy(training.folder, pool=pool)
    run = site.run()
    training.until_held(site)
    return run


def check_next_run_resumes(site: Site, training: Training) -> None:
    """Assert that the next run of the deployment goes on where the training was stopped, to its end."""
    training.release()
    site.until_state(site.run(), "Completed")
    assert training.whole
    assert training.starts == [0, HELD_AT]


def check_resumes(training: Training) -> None:
    """Assert that DVC, as any door has it run, goes on where the training was stopped, to its end."""
    training.release()
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "-q"]
    subprocess.run(command, cwd=training.folder, env=environment(), check=True)
    assert training.whole
    assert training.starts == [0, HELD_AT]
