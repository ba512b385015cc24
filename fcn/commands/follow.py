"""`python -m fcn follow`: log a running training to MLflow; trainings start it themselves, with rows on its input."""

import argparse
import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from fcn.config import Config
from fcn.errors import InputError, StageFailure
from fcn.publishing import store, trainings
from fcn.publishing.feed import KILLED
from fcn.publishing.live import Follower, Training
from fcn.stages import publish

_TICK_SECONDS = 1.0
_AGAIN_SECONDS = 5.0
_LAST_WORDS_SECONDS = 20.0
_LAST_TRIES = 2
_POLITENESS = 5  # the training's own processes come first
# A training's rows can wait, its companion's end cannot: what fails now is tried again soon.
_IMPATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "8"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`follow` takes none: all comes through its input."""


def run(config: Config, options: argparse.Namespace) -> None:
    """Read JSON lines: what is trained, its rows, its end. Where none comes, the trainer was killed.

    Environment: MLFLOW_TRACKING_URI.
    """
    del options
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    head = sys.stdin.readline()
    if not uri or not head:
        raise InputError("follow is started by trainings, where MLFLOW_TRACKING_URI says which MLflow to log to")
    for number in (signal.SIGINT, signal.SIGTERM):  # it leaves with its trainer, and has to say how that ended
        signal.signal(number, signal.SIG_IGN)
    os.nice(_POLITENESS)
    os.environ.update(store.QUIET | _IMPATIENT)
    _follow(Follower(uri=uri, training=_training(config, json.loads(head))), uri=uri, said=_listen(os.getppid()))


def _training(config: Config, head: Mapping[str, Any]) -> Training:
    """What the training's run shall say from the start."""
    entry = publish.begun(config, str(head["run"]), environment=head["environment"])
    experiment = trainings.experiment(config, {}, origins={})
    return Training(entry=entry, experiment=experiment, profile=config.profile, started=int(head["at"]))


def _listen(trainer: int) -> "queue.Queue[dict[str, Any]]":
    """What comes through the input, and the end that a killed trainer can't say itself.

    Processes that the trainer started hold its end of the pipe, so its own death is looked for, too.
    """
    said: queue.Queue[dict[str, Any]] = queue.Queue()

    def read() -> None:
        for line in sys.stdin:
            with suppress(ValueError):  # half a line, of a killed trainer
                said.put(json.loads(line))
        said.put({"end": KILLED})

    def watch() -> None:
        while os.getppid() == trainer:
            threading.Event().wait(_TICK_SECONDS)
        said.put({"end": KILLED})

    for work in (read, watch):
        threading.Thread(target=work, daemon=True).start()
    return said


def _follow(follower: Follower, *, uri: str, said: "queue.Queue[dict[str, Any]]") -> None:
    failures: tuple[type[Exception], ...] = (*store.failures(), InputError, OSError)
    end, tries, warned, pause = None, _LAST_TRIES, False, 0.0
    while True:
        for item in _arrived(said, pause or _TICK_SECONDS):
            if "end" not in item:
                follower.take(item)
            elif end is None:
                end = str(item["end"])
                threading.Timer(_LAST_WORDS_SECONDS, os._exit, [1]).start()
        try:
            if end is not None:
                follower.end(end)
                os._exit(0)  # threads of MLflow's and the one that reads are left behind
            follower.log()
            pause = 0.0
        except StageFailure:  # a publish is at work on the same MLflow
            pause = _TICK_SECONDS
        except failures as error:
            pause = _AGAIN_SECONDS if end is None else _TICK_SECONDS
            if not warned:
                warned = True
                with suppress(OSError):  # the trainer may be gone
                    print(f"MLflow at {uri} can't be reached ({store.brief(error)}); the training goes on", flush=True)
            tries -= end is not None
            if not tries:
                os._exit(1)


def _arrived(said: "queue.Queue[dict[str, Any]]", seconds: float) -> list[dict[str, Any]]:
    """All that has come, after waiting for the first."""
    items = []
    with suppress(queue.Empty):
        items.append(said.get(timeout=seconds))
        while True:
            items.append(said.get_nowait())
    return items
