"""How the papers trained: the published value of every setting, with its source.

Two regimes. `cvpr` is the conference paper's (20 images a step, momentum 0.9, a mean loss), `pami` the journal paper's
and the reference release's (1 image a step, momentum 0.99, a summed loss). What neither says is None.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Generic, TypeVar

T = TypeVar("T")

CVPR_43 = "CVPR section 4.3"
CVPR_42 = "CVPR section 4.2"
CVPR_41 = "CVPR section 4.1"
RELEASE = "reference release (shelhamer/fcn.berkeleyvision.org)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact(Generic[T]):
    """One published value. `also` are values that the same source allows; None means that no source states it.

    `confirmed` is False for what was not found in a text or in the released code.
    """

    value: T
    source: str
    confirmed: bool = True
    also: tuple[T, ...] = ()

    def allows(self, value: object) -> bool:
        """Whether `value` is what was published."""
        return value == self.value or value in self.also


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedList:
    """An image list as the papers count it, of a dataset that these `formats` read; `also` are other counts of it."""

    name: str
    formats: tuple[str, ...]
    list: str
    images: int
    also: tuple[int, ...] = ()
    published: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """A pair of lists that was trained and scored on, and for how long; `duration` is what is said where neither is.

    `keep` says whether the last net of a training counts, or the best on the way.
    """

    where: str
    train: PublishedList
    val: PublishedList
    epochs_at_least: Fact[int] | None = None
    duration: str = "not stated"
    keep: Fact[str] = Fact(value="last", source="not stated", confirmed=False, also=("best",))


@dataclass(frozen=True, slots=True, kw_only=True)
class Classifier:
    """The classification network behind a published FCN.

    `carried_by` names the kinds of weights (fcn/entries.py) that hold these very weights; `torchvision_differs` says
    how torchvision's network of the same name is another one, and is empty where it is the same, or there is none.
    """

    name: str
    input_px: Fact[int]
    fc: Fact[int] | None
    dropout: Fact[float]
    carried_by: tuple[str, ...]
    torchvision_differs: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The published settings of one network. The names are those of fcn/entries.py wherever it has the setting.

    `score_bias_rate` is that of the score layer's bias, where it is another than the other biases'.
    """

    images_per_step: Fact[int]
    momentum: Fact[float]
    rate: Fact[float | None]
    bias_rate: Fact[float]
    score_bias_rate: Fact[float] | None = None
    bias_decays: Fact[bool]
    decay: Fact[float]
    loss: Fact[str]
    iterations: Fact[int | None]
    upsampling: Fact[str]
    pad: Fact[int]
    width: Fact[float]
    crop: Fact[int | None]
    mirror: Fact[bool]
    jitter: Fact[int]
    precision: Fact[str]


SBD_TRAIN = PublishedList(name="SBD train", formats=("sbd",), list="train", images=8498)
SEG11VALID = PublishedList(
    name="seg11valid (VOC2011 val less SBD train)", formats=("voc",), list="val", images=736, published="seg11valid"
)
VOC2011_TRAIN = PublishedList(name="VOC2011 train", formats=("voc",), list="train", images=1112)
VOC2011_VAL = PublishedList(name="VOC2011 val", formats=("voc",), list="val", images=1111)
_NYUD = ("nyud", "nyud_png")
NYUD_TRAIN = PublishedList(name="NYUDv2 train", formats=_NYUD, list="trainval", images=795)
NYUD_TEST = PublishedList(name="NYUDv2 test", formats=_NYUD, list="test", images=654)
_SIFTFLOW = ("siftflow",)
# The papers count all that aren't in the test set, the release leaves out the two that have no label.
SIFTFLOW_TRAIN = PublishedList(
    name="SIFT Flow less its test set", formats=_SIFTFLOW, list="trainval", images=2488, also=(2486,)
)
SIFTFLOW_TEST = PublishedList(name="SIFT Flow test", formats=_SIFTFLOW, list="test", images=200)
# A pixel of no class is background, as the release trains it; where it is void, labels and scores are others.
_CONTEXT = ("context59", "context33")
CONTEXT_TRAIN = PublishedList(name="VOC2010 train, all of it", formats=_CONTEXT, list="train", images=4998)
CONTEXT_VAL = PublishedList(name="VOC2010 val, all of it", formats=_CONTEXT, list="val", images=5105)

