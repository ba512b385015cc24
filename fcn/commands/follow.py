"""`python -m fcn follow`: log a running training to MLflow; trainings start it themselves, where one is named."""

import argparse
import os
import signal
import sys
import time
from pathlib import Path

from fcn.config import Config
from fcn.errors import InputError, StageFailure, without_secrets
from fcn.publishing import tracking, trainings
from fcn.publishing.follower import RUNNING, Follower, Trainer
from fcn.stages import publish
from fcn.stages.places import Places

_TICK_SECONDS = 1.0
_AGAIN_SECONDS = 5.0
_LAST_TRIES = 2
_POLITENESS = 5  # the training's own processes come first
# Nobody waits for the rows, so what fails now is tried again with the next ones.
_IMPATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "8"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run, and the folder where its training writes what it does."""
    parser.add_argument("run", help="which run is trained")
    parser.add_argument("--folder", type=Path, required=True, help="the training's resume folder")


def run(config: Config, options: argparse.Namespace) -> None:
    """Log rows as they come until the training ends, and how it did; whatever happens here, it trains on.

    Environment: MLFLOW_TRACKING_URI.
    """
    places, uri = Places(config), os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        raise InputError("follow is started by trainings, where MLFLOW_TRACKING_URI says which MLflow to log to")
    for number in (signal.SIGINT, signal.SIGTERM):  # it leaves with its trainer, and has to say how that ended
        signal.signal(number, signal.SIG_IGN)
    os.nice(_POLITENESS)
    os.environ.update(tracking.QUIET | _IMPATIENT)
    try:
        trainer = Trainer(options.folder, history=places.history(options.run), cost=places.cost(options.run))
    except FileNotFoundError as error:
        raise InputError(f"{options.folder} holds no training of {options.run}: {error.filename} is missing") from None
    entry = publish.begun(config, options.run, environment=trainer.environment)
    experiment = trainings.experiment(config, [])
    _follow(trainer, Follower(uri=uri, entry=entry, experiment=experiment, profile=config.profile), uri=uri)


def _follow(trainer: Trainer, follower: Follower, *, uri: str) -> None:
    failures: tuple[type[Exception], ...] = (*tracking.failures(), InputError, StageFailure, OSError)
    tries, warned, state = _LAST_TRIES, False, RUNNING
    while state == RUNNING or tries > 0:
        state = trainer.state()  # before the rows are read: an ended training adds none
        pause = _TICK_SECONDS
        try:
            follower.log(trainer.rows(), state)
            if state != RUNNING:
                return
        except failures as error:
            if not warned:
                why = f"MLflow at {without_secrets(uri)} can't be reached ({tracking.brief(error)})"
                then = "the training goes on, publish logs what is missing"
                print(f"{follower.entry.name}: warning: {why}; {then}", file=sys.stderr)
            tries, warned = tries - (state != RUNNING), True
            pause = _AGAIN_SECONDS if state == RUNNING else _TICK_SECONDS
        time.sleep(pause)
