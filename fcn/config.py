"""Runs, recipes, nets, weights, lists and datasets, read from a params.yaml and checked."""

import difflib
from collections.abc import Mapping
from dataclasses import field
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
Seed = Annotated[int, Field(ge=0)]


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
class Archive:
    """A file that is fetched, or made by the sample generator.

    What a download is, its name tells (fcn/paper/downloads.py). A sample's archive has the `format` of a dataset, is
    called `file`, and its scenes are drawn from `seed`.
    """

    kind: Literal["download", "sample"]
    format: Name | None = None
    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")] | None = None
    scenes: Scenes | None = None
    seed: Seed = 0


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Dataset:
    """Pictures and labels: a module of fcn/datasets/formats reads them from an archive or a folder.

    `from_` is the folder of a fetched archive, data/<profile>/archives/NAME, or a person's own archive or folder.
    """

    format: Name
    from_: Annotated[str, Field(validation_alias="from")]


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class ImageList:
    """A list of image ids: a dataset's own list, less another, or one that was published.

    `expect` is the exact count, `published` names a list in fcn/paper that the result must equal.
    """

    dataset: Name
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
class Classifier:
    """A classifier that is trained here on the sample's crops; without `training` a start from scratch."""

    backbone: Backbone
    preprocessing: Name
    training: ClassifierTraining | None = None
    seed: Seed = 0


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Weights:
    """Pretrained weights in a file, and the preprocessing that they were trained with.

    `kind` is a module of fcn/nets/pretrained. `from_` is a file, or the folder of a fetched archive.
    """

    backbone: Backbone
    kind: Name
    from_: Annotated[str, Field(validation_alias="from")]
    preprocessing: Name


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Net:
    """A fully convolutional network: all that decides its layers (CVPR section 4, figure 3).

    `inputs` are concatenated into the trunk's channels. `heads` has the number of classes of each target. `taps` are
    the strides of the skips, coarse to fine: none for 32s, [16] for 16s, [16, 8] for 8s. `scales` multiplies a skip's
    map before it is scored; without an entry, by 1. `pad` is in pixels around the image, or "same" at every layer.
    """

    backbone: Backbone
    inputs: tuple[Name, ...]
    heads: dict[Name, Annotated[int, Field(ge=2, le=255)]]
    taps: tuple[Literal[16, 8], ...]
    scales: dict[Literal[16, 8], Positive] = field(default_factory=dict)
    pad: Literal[100, "same"]
    upsampling: Literal["fixed", "intermediate", "all"]

    def __post_init__(self) -> None:
        if self.taps not in ((), (16,), (16, 8)):
            raise ValueError(f"taps are {list(self.taps)}; [] makes a net of stride 32, [16] of 16, [16, 8] of 8")
        if extra := [tap for tap in self.scales if tap not in self.taps]:
            raise ValueError(f"scales has an entry for {extra[0]}, which is not among the taps {list(self.taps)}")
        if not self.heads or not self.inputs:
            raise ValueError("heads and inputs: a net has at least one of each, such as {semantic: 21} and [rgb]")

    @property
    def stride(self) -> Literal[32, 16, 8]:
        """Pixels between two cells of the finest map that is scored."""
        return self.taps[-1] if self.taps else 32

    def misfit(self, parent: "Net", *, scaled: bool = True) -> str | None:
        """What forbids a net of this shape to start from a trained one of the shape `parent`; None where nothing does.

        It takes over every layer of its parent, but for a last upsampling of another stride. Where one would be lost,
        or act otherwise than it was trained to, the sentence says so, to be put behind the parent's name. `scaled`:
        whether the parent's scales are known.
        """
        for target, classes in parent.heads.items():
            if self.heads.get(target) != classes:
                ours = f"{self.heads[target]} classes" if target in self.heads else f"no head {target!r}"
                return f"has {classes} classes for {target!r}, the run's net {ours}; start from weights/NAME instead"
        if parent.inputs != self.inputs:
            return f"takes {', '.join(parent.inputs)}, the run's net {', '.join(self.inputs)}; both must take the same"
        if parent.taps != self.taps[: len(parent.taps)]:
            return (
                f"has a stride of {parent.stride} px, the run's net {self.stride}: its finer skips would be lost; "
                "start from a net of the same stride or a larger one"
            )
        if parent.pad != self.pad:
            return f"was trained with pad {parent.pad}, the run's net has {self.pad}; write pad: {parent.pad}"
        for tap in parent.taps if scaled else ():
            theirs, own = parent.scales.get(tap, 1.0), self.scales.get(tap, 1.0)
            if theirs != own:
                return f"scales the skip of stride {tap} by {theirs:g}, the run's net by {own:g}; use the same scales"
        learned = ("fixed", "intermediate", "all")
        if learned.index(parent.upsampling) > learned.index(self.upsampling) and (
            parent.upsampling == "all" or parent.taps
        ):
            return (
                f"has learned its upsampling ({parent.upsampling}), which a net with upsampling {self.upsampling} "
                f"would lose; write upsampling: {parent.upsampling}"
            )
        return None


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Recipe:
    """Stochastic gradient descent as in section 4.3 of the CVPR paper, and what a profile adds to it.

    `trained` is the whole net or its score layers alone. One step sees `batch * accumulation` images. `loss` is a
    module of fcn/training/losses. `bias_rate` multiplies the rate of biases, which never decay. With 0 `iterations`
    the init is scored as it is. The fields with a default are switches that no paper uses: off unless a profile
    departs.
    """

    trained: Literal["all", "score"]
    batch: Count
    accumulation: Count
    momentum: Annotated[float, Field(ge=0, lt=1)]
    rate: Positive
    bias_rate: Positive
    decay: NonNegative
    loss: Name
    iterations: Annotated[int, Field(ge=0)]
    precision: Literal["float32", "bfloat16"]
    crop: Count | None = None
    mirror: bool = False
    jitter: Annotated[int, Field(ge=0)] = 0
    warmup: Annotated[int, Field(ge=0)] = 0
    drop_at: Annotated[float, Field(gt=0, lt=1)] | None = None
    clip: Positive | None = None
    score_rate: Positive = 1.0
    on_oom: Literal["stop", "accumulate"] = "stop"


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class ListRef:
    """An image list and the dataset that holds its images and labels."""

    dataset: Name
    list: Name


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Run:
    """One network, trained once: a line of params.yaml.

    `init` is the path of what it starts from, below the profile's data folder and without suffix:
    `weights/NAME`, of a weights entry or a classifier, or, for the staged hand-over, `nets/RUN`.
    `regime` says whose settings it is compared with; it changes nothing in the training.
    """

    regime: Literal["cvpr", "pami"]
    train: ListRef
    val: ListRef
    net: Name
    init: Annotated[str, Field(pattern=r"^(weights|nets)/[a-z0-9._-]+$")]
    recipe: Name
    seed: Seed = 0

    @property
    def parent(self) -> str | None:
        """The run that this one starts from, or None."""
        folder, _, name = self.init.partition("/")
        return name if folder == "nets" else None


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Config:
    """A profile: everything in its params.yaml.

    `threads` is the number of CPU threads that every stage computes with. It is a setting, not a property of the
    machine, because sums that are split otherwise end in other last digits. `backbones` is where params.yaml writes
    them down once; nets, weights and classifiers hold copies.
    """

    profile: Name
    root: str
    params: str
    threads: Count
    archives: dict[Name, Archive]
    datasets: dict[Name, Dataset]
    lists: dict[Name, ImageList]
    disjoint: list[tuple[Name, Name]]
    backbones: dict[Name, Backbone]
    classifiers: dict[Name, Classifier]
    weights: dict[Name, Weights]
    nets: dict[Name, Net]
    recipes: dict[Name, Recipe]
    runs: dict[Name, Run]
    departures: dict[str, str]

    def __post_init__(self) -> None:
        for name, dataset in self.datasets.items():
            if dataset.from_.startswith(self._archives):
                _known(f"datasets.{name}.from", self._archive_of(dataset.from_), self.archives, prefix=self._archives)
        for name, entry in self.lists.items():
            _known(f"lists.{name}.dataset", entry.dataset, self.datasets)
            if entry.minus is not None:
                _known(f"lists.{name}.minus", entry.minus, self.lists)
        for pair in self.disjoint:
            for name in pair:
                _known("disjoint", name, self.lists)
        for name in self.classifiers:
            if name in self.weights:
                raise InputError(f"classifiers.{name}: weights has an entry of this name too; rename one of the two")
        for name, run in self.runs.items():
            self._check_run(name, run)

    @property
    def _archives(self) -> str:
        return f"data/{self.profile}/archives/"

    def _archive_of(self, path: str) -> str:
        return path.removeprefix(self._archives).rstrip("/")

    def _check_run(self, name: str, run: Run) -> None:
        where = f"runs.{name}"
        _known(f"{where}.net", run.net, self.nets)
        _known(f"{where}.recipe", run.recipe, self.recipes)
        for side, ref in (("train", run.train), ("val", run.val)):
            _known(f"{where}.{side}.list", ref.list, self.lists)
            holder = self.lists[ref.list].dataset
            if holder != ref.dataset:
                raise InputError(
                    f"{where}.{side}: list {ref.list!r} belongs to dataset {holder!r}, "
                    f"not {ref.dataset!r}; write {{dataset: {holder}, list: {ref.list}}}"
                )
        recipe = self.recipes[run.recipe]
        if recipe.batch > 1 and self.nets[run.net].pad == 100 and recipe.crop is None:
            raise InputError(
                f"{where}: recipe {run.recipe!r} puts {recipe.batch} images of different sizes into one pass, "
                "which pad 100 can't do exactly; use batch 1 with accumulation, or a crop"
            )
        folder, _, source = run.init.partition("/")
        starts = {**self.weights, **self.classifiers} if folder == "weights" else self.runs
        _known(f"{where}.init", source, starts, prefix=f"{folder}/")
        self._check_chain(name)

    def _check_chain(self, name: str) -> None:
        """Follow `init` from run to run; a circle is an error, and a start that doesn't fit the net."""
        seen = [name]
        while (parent := self.runs[seen[-1]].parent) is not None:
            if parent in seen:
                raise InputError(
                    f"runs.{name}.init goes in a circle: {' -> '.join([*seen, parent])}; "
                    "the first run of a chain starts from weights/NAME"
                )
            _known(f"runs.{seen[-1]}.init", parent, self.runs, prefix="nets/")
            seen.append(parent)
        if len(seen) > 1:
            self._check_hand_over(name, seen[1])

    def _check_hand_over(self, name: str, parent: str) -> None:
        _known(f"runs.{parent}.net", self.runs[parent].net, self.nets)
        net, coarser = self.net(name), self.net(parent)
        if coarser.backbone != net.backbone:
            raise InputError(
                f"runs.{name}.init: {parent!r} has backbone {coarser.backbone}, this run {net.backbone}; "
                "both must be the same"
            )
        if (problem := net.misfit(coarser)) is not None:
            raise InputError(f"runs.{name}.init: {parent!r} {problem}")

    def run(self, name: str) -> Run:
        """The run called `name`."""
        _known("run", name, self.runs)
        return self.runs[name]

    def archive(self, name: str) -> Archive:
        """The archive called `name`."""
        _known("archive", name, self.archives)
        return self.archives[name]

    def dataset(self, name: str) -> Dataset:
        """The dataset called `name`."""
        _known("dataset", name, self.datasets)
        return self.datasets[name]

    def classifier(self, name: str) -> Classifier:
        """The classifier called `name`."""
        _known("classifier", name, self.classifiers)
        return self.classifiers[name]

    def weights_entry(self, name: str) -> Weights:
        """The weights entry called `name`."""
        _known("weights", name, self.weights)
        return self.weights[name]

    def net(self, run: str) -> Net:
        """The network of the run called `run`."""
        return self.nets[self.run(run).net]

    def recipe(self, run: str) -> Recipe:
        """How the run called `run` is trained."""
        return self.recipes[self.run(run).recipe]

    def at_once(self, run: str) -> bool:
        """Whether the run's skips are trained from the classifier on, without a coarser net in between."""
        return self.run(run).parent is None and bool(self.net(run).taps)

    def generated(self, dataset: str) -> bool:
        """Whether a dataset is the sample generator's."""
        origin = self.dataset(dataset).from_
        return origin.startswith(self._archives) and self.archives[self._archive_of(origin)].kind == "sample"


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