DATASETS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("voc", "sbd"), "voc"),
        **dict.fromkeys(_NYUD, "nyud"),
        **dict.fromkeys(_SIFTFLOW, "siftflow"),
        **dict.fromkeys((*_CONTEXT, "context59_void", "context33_void"), "pascalcontext"),
    }
)
"""What the release calls the dataset that a format reads; what is trained on any other is compared with VOC's nets."""
_VOC_MEAN = Fact(value="caffe", source=RELEASE)
# By dataset: what is subtracted from its pictures.
PREPROCESSING: Mapping[str, Fact[str]] = MappingProxyType(
    {
        "voc": _VOC_MEAN,
        "nyud": Fact(value="caffe-nyud", source=f"{RELEASE}, nyud_layers.py"),
        "siftflow": Fact(value="caffe-siftflow", source=f"{RELEASE}, siftflow_layers.py"),
        "pascalcontext": _VOC_MEAN,
    }
)

EPOCHS_TABLE_1 = 175
# It scores after every 4,000 iterations, or 2,000, and goes on whatever comes of it.
_TO_THE_END = Fact(value="last", source=f"{RELEASE}: solve.py; which one was released isn't said", confirmed=False)
_OTHERS = (
    Experiment(where="the NYUDv2 tables", train=NYUD_TRAIN, val=NYUD_TEST),
    Experiment(where="the SIFT Flow tables", train=SIFTFLOW_TRAIN, val=SIFTFLOW_TEST),
    Experiment(where="the PASCAL-Context tables", train=CONTEXT_TRAIN, val=CONTEXT_VAL),
)
EXPERIMENTS: Mapping[str, tuple[Experiment, ...]] = MappingProxyType(
    {
        "cvpr": (
            Experiment(
                where="CVPR Table 1",
                train=VOC2011_TRAIN,
                val=VOC2011_VAL,
                epochs_at_least=Fact(value=EPOCHS_TABLE_1, source=CVPR_41),
                keep=Fact(value="best", source=f"{CVPR_41}: the best results after convergence"),
            ),
            Experiment(
                where="CVPR Table 2",
                train=SBD_TRAIN,
                val=SEG11VALID,
                duration="not stated (three days on a K40c for 32s, about one more for each of 16s and 8s)",
            ),
            *_OTHERS,
        ),
        "pami": (
            Experiment(where="PAMI Table 3", train=SBD_TRAIN, val=SEG11VALID, keep=_TO_THE_END),
            *(replace(item, keep=_TO_THE_END) for item in _OTHERS),
        ),
    }
)

CAFFENET = Classifier(
    name="CaffeNet, Caffe's reference AlexNet",
    input_px=Fact(value=227, source="CVPR section 3.1"),
    fc=Fact(value=4096, source=RELEASE),
    dropout=Fact(value=0.5, source=f"{RELEASE}; {CVPR_43}: as in the classifiers"),
    carried_by=("caffemodel",),
    torchvision_differs="",
    source=CVPR_41,
)
GOOGLENET = Classifier(
    name="the authors' own GoogLeNet (68.5 % top-1), never released",
    input_px=Fact(value=224, source="not stated for the authors' training", confirmed=False),
    fc=None,
    dropout=Fact(value=0.4, source="the classifier's own paper; not stated for the FCN", confirmed=False),
    carried_by=(),
    torchvision_differs="",
    source=CVPR_41,
)
CLASSIFIERS: Mapping[str, Classifier] = MappingProxyType(
    {
        "caffenet": CAFFENET,
        "alexnet": replace(
            CAFFENET,
            carried_by=(),
            torchvision_differs="torchvision's: no groups, no local response normalisation, other channel counts",
        ),
        "vgg16": Classifier(
            name="VGG16 from Oxford, in Caffe's layout",
            input_px=Fact(value=224, source=f"{RELEASE}: fc6 is 7x7 after five halvings"),
            fc=Fact(value=4096, source=RELEASE),
            dropout=Fact(value=0.5, source=f"{RELEASE}; {CVPR_43}: as in the classifiers"),
            carried_by=("keras", "caffemodel"),
            torchvision_differs="",
            source=CVPR_41,
        ),
        "googlenet_published": GOOGLENET,
        "googlenet": replace(
            GOOGLENET,
            torchvision_differs="torchvision's: batches normalised (statistics frozen), 3x3 for 5x5 convolutions",
        ),
    }
)

