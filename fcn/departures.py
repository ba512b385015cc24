"""What a run does otherwise than the papers, each with a name and a reason; a run may follow none of them."""

import math
from dataclasses import dataclass
from typing import TypeVar

from fcn.config import Config
from fcn.entries import Classifier, ListRef, Weights
from fcn.errors import InputError
from fcn.paper import protocol
from fcn.paper.protocol import Experiment, Fact, PublishedList, Recipe

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """One setting that isn't the published one."""

    name: str
    published: str
    ours: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Difference:
    name: str
    published: str
    ours: str


def departures(config: Config, run_name: str) -> list[Departure]:
    """The departures of one run from its regime, in a fixed order, with the profile's reasons.

    Raises InputError for departures that have no reason in the profile's `departures:`.
    """
    found = _differences(config, run_name)
    missing = [item for item in found if item.name not in config.departures]
    if missing:
        raise InputError(_ask_for_reasons(config, {item.name: (run_name, item) for item in missing}))
    return [
        Departure(name=item.name, published=item.published, ours=item.ours, reason=config.departures[item.name])
        for item in found
    ]


def check(config: Config) -> None:
    """Hold the profile's `departures:` to be complete, and free of reasons that no run needs.

    Raises InputError otherwise.
    """
    found: dict[str, tuple[str, _Difference]] = {}
    for run_name in config.runs:
        for item in _differences(config, run_name):
            found.setdefault(item.name, (run_name, item))
    missing = {name: where for name, where in found.items() if name not in config.departures}
    if missing:
        raise InputError(_ask_for_reasons(config, missing))
    idle = [name for name in config.departures if name not in found]
    if idle:
        raise InputError(
            f"{config.params}: departures has a reason for {', '.join(idle)}, but no run departs there; "
            f"the runs depart in {', '.join(found) or 'nothing'}; take the idle reasons out"
        )
    empty = [name for name, reason in config.departures.items() if not reason.strip()]
    if empty:
        raise InputError(f"{config.params}: departures.{empty[0]} is empty; say why the runs depart there")


def _ask_for_reasons(config: Config, missing: dict[str, tuple[str, _Difference]]) -> str:
    shown = "; ".join(
        f"{name} (published {item.published}, {run_name} has {item.ours})" for name, (run_name, item) in missing.items()
    )
    lines = ", ".join(f"`{name}: why`" for name in missing)
    return (
        f"{config.params}: departures from the papers without a reason: {shown}; write {lines} under `departures:`, "
        "or take out the `regime` of runs that follow no paper"
    )


def _differences(config: Config, name: str) -> list[_Difference]:
    run = config.run(name)
    if run.regime == "none":
        return []
    experiment = _experiment(config, name)
    found = [*_network(config, name), *_list("val-list", config, run.val, experiment.val if experiment else None)]
    if config.recipe(name).iterations > 0:
        found += _list("train-list", config, run.train, experiment.train if experiment else None)
        found += _settings(config, name)
        found += _compared("keep", experiment.keep, config.recipe(name).keep) if experiment else []
    elif _is_released(config, name):
        return [*found, *_preprocessing(config, name)]  # the authors' own net, as it is: its training is theirs
    return [*found, *_start(config, name), *_length(config, name)]


def _is_released(config: Config, name: str) -> bool:
    """Whether it is an FCN of the authors: a .caffemodel that is never trained is one, or its run would answer zero."""
    start = _first_weights(config, name)[1]
    untrained = config.recipe(name).iterations == 0
    return untrained and isinstance(start, Weights) and start.kind in ("pytorch_fcn", "caffemodel")


def _published(config: Config, name: str) -> Recipe:
    net = config.net(name)
    return protocol.recipe(
        config.run(name).regime,
        dataset=_dataset(config, name),
        architecture=net.backbone.architecture,
        stride=net.stride,
        at_once=config.at_once(name),
        late=net.fusion == "late",
        trained=config.recipe(name).trained,
    )


