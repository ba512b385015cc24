"""An experiment and its runs as MLflow shall hold them: data with a digest."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file that becomes an artifact in `folder`, under its own name."""

    path: Path
    folder: str
    md5: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Pictures that a run saw: what they were for, where they lie, and the hash of them."""

    name: str
    digest: str
    path: str
    context: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One run of MLflow, known by its name within its experiment.

    `curves` are (step, value) by metric, `texts` artifacts by file name, `table` columns for MLflow's log_table.
    `seconds` is how long the work took that the run stands for. `origin` are tags that join the run to what made it.
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
    uploads: Sequence[Upload] = ()
    table: Mapping[str, Sequence[str | float | None]] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def digest(self) -> str:
        """A hash of all that the run holds; uploads count by their content and name, not by where they lie.

        Where it comes from doesn't count: the same results, made again, are the same run.
        """
        held = asdict(self)
        del held["origin"], held["datasets"]
        held["uploads"] = sorted((item.folder, item.path.name, item.md5) for item in self.uploads)
        return hashlib.sha256(json.dumps(held, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How MLflow's list of runs looks when it is opened through a link: column ids in order, what the rows go by."""

    columns: Sequence[str]
    order_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One experiment of MLflow: its runs, in the order of the view. `title` and `note` are its description."""

    name: str
    title: str
    note: str
    view: View
    entries: Sequence[Entry]

    def __post_init__(self) -> None:
        names = [entry.name for entry in self.entries]
        assert len(set(names)) == len(names), f"{self.name}: a row stands twice"


def metric(name: str) -> str:
    """The id of a metric's column, which is also what rows can be ordered by."""
    return f"metrics.`{name}`"


def param(name: str) -> str:
    """The id of a parameter's column."""
    return f"params.`{name}`"


def tag(name: str) -> str:
    """The id of a tag's column."""
    return f"tags.`{name}`"


def place(index: int) -> str:
    """The tag that rows are ordered by; MLflow compares tags as text."""
    return f"{index + 1:03d}"


def rounded(value: float, *, digits: int = 1) -> float:
    """The value as tables print it; never minus zero."""
    return round(value, digits) + 0.0


def about(profile: str) -> str:
    """What a reader of this profile's numbers has to know first."""
    if profile == "sample":
        return (
            "Profile `sample`: generated scenes, networks an eighth as wide or less, minutes of training. Its numbers "
            "are a miniature's, not the papers': read their order, not their height."
        )
    return f"Profile `{profile}`."
