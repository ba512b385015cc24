"""What a run does otherwise than the papers, each with a name and a reason."""

import math
from dataclasses import dataclass
from typing import TypeVar

from fcn.config import Config, ListRef, Run, Solver, Weights
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
    found = _differences(config, config.run(run_name))
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
    for run_name, run in config.runs.items():
        for item in _differences(config, run):
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
    return f"{config.params}: departures from the papers without a reason: {shown}; write {lines} under `departures:`"


def _differences(config: Config, run: Run) -> list[_Difference]:
    solver, experiment = config.solvers[run.solver], _experiment(config, run)
    found = [*_network(config, run), *_list("val-list", config, run.val, experiment.val)]
    if solver.iterations > 0:
        found += _list("train-list", config, run.train, experiment.train) + _settings(config, run, solver)
    elif _first_weights(config, run)[1].kind == "pytorch_fcn":
        return found  # the authors' own net, scored as it is: its training is theirs
    return [*found, *_start(config, run), *_length(config, run, solver)]


def _recipe(config: Config, run: Run) -> Recipe:
    architecture = config.backbones[run.backbone].architecture
    return protocol.recipe(
        run.regime, architecture=architecture, stride=run.stride, skips=run.skips, trained=run.trained
    )


def _network(config: Config, run: Run) -> list[_Difference]:
    """The shape of the network."""
    backbone, recipe = config.backbones[run.backbone], _recipe(config, run)
    classifier = protocol.CLASSIFIERS.get(backbone.architecture)
    if classifier is None:
        published = ", ".join(item.name for item in protocol.CLASSIFIERS.values())
        return [_Difference(name="architecture", published=published, ours=backbone.architecture)]
    found = []
    if classifier.torchvision_differs:
        found.append(_Difference(name="architecture", published=classifier.name, ours=classifier.torchvision_differs))
    facts = [
        *_compared("input", classifier.input_px, backbone.input_px),
        *(_compared("fc", classifier.fc, backbone.fc) if classifier.fc is not None else []),
        *_compared("dropout", classifier.dropout, backbone.dropout),
        *_compared("width", recipe.width, backbone.width),
        *_compared("pad", recipe.pad, run.pad),
    ]
    if run.skips == "atonce-unscaled":
        facts.append(_Difference(name="skip-scales", published="pool4 x 0.01, pool3 x 0.0001", ours="1"))
    return found + facts


def _first_weights(config: Config, run: Run) -> tuple[str, Weights]:
    """The weights that the run's chain starts from, by name."""
    while run.parent is not None:
        run = config.runs[run.parent]
    name = run.init.partition("/")[2]
    return name, config.weights[name]


def _start(config: Config, run: Run) -> list[_Difference]:
    """Pretrained weights, and what the run takes over."""
    found = []
    name, entry = _first_weights(config, run)
    classifier = protocol.CLASSIFIERS.get(config.backbones[run.backbone].architecture)
    held = (
        classifier is not None
        and entry.kind in classifier.carried_by
        and entry.preprocessing == classifier.preprocessing
    )
    # Training from scratch is the authors' own comparison; it has no weights to differ in.
    if entry.kind != "none" and not held:
        published = f"ImageNet: {classifier.name}" if classifier is not None else "ImageNet"
        ours = f"{name} ({entry.kind}, preprocessing {entry.preprocessing})"
        found.append(_Difference(name="weights", published=published, ours=ours))
    parent_stride = config.runs[run.parent].stride if run.parent is not None else None
    staged_from = {32: None, 16: 32, 8: 16}[run.stride] if run.skips == "staged" else None
    if parent_stride != staged_from:
        published = f"the {staged_from}s net" if staged_from else "the classifier"
        found.append(_Difference(name="init", published=published, ours=run.init))
    return found


def _settings(config: Config, run: Run, solver: Solver) -> list[_Difference]:
    """How it trains."""
    recipe = _recipe(config, run)
    upsampling = recipe.upsampling
    if run.stride == 32:
        # Without a skip there is nothing before the final upsampling, so both papers' settings are the same here.
        upsampling = Fact(value="fixed", source=upsampling.source, also=("intermediate",))
    none_said: Fact[object] = Fact(value=None, source=protocol.CVPR_43)
    return [
        *_compared("batch", recipe.images_per_step, solver.batch * solver.accumulation),
        *_compared("momentum", recipe.momentum, solver.momentum),
        *_compared("rate", recipe.rate, solver.rate),
        *_compared("bias-rate", recipe.bias_rate, solver.bias_rate),
        *_compared("bias-decay", recipe.bias_decays, False),  # fcn/config.py: biases never decay
        *_compared("decay", recipe.decay, solver.decay),
        *_compared("loss", recipe.loss, solver.loss),
        *_compared("precision", recipe.precision, solver.precision),
        *_compared("crop", recipe.crop, run.crop),
        *_compared("mirror", recipe.mirror, run.mirror),
        *_compared("jitter", recipe.jitter, run.jitter),
        *_compared("warmup", none_said, solver.warmup or None),
        *_compared("drop", none_said, solver.drop_at),
        *_compared("clip", none_said, solver.clip),
        *_compared("score-rate", Fact(value=1.0, source=protocol.RELEASE), solver.score_rate),
        *_compared("upsampling", upsampling, run.upsampling),
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
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _list(name: str, config: Config, ref: ListRef, published: PublishedList) -> list[_Difference]:
    ours, source = config.lists[ref.list], config.sources[ref.source]
    generated = source.kind == "sample"
    asked = (published.dataset, published.list, published.published, published.images)
    if not generated and (source.dataset, ours.list, ours.published, ours.expect) == asked:
        return []
    shown = f"{ref.list}, {ours.expect or 'any number of'} images{' (generated)' if generated else ''}"
    return [_Difference(name=name, published=f"{published.name}, {published.images} images", ours=shown)]


def _experiment(config: Config, run: Run) -> Experiment:
    source = config.sources[run.train.source]
    return protocol.experiment(run.regime, dataset=source.dataset, images=config.lists[run.train.list].expect)


def _length(config: Config, run: Run, solver: Solver) -> list[_Difference]:
    """Iterations, against the regime's or, where only epochs are published, against those."""
    iterations, experiment = _recipe(config, run).iterations, _experiment(config, run)
    if iterations.value is not None:
        return _compared("iterations", iterations, solver.iterations)
    if experiment.epochs_at_least is None:
        return [_Difference(name="iterations", published=experiment.duration, ours=str(solver.iterations))]
    epochs = experiment.epochs_at_least.value
    least = math.ceil(epochs * experiment.train.images / protocol.CVPR.images_per_step.value)
    if solver.iterations >= least:
        return []
    published = f"at least {least} ({epochs} epochs)"
    return [_Difference(name="iterations", published=published, ours=str(solver.iterations))]