def _dataset(config: Config, name: str) -> str:
    """What the release calls the dataset that a run learns from; VOC's nets are what all others are compared with."""
    return protocol.DATASETS.get(config.dataset(config.run(name).train.dataset).format, "voc")


def _network(config: Config, name: str) -> list[_Difference]:
    """The shape of the network."""
    net, recipe = config.net(name), _published(config, name)
    backbone = net.backbone
    classifier = protocol.CLASSIFIERS.get(backbone.architecture)
    if classifier is None:
        published = ", ".join(dict.fromkeys(item.name for item in protocol.CLASSIFIERS.values()))
        return [_Difference(name="architecture", published=published, ours=backbone.architecture)]
    found = []
    if classifier.torchvision_differs:
        found.append(_Difference(name="architecture", published=classifier.name, ours=classifier.torchvision_differs))
    ours = tuple(net.scales.get(tap, 1.0) for tap in net.taps)
    # The authors' staged nets start from nothing here, and whether theirs is the one at once only their file tells.
    staged = not config.at_once(name) or (_is_released(config, name) and protocol.UNSCALED.allows(ours))
    scales = protocol.UNSCALED if staged else protocol.AT_ONCE_SCALES
    return [
        *found,
        *_compared("input", classifier.input_px, backbone.input_px),
        *(_compared("fc", classifier.fc, backbone.fc) if classifier.fc is not None else []),
        *_compared("dropout", classifier.dropout, backbone.dropout),
        *_compared("width", recipe.width, backbone.width),
        *_compared("pad", recipe.pad, net.pad),
        *_compared("skip-scales", scales, ours),
    ]


def _first_weights(config: Config, name: str) -> tuple[str, Weights | Classifier]:
    """The weights that the run's chain starts from, by name."""
    while starts := config.starts(name):
        name = starts[0]
    start = config.run(name).init.partition("/")[2]
    return start, config.weights[start] if start in config.weights else config.classifiers[start]


def _start(config: Config, name: str) -> list[_Difference]:
    """Pretrained weights, and what the run takes over."""
    found = []
    net, starts = config.net(name), config.starts(name)
    start, entry = _first_weights(config, name)
    classifier = protocol.CLASSIFIERS.get(net.backbone.architecture)
    kind = entry.kind if isinstance(entry, Weights) else "classifier"
    # Training from scratch is the authors' own comparison; it has no weights to differ in.
    scratch = isinstance(entry, Classifier) and entry.training is None
    if not scratch and classifier is not None and kind in classifier.carried_by:
        found += _preprocessing(config, name)
    elif not scratch:
        published = f"ImageNet: {classifier.name}" if classifier is not None else "ImageNet"
        ours = f"{start} ({kind}, preprocessing {entry.preprocessing})"
        found.append(_Difference(name="weights", published=published, ours=ours))
    coarser = {32: None, 16: 32, 8: 16}[net.stride]
    before = net.stride if len(starts) == 2 else coarser  # of a fusion the nets that it joins
    # Of the nets that start from a classifier with their skips, only the 8s was published.
    if config.net(starts[0]).stride != before if starts else net.stride == 16:
        published = f"the {coarser}s net" if coarser else "the classifier"
        found.append(_Difference(name="init", published=published, ours=config.run(name).init))
    if len(starts) == 2 and config.run(name).regime == "pami":
        lengths = " and ".join(f"{config.recipe(start).iterations:,}" for start in starts)
        found += _compared("init", protocol.LATE_FUSION_START, f"nets after {lengths} iterations")
    return found


def _preprocessing(config: Config, name: str) -> list[_Difference]:
    """The mean that weights of the authors' lineage see subtracted."""
    published = protocol.PREPROCESSING[_dataset(config, name)]
    return _compared("preprocessing", published, _first_weights(config, name)[1].preprocessing)


