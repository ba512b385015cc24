"""`python -m fcn reproduce`: bring a profile up to date by DVC, side by side; its stages are counted and timed."""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from fcn.config import Config
from fcn.errors import InputError, StageFailure
from fcn.machine import gpu_is_visible, side_by_side
from fcn.stages import code
from fcn.stages.places import Places, address

# What DVC 3.67 says of each stage, of other profiles' with the path of their dvc.yaml in it.
_STAGE = re.compile(r"(Running stage|Stage) '(?:[^':]*:)?([^':]+)'")
_SAYS_LESS = (
    "Updating lock file",
    "Data and pipelines are up to date",
    "Use `dvc push`",
    *("To track the changes with git", "\tgit add ", "To enable auto staging", "\tdvc config core.autostage"),
)
_SLACK_SECONDS = 30.0
"""By this much the first stages' pace is held back, which a few seconds of start-up make look slow."""


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """`reproduce` takes nothing: DVC decides what is stale."""


def run(config: Config, options: argparse.Namespace) -> None:
    """Have DVC do it, in lanes (flows/lanes.py), and pass on what it says.

    The lanes are a session of their own with a guardian, which interrupts all of it when we close its standard input,
    as at Ctrl-C, or the kernel does, as at our death. Raises StageFailure with DVC's exit code, behind its own words.
    """
    pipeline = Path(config.params).with_name("dvc.yaml")
    if options.params.resolve() != Path(config.params).resolve():
        raise InputError(
            f"{options.params} says params: {config.params}, and DVC would take that file: give a profile a folder of "
            "its own, with a params.yaml that says where it is, and a copy of dvc.yaml"
        )
    counter = Counter(config, lanes := side_by_side(config.threads))
    on_gpu = os.environ.get("FCN_DEVICE") != "cpu" and gpu_is_visible()
    profile = "sample" if pipeline == Path("dvc.yaml") else pipeline.parent.name
    room = [str(lanes), str(int(on_gpu))]  # one GPU, which the stages choose by themselves
    python = [sys.executable, "-m"]
    with subprocess.Popen(
        [*python, "flows.guardian", *python, "flows.lanes", profile, *room],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if lanes > 1 else None,  # two progress bars would share a line
        text=True,
        errors="replace",
        start_new_session=True,
    ) as guarded:
        interrupted: list[int] = []

        def end(number: int, _frame: object) -> None:
            interrupted.append(number)
            if guarded.stdin is not None:
                guarded.stdin.close()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, end)
        complaints = threading.Thread(target=lambda: sys.stderr.writelines(guarded.stderr or ()))
        complaints.start()
        for line in guarded.stdout or ():
            if (said := counter.read(line)) is not None:
                print(said, end="", flush=True)
        complaints.join()
    if (ended := guarded.returncode) != 0:
        ended = ended if ended > 0 else 128 - ended  # of a signal
        why = "was interrupted; the same command goes on from here" if interrupted else "failed; why is said above"
        raise StageFailure(f"`dvc repro {pipeline}` {why}", exit_code=ended)
    print(counter.summary())


class Counter:
    """Which stage of how many DVC is at, and for how long the rest has taken elsewhere, at this machine's pace."""

    def __init__(self, config: Config, lanes: int = 1) -> None:
        names = ["code", *(address(*stage) for stage in code.stages(config))]
        known = _committed(config) | seconds(Places(config).data / "cost")
        self._left = {name: known.get(name, 0.0) for name in names}
        self._known, self._lanes, self._count = bool(known), lanes, len(names)
        self._ran, self._spent, self._began = 0, 0.0, time.monotonic()
        self._at_work: list[float] = []

    def read(self, line: str) -> str | None:
        """The line, where a stage begins with its number and the time that is left; None where it says nothing new."""
        if (found := _STAGE.match(line)) is None:
            return line if line.strip() and not line.startswith(_SAYS_LESS) else None
        took = self._left.pop(found[2], 0.0)
        if found[1] == "Stage":  # skipped, or restored
            return None if "didn't change" in line else line
        if len(self._at_work) == self._lanes:  # one of them has ended: the longest at work, most likely
            self._spent += self._at_work.pop(0)
        self._at_work.append(took)
        self._ran += 1
        # In what one stage after the other would take; that lanes are quicker is in the pace.
        slack = _SLACK_SECONDS * self._lanes
        pace = (time.monotonic() - self._began + _SLACK_SECONDS) / (self._spent + slack)
        minutes = (sum(self._at_work) + sum(self._left.values())) * pace / 60
        left = f", about {max(1, round(minutes))} min left" if self._known else ""
        return f"[{self._count - len(self._left)} of {self._count}{left}] {line}"

    def summary(self) -> str:
        """How many stages ran, once DVC is through."""
        rest = ", the rest was there already" if self._ran < self._count else ""
        return f"{self._ran} of {self._count} stages ran{rest}"


def seconds(folder: Path) -> dict[str, float]:
    """What each stage took, by its name in the graph: from a profile's folder of costs."""
    found = {file.stem: json.loads(file.read_text(encoding="utf-8"))["seconds"] for file in folder.glob("*.json")}
    return {name if "@" in name or name in code.ORDER else f"train@{name}": took for name, took in found.items()}


def _committed(config: Config) -> dict[str, float]:
    file = Path("docs/results") / config.profile / "seconds.json"
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else {}
