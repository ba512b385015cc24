"""How far a running training is, as a progress artifact in Prefect that follows the training's own lines."""

import re
from uuid import UUID

from prefect import get_run_logger
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.utilities.slugify import slugify

# What the stage says at its start, and then every 30 s.
_START = re.compile(r"(?P<run>\S+): (?P<all>\d+) iterations of ")
_LINE = re.compile(r"(?P<run>\S+): iteration (?P<done>\d+) of (?P<all>\d+), (?P<rest>.*)")


class Progress:
    """The artifact `<profile>-<run>-progress` of a training's task; every task makes a new version of it."""

    def __init__(self, *, profile: str, run: str) -> None:
        self._run, self._key = run, slugify(f"{profile}-{run}-progress")
        self._artifact: UUID | None = None
        self._warned = False

    def hear(self, line: str) -> None:
        """Show what a line of the training says; all others mean nothing here."""
        if (start := _START.match(line)) and start["run"] == self._run:
            self._show(0.0, f"{self._run}: 0 of {start['all']} iterations")
        elif (found := _LINE.match(line)) and found["run"] == self._run:
            done, of = int(found["done"]), int(found["all"])
            self._show(100 * done / of, f"{self._run}: {done} of {of} iterations, {found['rest']}")

    def _show(self, percent: float, text: str) -> None:
        try:
            if self._artifact is None:
                made = create_progress_artifact(percent, key=self._key, description=text)
                assert isinstance(made, UUID)  # and not a coroutine, which it is in an asynchronous flow
                self._artifact = made
            else:
                update_progress_artifact(self._artifact, percent, description=text)
        except Exception as error:  # whatever the server's trouble is, the training goes on
            if not self._warned:
                get_run_logger().warning("Prefect could not be told how far %s is: %s", self._run, error)
            self._warned = True
