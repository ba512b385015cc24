"""An experiment and its runs as MLflow shall hold them: data with a digest."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from fcn.files import sha256

ROW = "row"  # the tag that the rows of every experiment go by


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Pictures that a run saw: what they were for, where they lie, and the hash of them."""

    name: str
    digest: str
    path: str
    context: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One run of MLflow, known by its name within its experiment; one with `metrics` is a model there, too.

    `curves` are (step, value) by metric, `texts` and `files` artifacts by path, `seconds` is how long the work took
    that the run stands for, `origin` are tags that join the run to what made it.
    """

    name: str
    note: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    origin: Mapping[str, str] = field(default_factory=dict)
    datasets: Sequence[Dataset] = ()
    curves: Mapping[str, Sequence[tuple[int, float]]] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def digest(self) -> str:
        """A hash of all that the run holds; files count by their content and artifact, not by where they lie.

        Where it comes from doesn't count: the same results, made again or in another row, are the same run.
        """
        content = asdict(self)
        del content["origin"], content["datasets"]
        content["files"] = {artifact: sha256(path) for artifact, path in self.files.items()}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One experiment of MLflow: its runs, and the ids of the columns that its list of them shows.

    `title` and `note` are its description.
    """

    name: str
    title: str
    note: str
    columns: Sequence[str]
    entries: Sequence[Entry]

    def __post_init__(self) -> None:
        names = [entry.name for entry in self.entries]
        assert len(set(names)) == len(names), f"{self.name}: a row stands twice"


def columns(kind: Literal["metrics", "params", "tags"], *names: str) -> list[str]:
    """The ids of columns of MLflow's list of runs."""
    return [f"{kind}.`{name}`" for name in names]


def place(index: int) -> dict[str, str]:
    """The tag of the row at this index; MLflow compares tags as text."""
    return {ROW: f"{index + 1:03d}"}


def rounded(value: float, *, digits: int = 1) -> float:
    """The value as tables print it; never minus zero."""
    return round(value, digits) + 0.0


_ABOUT = {
    "sample": "generated scenes, networks an eighth as wide or less, minutes of training. Its numbers are a "
    "miniature's, not the papers': read their order, not their height.",
    "smoke": "every stage once, on a dozen generated scenes. Its numbers mean nothing.",
}


def about(profile: str) -> str:
    """What a reader of this profile's numbers has to know first."""
    return f"Profile `{profile}`" + (f": {_ABOUT[profile]}" if profile in _ABOUT else ".")
