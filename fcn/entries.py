"""What a line of params.yaml may say, section by section."""

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass

from fcn.shape import STRICT, Backbone, Count, Name, Positive

# fcn/nets/preprocessing.py has what they are.
Preset = Literal["imagenet", "inception", "caffe", "caffe-nyud", "caffe-siftflow", "sample"]
Trained = Annotated[str, Field(pattern=r"^nets/[a-z0-9._-]+$")]  # a run's net, as a path like a run's init
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
_CLASS = re.compile(r"[\w()'&+./-]+( [\w()'&+./-]+)*")  # what stands in a table's cell as it is


def _class_names(given: object) -> tuple[str, ...]:
    """Names of classes, as many as a label of 8 bits can tell apart beside void, each once."""
    if not isinstance(given, list | tuple):
        raise ValueError("write the names in the order of the labels' values, such as [background, cat, dog]")
    for name in given:
        if not isinstance(name, str) or not _CLASS.fullmatch(name) or len(name) > 40:
            raise ValueError(
                f"{name!r} is no name of a class: at most 40 letters, digits and blanks, in quotation marks where YAML "
                "has another meaning for it, as for 7 and yes"
            )
        if given.count(name) > 1:
            raise ValueError(f"{name!r} stands {given.count(name)} times; each class has a name of its own")
    if not 2 <= len(given) <= 255:
        raise ValueError(f"{len(given)} names; a net tells apart 2 to 255 classes, whose values in labels are 0..254")
    return tuple(given)


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
    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$")] | None = None
    scenes: Scenes | None = None
    train: Count | None = None
    val: Count | None = None
    seed: Seed = 0


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Dataset:
    """Pictures and labels: a module of fcn/datasets/formats reads them from an archive or a folder.

    `from_` is the folder of a fetched archive, data/<profile>/archives/NAME, or a person's own archive or folder.
    `classes` are named in the order of the labels' values; without them they are the format's own.
    """

    format: Name
    from_: Annotated[str, Field(validation_alias="from")]
    classes: Annotated[tuple[str, ...], BeforeValidator(_class_names)] = ()


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class ImageList:
    """A list of image ids: a dataset's own list, less another, or one that was published.

    `expect` is the exact count, `published` names a list in fcn/paper that the result must equal.
    """

    dataset: Name
    list: Name
    minus: Name | None = None
    published: Name | None = None
    expect: Count | None = None


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
    from_: Annotated[str, Field(validation_alias="from")]
    preprocessing: Preset


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
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
    init: Annotated[str, Field(pattern=r"^(weights|nets)/[a-z0-9._-]+$")]
    recipe: Name
    seed: Seed = 0