def _settings(config: Config, name: str) -> list[_Difference]:
    """How it trains."""
    published, ours, net = _published(config, name), config.recipe(name), config.net(name)
    upsampling = published.upsampling
    if net.stride == 32:
        # Without a skip there is nothing before the final upsampling, so both papers' settings are the same here.
        upsampling = Fact(value="fixed", source=upsampling.source, also=("intermediate",))
    none_said: Fact[object] = Fact(value=None, source=protocol.CVPR_43)
    return [
        *_compared("batch", published.images_per_step, ours.batch * ours.accumulation),
        *_compared("momentum", published.momentum, ours.momentum),
        *_compared("rate", published.rate, ours.rate),
        *_compared("bias-rate", published.bias_rate, ours.bias_rate),
        *(_compared("score-bias-rate", of_score, ours.bias_rate) if (of_score := published.score_bias_rate) else []),
        *_compared("bias-decay", published.bias_decays, False),  # fcn/training/optimizer.py: biases never decay
        *_compared("decay", published.decay, ours.decay),
        *_compared("loss", published.loss, ours.loss),
        *_compared("precision", published.precision, ours.precision),
        *_compared("crop", published.crop, ours.crop),
        *_compared("mirror", published.mirror, ours.mirror),
        *_compared("jitter", published.jitter, ours.jitter),
        *_compared("warmup", none_said, ours.warmup or None),
        *_compared("drop", none_said, ours.drop_at),
        *_compared("clip", none_said, ours.clip),
        *_compared("score-rate", Fact(value=1.0, source=protocol.RELEASE), ours.score_rate),
        *_compared("upsampling", upsampling, net.upsampling),
    ]


def _compared(name: str, fact: Fact[T], ours: object) -> list[_Difference]:
    """One difference, or nothing."""
    if fact.allows(ours):
        return []
    return [_Difference(name=name, published=_words(name, fact.value), ours=_words(name, ours))]


def _words(name: str, value: object) -> str:
    """A setting as people read it: `none` for off, `not stated` for a rate that nobody published."""
    if value is None:
        return "not stated" if name == "rate" else "none"
    if name in ("warmup", "drop"):  # torch has v = m v + g, w = w - r v, Caffe v = m v + r g, w = w - v
        return f"{value}; earlier gradients in the momentum count at the new rate, in Caffe at their own"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):  # what the maps of the skips are multiplied by
        return ", ".join(f"{pool} x {scale:g}" for pool, scale in zip(("pool4", "pool3"), value, strict=False))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _list(name: str, config: Config, ref: ListRef, published: PublishedList | None) -> list[_Difference]:
    if published is None:  # a dataset that the regime doesn't know
        return []
    ours, generated = config.lists[ref.list], config.generated(ref.dataset)
    read_as = config.dataset(ref.dataset).format
    same = (ours.list, ours.published) == (published.list, published.published) and read_as in published.formats
    if not generated and same and ours.expect in (published.images, *published.also):
        return []
    shown = f"{ref.list}, {ours.expect or 'any number of'} images{' (generated)' if generated else ''}"
    shown += f", read as {read_as}" if read_as not in published.formats else ""
    return [_Difference(name=name, published=f"{published.name}, {published.images} images", ours=shown)]


def _experiment(config: Config, name: str) -> Experiment | None:
    run = config.run(name)
    assert run.regime != "none"
    return protocol.experiment(
        run.regime, dataset=config.dataset(run.train.dataset).format, images=config.lists[run.train.list].expect
    )


def _length(config: Config, name: str) -> list[_Difference]:
    """Iterations, against the regime's or, where only epochs are published, against those."""
    published, experiment = _published(config, name).iterations, _experiment(config, name)
    ours = config.recipe(name).iterations
    if published.value is not None:
        return _compared("iterations", published, ours)
    if experiment is None:
        return []
    if experiment.epochs_at_least is None:
        return [_Difference(name="iterations", published=experiment.duration, ours=str(ours))]
    epochs = experiment.epochs_at_least.value
    least = math.ceil(epochs * experiment.train.images / protocol.CVPR.images_per_step.value)
    if ours >= least:
        return []
    return [_Difference(name="iterations", published=f"at least {least} ({epochs} epochs)", ours=str(ours))]
