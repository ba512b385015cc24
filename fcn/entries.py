"""What a line of params.yaml may say, section by section."""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass

from fcn.shape import STRICT, Backbone, Count, Name, Positive, spelt

# fcn/nets/preprocessing.py has what they are.
Preset = Literal["imagenet", "inception", "caffe", "caffe-nyud", "caffe-siftflow", "sample"]
Trained = Annotated[str, spelt("nets/[a-z0-9._-]+", "nets/RUN is wanted, in small letters")]  # like a run's init
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
From = Annotated[  # as it stands DVC has it, too, as a dependency
    str,
    Field(validation_alias="from"),
    spelt("(?!~)(?s:.*)", "to DVC `~` is a folder of that name; write the home folder out, as `echo ~` shows it"),
    spelt("(?!.*://)(?s:.*)", "a file or folder is wanted; what has an address is fetched as an entry under archives"),
]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Value = int | tuple[int, int, int]  # what a pixel of a person's label has: a number, or a colour
_CLASS = re.compile(r"[\w()'&+./-]+( [\w()'&+./-]+)*")  # what stands in a table's cell as it is


def _classes(given: object) -> tuple[str, ...] | dict[str, Value]:
    """Names of classes, as many as a label of 8 bits can tell apart beside void, each once; or a value for each."""
    if not isinstance(given, list | tuple | dict):
        raise ValueError("write the names in the order of the labels' values, such as [background, cat, dog]")
    names = list(given)
    for name in names:
        if not isinstance(name, str) or not _CLASS.fullmatch(name) or len(name) > 40:
            raise ValueError(
                f"{name!r} is no name of a class: at most 40 letters, digits, single blanks and ( ) ' & + . / - _, in "
                "quotation marks where YAML has another meaning for it, as for 7 and yes"
            )
        if names.count(name) > 1:
            raise ValueError(f"{name!r} stands {names.count(name)} times; each class has a name of its own")
    if not 2 <= len(names) <= 255:
        raise ValueError(f"{len(names)} names; a net tells apart 2 to 255 classes, whose values in labels are 0..254")
    return {name: _value(value) for name, value in given.items()} if isinstance(given, dict) else tuple(names)


