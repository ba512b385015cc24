"""Follows a training: progress for people, each row of its history on disk at once, saved states, the wish to stop."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Never

import torch
from tqdm import tqdm

from fcn.files import write_json, write_text
from fcn.lifeline import Lifeline
from fcn.machine import load_average, seconds
from fcn.nets.fcn import FCN
from fcn.training import resume
from fcn.training.resume import Progress

_SAVE_SECONDS = 120.0
_LINE_SECONDS = 30.0


@dataclass(kw_only=True)
class Observer:
    """What fcn/training/loop.py asks of who watches it; `folder` is where the training finds itself again."""

    run: str
    iterations: int
    folder: Path
    line: Lifeline
    bar: "tqdm[Never]" = field(init=False)
    saved_at: float = field(default_factory=time.monotonic)
    told_at: float = field(default_factory=time.monotonic)
    loads: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        meaning = "the time between two saved states"
        self.save_seconds = seconds("FCN_SAVE_SECONDS", default=_SAVE_SECONDS, meaning=meaning)
        self.bar = tqdm(total=self.iterations, desc=self.run, unit="it", disable=not sys.stderr.isatty())

    def begin(self, *, about: Mapping[str, object], history: Sequence[Mapping[str, float]], params: str) -> None:
        """Lay down what is known, and where MLFLOW_TRACKING_URI is set start whoever carries it there.

        That is a process and session of its own: the training neither waits for it nor ends with it.
        """
        (self.folder / "failed").unlink(missing_ok=True)
        write_text(self.history_file, "".join(json.dumps(row) + "\n" for row in history))
        write_json(self.folder / "about.json", {"run": self.run, "iterations": self.iterations, **about})
        if os.environ.get("MLFLOW_TRACKING_URI"):
            command = [sys.executable, "-m", "fcn", "follow", self.run, "--folder", str(self.folder)]
            subprocess.Popen([*command, "--params", params], stdin=subprocess.DEVNULL, start_new_session=True)

    @property
    def history_file(self) -> Path:
        """The rows up to now, one JSON object a line."""
        return self.folder / "history.jsonl"

    def report(self, row: dict[str, float]) -> None:
        """Write the row down and show it."""
        self.loads.append(load_average())
        with self.history_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        self.bar.n = int(row["iteration"])
        if "mean_iu" in row:
            self._say(row, f"mean IU {100 * row['mean_iu']:.1f} on the way")
            return
        self.bar.set_postfix(images=int(row["images"]), loss=f"{row['loss']:.3f}", refresh=True)
        last = row["iteration"] == self.iterations
        if self.bar.disable and (last or time.monotonic() - self.told_at > _LINE_SECONDS):
            self.told_at = time.monotonic()
            self._say(row, f"{int(row['images'])} images, loss {row['loss']:.3f}")

    def _say(self, row: Mapping[str, float], what: str) -> None:
        tqdm.write(f"{self.run}: iteration {int(row['iteration'])} of {self.iterations}, {what}", file=sys.stderr)

    def warn(self, message: str) -> None:
        """Say that something looks wrong."""
        tqdm.write(f"{self.run}: warning: {message}", file=sys.stderr)

    def save_is_due(self) -> bool:
        """Whether it is time to save."""
        return time.monotonic() - self.saved_at >= self.save_seconds

    def save(self, progress: Progress, net: FCN, optimizer: torch.optim.SGD) -> None:
        """Keep the state."""
        resume.save(self.folder, progress=progress, net=net.state_dict(), optimizer=optimizer.state_dict())
        self.saved_at = time.monotonic()

    def must_stop(self) -> bool:
        """Whether a signal came, or the process that started this one died."""
        return self.line.cut.is_set()


class Silent(Observer):
    """Of several processes that train one net, those beside the first: they say nothing and keep nothing."""

    def __post_init__(self) -> None:
        self.bar = tqdm(disable=True)

    def begin(self, *, about: Mapping[str, object], history: Sequence[Mapping[str, float]], params: str) -> None:
        """Lay down nothing."""

    def report(self, row: dict[str, float]) -> None:
        """Write nothing down."""

    def warn(self, message: str) -> None:
        """Say nothing."""

    def save_is_due(self) -> bool:
        """Never."""
        return False

    def save(self, progress: Progress, net: FCN, optimizer: torch.optim.SGD) -> None:
        """Keep nothing."""

    def must_stop(self) -> bool:
        """Not by itself: it ends with the first."""
        return False
