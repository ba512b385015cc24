"""Runs, solvers, weights, lists and sources, read from a params.yaml and checked."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from fcn.errors import InputError

_STRICT = ConfigDict(extra="forbid")

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Scenes:
    """How many scenes the sample generator puts into its VOC and SBD archives.

    `leaked` scenes are in VOC val *and* in SBD train, as in the real data.
    """

    sbd_train: Count
    voc_train: Count
    voc_val: Count
    leaked: Count


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Source:
    """Where a dataset's archive comes from.

    `from_` is what DVC watches: the facts file that pins a download, the generator's code, or a local path.
    """

    dataset: Literal["voc", "sbd"]
    kind: Literal["download", "local", "sample"]
    from_: Annotated[str, Field(validation_alias="from")]
    archive: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")] | None = None
    scenes: Scenes | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class ImageList:
    """A list of image ids: a dataset's own list, less another, or one that was published.

    `expect` is the exact count, `published` names a list in fcn/paper that the result must equal.
    """

    source: Name
    list: Name
    minus: Name | None = None
    published: Name | None = None
    expect: Count | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Backbone:
    """A classification network's shape.

    `width` multiplies every convolution's channels, `fc` is the width of fc6 and fc7, `dropout` acts on both,
    `input_px` is the side of the square image that the classifier takes, which decides the size of fc6's kernel.
    """

    architecture: Name
    width: Positive
    fc: Count
    input_px: Count
    dropout: Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class ClassifierTraining:
    """How a sample classifier is trained on single-object crops."""

    crops: Count
    held_out: Count
    batch: Count
    iterations: Count
    rate: Positive
    precision: Literal["float32", "bfloat16"]


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Weights:
    """A named set of pretrained weights, and the preprocessing that it was trained with."""

    backbone: Name
    kind: Literal["torchvision", "keras", "state_dict", "classifier", "pytorch_fcn", "none"]
    from_: Annotated[str, Field(validation_alias="from")]
    preprocessing: Name
    training: ClassifierTraining | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Solver:
    """Stochastic gradient descent as in section 4.3 of the CVPR paper, and what a profile adds to it.

    One step sees `batch * accumulation` images. `loss` is the mean over a forward pass's valid pixels, or
    their sum divided by its images, as in the reference release. `bias_rate` multiplies the rate of biases, which never
    decay. With 0 `iterations` the init is scored as it is. The fields with a default are switches that no paper uses:
    off unless a profile departs.
    """

    batch: Count
    accumulation: Count
    momentum: Annotated[float, Field(ge=0, lt=1)]
    rate: Positive
    bias_rate: Positive
    decay: NonNegative
    loss: Literal["mean", "sum"]
    iterations: Annotated[int, Field(ge=0)]
    precision: Literal["float32", "bfloat16"]
    warmup: Annotated[int, Field(ge=0)] = 0
    drop_at: Annotated[float, Field(gt=0, lt=1)] | None = None
    clip: Positive | None = None
    score_rate: Positive = 1.0
    on_oom: Literal["stop", "accumulate"] = "stop"


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Run:
    """One network, trained once: a line of params.yaml.

    `init` is the path of what it starts from, below the profile's data folder and without suffix:
    `weights/NAME` or, for the staged hand-over, `nets/RUN`. `atonce` scales the skips as the reference release does,
    which suits networks on pixels of 0..255; `atonce-unscaled` is for weights on pixels near 1.
    """

    regime: Literal["cvpr", "pami"]
    train: "ListRef"
    val: "ListRef"
    backbone: Name
    stride: Literal[32, 16, 8]
    skips: Literal["none", "staged", "atonce", "atonce-unscaled"]
    pad: Literal[100, "same"]
    upsampling: Literal["fixed", "intermediate", "all"]
    trained: Literal["all", "score"]
    init: Annotated[str, Field(pattern=r"^(weights|nets)/[a-z0-9._-]+$")]
    solver: Name
    crop: Count | None = None
    mirror: bool = False
    jitter: Annotated[int, Field(ge=0)] = 0

    @property
    def parent(self) -> str | None:
        """The run that this one starts from, or None."""
        folder, _, name = self.init.partition("/")
        return name if folder == "nets" else None


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class ListRef:
    """An image list and the source that holds its images and labels."""

    source: Name
    list: Name


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Config:
    """A profile: everything in its params.yaml.

    `threads` is the number of CPU threads that every stage computes with. It is a setting, not a property of the
    machine, because sums that are split otherwise end in other last digits.
    """

    profile: Name
    root: str
    params: str
    seed: Annotated[int, Field(ge=0)]
    threads: Count
    classes: Annotated[int, Field(ge=2, le=255)]
    sources: dict[Name, Source]
    lists: dict[Name, ImageList]
    disjoint: list[tuple[Name, Name]]
    backbones: dict[Name, Backbone]
    weights: dict[Name, Weights]
    solvers: dict[Name, Solver]
    runs: dict[Name, Run]
    departures: dict[str, str]

    def __post_init__(self) -> None:
        for name, entry in self.lists.items():
            _known(f"lists.{name}.source", entry.source, self.sources)
            if entry.minus is not None:
                _known(f"lists.{name}.minus", entry.minus, self.lists)
        for pair in self.disjoint:
            for name in pair:
                _known("disjoint", name, self.lists)
        for name, weights in self.weights.items():
            _known(f"weights.{name}.backbone", weights.backbone, self.backbones)
        for name, run in self.runs.items():
            self._check_run(name, run)

    def _check_run(self, name: str, run: Run) -> None:
        where = f"runs.{name}"
        _known(f"{where}.backbone", run.backbone, self.backbones)
        _known(f"{where}.solver", run.solver, self.solvers)
        for side, ref in (("train", run.train), ("val", run.val)):
            _known(f"{where}.{side}.list", ref.list, self.lists)
            if self.lists[ref.list].source != ref.source:
                raise InputError(
                    f"{where}.{side}: list {ref.list!r} belongs to source {self.lists[ref.list].source!r}, "
                    f"not {ref.source!r}; write {{source: {self.lists[ref.list].source}, list: {ref.list}}}"
                )
        if (run.stride == 32) != (run.skips == "none"):
            raise InputError(
                f"{where}: stride {run.stride} with skips {run.skips!r}; a stride of 32 has skips 'none', "
                "16 and 8 have 'staged', 'atonce' or 'atonce-unscaled'"
            )
        solver = self.solvers[run.solver]
        if solver.batch > 1 and run.pad == 100 and run.crop is None:
            raise InputError(
                f"{where}: solver {run.solver!r} puts {solver.batch} images of different sizes into one pass, "
                "which pad 100 can't do exactly; use batch 1 with accumulation, or a crop"
            )
        folder, _, source = run.init.partition("/")
        _known(f"{where}.init", source, self.weights if folder == "weights" else self.runs, prefix=f"{folder}/")
        self._check_chain(name)

    def _check_chain(self, name: str) -> None:
        """Follow `init` from run to run; a circle is an error."""
        seen = [name]
        while (parent := self.runs[seen[-1]].parent) is not None:
            if parent in seen:
                raise InputError(
                    f"runs.{name}.init goes in a circle: {' -> '.join([*seen, parent])}; "
                    "the first run of a chain starts from weights/NAME"
                )
            _known(f"runs.{seen[-1]}.init", parent, self.runs, prefix="nets/")
            if self.runs[parent].backbone != self.runs[name].backbone:
                raise InputError(
                    f"runs.{name}.init: {parent!r} has backbone {self.runs[parent].backbone!r}, "
                    f"this run {self.runs[name].backbone!r}; both must be the same"
                )
            seen.append(parent)

    def run(self, name: str) -> Run:
        """The run called `name`."""
        _known("run", name, self.runs)
        return self.runs[name]

    def source(self, name: str) -> Source:
        """The source called `name`."""
        _known("source", name, self.sources)
        return self.sources[name]

    def weights_entry(self, name: str) -> Weights:
        """The weights entry called `name`."""
        _known("weights", name, self.weights)
        return self.weights[name]


def _known(what: str, name: str, among: Mapping[str, object], *, prefix: str = "") -> None:
    if name in among:
        return
    close = difflib.get_close_matches(name, among, n=1)
    hint = f"did you mean {prefix + close[0]!r}? " if close else ""
    allowed = ", ".join(prefix + key for key in among) or "none"
    raise InputError(f"{what}: unknown name {prefix + name!r}; {hint}known are: {allowed}")


def parse(values: object, *, where: str = "params.yaml") -> Config:
    """Check a params mapping and return it as a Config.

    Raises InputError, naming the first three things that are wrong.
    """
    try:
        return TypeAdapter(Config).validate_python(values)
    except ValidationError as error:
        raise InputError(_sentence(error, where)) from None


def load(path: Path) -> Config:
    """Read a profile's params.yaml."""
    try:
        values: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such file; --params takes a params.yaml, such as profiles/paper/params.yaml"
        ) from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder; --params takes the params.yaml in it") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not text in UTF-8; --params takes a params.yaml") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    return parse(values, where=str(path))


def _sentence(error: ValidationError, where: str) -> str:
    parts = []
    for detail in error.errors()[:3]:
        place = ".".join(str(part) for part in detail["loc"])
        found = detail["input"]
        shown = f", found {found!r}" if isinstance(found, str | int | float | bool) or found is None else ""
        message = detail["msg"].removeprefix("Value error, ")
        parts.append(f"{place}: {message}{shown}" if place else message)
    more = error.error_count() - len(parts)
    return f"{where}: " + "; ".join(parts) + (f"; and {more} more" if more > 0 else "")