def _value(given: object) -> Value:
    levels = list(given) if isinstance(given, list | tuple) else []
    if len(levels) == 3 and all(type(level) is int and 0 <= level <= 255 for level in levels):
        return levels[0], levels[1], levels[2]
    if type(given) is not int or abs(given) >= 2**31:
        raise ValueError(f"{given!r} is no pixel of a label: a number, such as 1, or a colour, such as [128, 64, 0]")
    return given


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Scenes:
    """How many scenes the sample generator puts into its VOC and SBD archives.

    `leaked` scenes are in VOC val *and* in SBD train, as in the real data.
    """

    sbd_train: Count
    voc_train: Count
    voc_val: Count
    leaked: Count


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Archive:
    """Files that are fetched, or made by the sample generator.

    What a download is, its name tells (fcn/paper/downloads.py), or those of its `parts`, where a dataset comes in
    several files. A sample's archive has the `format` of a dataset, a module of fcn/datasets/sample/standins, and its
    scenes are drawn from `seed`: `scenes` of them in a file called `file`, for VOC and SBD, which share pictures; for
    others `train` and `val`, to learn from and to score on.
    """

    kind: Literal["download", "sample"]
    parts: tuple[Name, ...] = ()
    format: Name | None = None
    file: (
        Annotated[str, spelt("[A-Za-z0-9_-][A-Za-z0-9._-]*", "a file's name is of letters, digits, `.`, `_`, `-`")]
        | None
    ) = None
    scenes: Scenes | None = None
    train: Count | None = None
    val: Count | None = None
    seed: Seed = 0


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Dataset:
    """Pictures and labels: a module of fcn/datasets/formats reads them from an archive or a folder.

    `from_` is the folder of a fetched archive, data/<profile>/archives/NAME, or a person's own archive or folder.
    `classes` are named in the order of the labels' values, or with the value of each; without them they are the
    format's own. All further words are of formats that take them (docs/own-data.md).
    """

    format: Name
    from_: From
    classes: Annotated[tuple[str, ...] | dict[str, Value], BeforeValidator(_classes)] = ()
    void: Annotated[Value | None, BeforeValidator(lambda given: None if given is None else _value(given))] = None
    pictures: str | None = None
    labels: str | None = None
    lists: str | None = None
    variable: str | None = None

    def __post_init__(self) -> None:
        values = dict(self.classes) if isinstance(self.classes, dict) else {}
        said = [*values.items(), *([] if self.void is None else [("void", self.void)])]
        for at, (name, value) in enumerate(said):
            if other := next((other for other, same in said[:at] if same == value), None):
                raise ValueError(f"{other!r} and {name!r} are both {value} in labels; each needs one of its own")
        kinds = {type(value) for _, value in said} | ({int} if self.classes and not values else set())
        if len(kinds) > 1:
            raise ValueError("classes and void are numbers in labels, or colours, but not some of each; write one kind")


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class ImageList:
    """A list of image ids: a dataset's own list, less another, or one that was published.

    Without `list` it begins with every image that has a label. `share` is about how much of it is kept: whether an
    image is, its id and `seed` alone decide. `expect` is the exact count, `published` names a list in fcn/paper that
    the result must equal.
    """

    dataset: Name
    list: Name | None = None
    minus: Name | None = None
    share: Annotated[float, Field(gt=0, lt=1)] | None = None
    seed: Seed = 0
    published: Name | None = None
    expect: Count | None = None

    def __post_init__(self) -> None:
        if self.seed and self.share is None:
            raise ValueError(f"seed is {self.seed}, but there is no `share` to draw with it; add one, or leave it out")


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class ClassifierTraining:
    """How a sample classifier is trained on single-object crops."""

    crops: Count
    held_out: Count
    batch: Count
    iterations: Count
    rate: Positive
    precision: Literal["float32", "bfloat16"]


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Classifier:
    """A classifier that is trained here on the sample's crops; without `training` a start from scratch."""

    backbone: Backbone
    preprocessing: Preset
    training: ClassifierTraining | None = None
    seed: Seed = 0

    def __post_init__(self) -> None:
        if self.training is not None and self.preprocessing != "sample":
            raise ValueError(
                f"preprocessing is {self.preprocessing!r}, but the sample's crops are prepared by 'sample'; "
                "write preprocessing: sample"
            )


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Weights:
    """Pretrained weights in a file, and the preprocessing that they were trained with.

    `kind` is a module of fcn/nets/pretrained. `from_` is a file, or the folder of a fetched archive.
    """

    backbone: Backbone
    kind: Name
    from_: From
    preprocessing: Preset


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Recipe:
    """Stochastic gradient descent as in section 4.3 of the CVPR paper, and what a profile adds to it.

    `trained` is the whole net or its score layers alone. One step sees `batch * accumulation` images. `loss` is a
    module of fcn/training/losses. `bias_rate` multiplies the rate of biases, which never decay. With 0 `iterations`
    the init is scored as it is. The fields with a default are switches that no paper uses: off unless a profile
    departs. But for three: every so many iterations, and after the last, a training is scored on its run's val list
    (`score_every`), and its net is that of its end or the one of the highest mean IU on the way (`keep`). A training
    that isn't scored depends on no val list, and has neither in its digest. And `devices` share a step's images: GPUs,
    or processes on a CPU. The step is that of one device but for dropout's draws and the last digits of sums.
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
    score_every: Annotated[Count | None, Field(exclude_if=lambda every: every is None)] = None
    keep: Annotated[Literal["last", "best"], Field(exclude_if=lambda kept: kept == "last")] = "last"
    devices: Annotated[Count, Field(exclude_if=lambda devices: devices == 1)] = 1

    def __post_init__(self) -> None:
        if (self.batch * self.accumulation) % self.devices:
            raise ValueError(
                f"devices is {self.devices}, which can't share the {self.batch * self.accumulation} images of a step "
                "(batch * accumulation) evenly; write a number that divides them"
            )
        if self.score_every is None and self.keep == "best":
            raise ValueError("keep: best is told by scores on the way; write score_every, such as score_every: 4000")
        if self.score_every is not None and self.score_every > self.iterations:
            raise ValueError(
                f"score_every is {self.score_every}, of {self.iterations} iterations; write as many or fewer, or leave "
                "it out: every net is scored once it is trained"
            )

    def kept(self, history: Iterable[Mapping[str, float]]) -> str:
        """Which net a training of this history keeps, to be put behind what it is; nothing where that is the last."""
        scored = [row for row in history if "mean_iu" in row]
        if self.keep == "last" or not scored:
            return ""
        best = max(scored, key=lambda row: row["mean_iu"])  # of equally good ones the earliest
        return f"iteration {best['iteration']:.0f}, the best on the way"


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class ListRef:
    """An image list and the dataset that holds its images and labels."""

    dataset: Name
    list: Name


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Run:
    """One network, trained once: a line of params.yaml.

    `init` is the path of what it starts from, below the profile's data folder and without suffix:
    `weights/NAME`, of a weights entry, a classifier or a fusion, or, for the staged hand-over, `nets/RUN`.
    `regime` says whose settings and numbers it is compared with, `none` that it follows no paper; it changes nothing
    in the training.
    """

    regime: Literal["cvpr", "pami", "none"] = "none"
    train: ListRef
    val: ListRef
    net: Name
    init: Annotated[str, spelt("(weights|nets)/[a-z0-9._-]+", "weights/NAME or nets/RUN is wanted, in small letters")]
    recipe: Name
    seed: Seed = 0