CVPR = Recipe(
    images_per_step=Fact(value=20, source=CVPR_43),
    momentum=Fact(value=0.9, source=CVPR_43),
    rate=Fact(value=None, source=CVPR_43),
    bias_rate=Fact(value=2.0, source=CVPR_43),
    bias_decays=Fact(value=False, source=RELEASE, confirmed=False),
    decay=Fact(value=5e-4, source=f"{CVPR_43}, which allows either", also=(2e-4,)),
    loss=Fact(value="mean", source="CVPR section 3.4; the rates fit no other", confirmed=False),
    iterations=Fact(value=None, source=CVPR_43),
    upsampling=Fact(value="intermediate", source=f"{CVPR_43}: the final layer fixed, those before it learned"),
    pad=Fact(value=100, source=RELEASE),
    width=Fact(value=1.0, source=CVPR_41),
    crop=Fact(value=None, source="CVPR section 3.4: whole images"),
    mirror=Fact(value=False, source=f"{CVPR_43}: tried, no gain"),
    jitter=Fact(value=0, source=f"{CVPR_43}: tried, no gain"),
    precision=Fact(value="float32", source="Caffe computes in float", confirmed=False),
)

PAMI = replace(
    CVPR,
    images_per_step=Fact(value=1, source=RELEASE),
    momentum=Fact(value=0.99, source=RELEASE),
    bias_rate=Fact(value=2.0, source=RELEASE),
    bias_decays=Fact(value=False, source=RELEASE),
    decay=Fact(value=5e-4, source=RELEASE),
    loss=Fact(value="sum", source=RELEASE),
    iterations=Fact(value=100_000, source=RELEASE),
    upsampling=Fact(value="fixed", source=RELEASE),
    width=Fact(value=1.0, source=RELEASE),
    crop=Fact(value=None, source=RELEASE),
    mirror=Fact(value=False, source=RELEASE),
    jitter=Fact(value=0, source=RELEASE),
)

# The release's one AlexNet keeps the conference paper's batch and momentum, and doubles no bias but the score layer's,
# which alone doesn't decay.
PAMI_ALEXNET = replace(
    PAMI,
    images_per_step=Fact(value=20, source=f"{RELEASE}, voc-fcn-alexnet: 1 image, accumulated 20 times"),
    momentum=Fact(value=0.9, source=f"{RELEASE}, voc-fcn-alexnet"),
    rate=Fact(value=1e-4, source=f"{RELEASE}, voc-fcn-alexnet"),
    bias_rate=Fact(value=1.0, source=f"{RELEASE}, voc-fcn-alexnet"),
    score_bias_rate=Fact(value=2.0, source=f"{RELEASE}, voc-fcn-alexnet"),
    bias_decays=Fact(value=True, source=f"{RELEASE}, voc-fcn-alexnet"),
    loss=Fact(value="mean", source=f"{RELEASE}, voc-fcn-alexnet"),
)

CVPR_RATES: Mapping[str, float] = MappingProxyType(
    {"caffenet": 1e-3, "alexnet": 1e-3, "vgg16": 1e-4, "googlenet_published": 5e-5, "googlenet": 5e-5}
)
_VOC_RATES: Mapping[int, float] = MappingProxyType({32: 1e-10, 16: 1e-12, 8: 1e-14})
_SOLVE = f"{RELEASE}, solve.py: {{}} steps, and max_iter of solver.prototxt"
# By dataset: the rate of each stride that was released, and the iterations.
RELEASED: Mapping[str, tuple[Mapping[int, float], Fact[int | None]]] = MappingProxyType(
    {
        "voc": (_VOC_RATES, Fact(value=100_000, source=RELEASE)),
        "nyud": ({32: 1e-10}, Fact(value=100_000, source=_SOLVE.format("50 x 2,000"), also=(300_000,))),
        "siftflow": (
            {32: 1e-10, 16: 1e-12, 8: 1e-12},
            Fact(value=100_000, source=_SOLVE.format("50 x 2,000"), also=(300_000,)),
        ),
        "pascalcontext": (_VOC_RATES, Fact(value=400_000, source=_SOLVE.format("50 x 8,000"), also=(300_000,))),
    }
)
LATE_FUSION_RATE = 1e-12
LATE_FUSION_START = Fact(
    value="nets after 28,000 and 60,000 iterations", source=f"{RELEASE}, nyud-fcn32s-color-hha: colour's and HHA's"
)
AT_ONCE_RATE = 1e-10
AT_ONCE_ITERATIONS: Fact[int | None] = Fact(value=300_000, source=f"{RELEASE}, voc-fcn8s-atonce")
RATE_DIVIDED_PER_SKIP = 100
SKIPS = MappingProxyType({32: 0, 16: 1, 8: 2})
# What pool4 and pool3 are multiplied by before they are scored.
AT_ONCE_SCALES = Fact(value=(0.01, 0.0001), source=f"{RELEASE}, voc-fcn8s-atonce", also=((), (0.01,)))
UNSCALED = Fact(value=(1.0, 1.0), source=RELEASE, also=((), (1.0,)))


def recipe(
    regime: str, *, dataset: str, architecture: str, stride: int, at_once: bool, late: bool, trained: str
) -> Recipe:
    """The published recipe of a network in a regime; its rate or iterations are None where nobody published them.

    `dataset` is one of DATASETS, `late` whether it has a trunk for each of several inputs.
    """
    if regime == "cvpr":
        first = None if at_once or late else CVPR_RATES.get(architecture)
        # Rounded: 1e-4 / 100 / 100 is 1.0000000000000002e-08.
        rate = None if first is None else float(f"{first / RATE_DIVIDED_PER_SKIP ** SKIPS[stride]:.6g}")
        return replace(CVPR, rate=Fact(value=rate, source=CVPR_43 if stride == 32 else CVPR_42))
    if architecture in ("caffenet", "alexnet"):
        return PAMI_ALEXNET if stride == 32 else replace(PAMI, rate=Fact(value=None, source=RELEASE))
    if architecture != "vgg16" or (at_once and dataset != "voc"):
        return replace(PAMI, rate=Fact(value=None, source=RELEASE), iterations=Fact(value=None, source=RELEASE))
    rates, iterations = RELEASED[dataset]
    net, found = f"{RELEASE}, {dataset}-fcn{stride}s", rates.get(stride)
    if at_once:
        net, found, iterations = f"{net}-atonce", AT_ONCE_RATE, AT_ONCE_ITERATIONS
    if late:
        net, found = f"{net}-color-hha", LATE_FUSION_RATE if (dataset, stride) == ("nyud", 32) else None
    # Training the score layer alone was not released; the whole network's settings are the nearest.
    released = trained == "all"
    return replace(
        PAMI,
        rate=Fact(value=found, source=net, confirmed=released),
        iterations=replace(iterations, confirmed=released),
    )


def experiment(regime: str, *, dataset: str, images: int | None) -> Experiment | None:
    """The regime's experiment that trains on what this format reads; where several do, the one with this many images.

    Of a format whose other pixels are void it is that of the same pictures.
    """
    found = [item for item in EXPERIMENTS[regime] if dataset.removesuffix("_void") in item.train.formats]
    return next((item for item in found if item.train.images == images), found[0] if found else None)
