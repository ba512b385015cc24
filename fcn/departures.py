"""What a run does otherwise than the papers, each with a name and a reason."""

import math
from dataclasses import dataclass

from fcn.config import Config, ImageList, ListRef, Run, Solver
from fcn.errors import InputError
from fcn.paper import protocol
from fcn.paper.protocol import Fact, PublishedList


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
    backbone, solver = config.backbones[run.backbone], config.solvers[run.solver]
    published = protocol.recipe(
        run.regime, architecture=backbone.architecture, stride=run.stride, skips=run.skips, trained=run.trained
    )
    found = [*_network(config, run), *_lists(config, run), *_length(config, run, solver, published.iterations)]
    # Without a skip there is nothing between the score layer and the final upsampling that could be learned.
    upsampling = "fixed" if run.stride == 32 and published.upsampling.value == "intermediate" else None
    settings: list[tuple[str, Fact[object], object]] = [
        ("batch", _any(published.images_per_step), solver.batch * solver.accumulation),
        ("momentum", _any(published.momentum), solver.momentum),
        ("rate", _any(published.rate), solver.rate),
        ("bias-rate", _any(published.bias_rate), solver.bias_rate),
        # fcn/config.py: biases never decay.
        ("bias-decay", _any(published.bias_decays), False),
        ("decay", _any(published.decay), solver.decay),
        ("loss", _any(published.loss), solver.loss),
        ("precision", _any(published.precision), solver.precision),
        ("pad", _any(published.pad), run.pad),
        ("width", _any(published.width), backbone.width),
        ("crop", _any(published.crop), run.crop),
        ("mirror", _any(published.mirror), run.mirror),
        ("jitter", _any(published.jitter), run.jitter),
        ("warmup", Fact(value=0, source=protocol.CVPR_43), solver.warmup),
        ("drop", Fact(value=None, source=protocol.CVPR_43), solver.drop_at),
        ("clip", Fact(value=None, source=protocol.RELEASE), solver.clip),
        ("score-rate", Fact(value=1.0, source=protocol.RELEASE), solver.score_rate),
    ]
    if run.upsampling != upsampling:
        settings.append(("upsampling", _any(published.upsampling), run.upsampling))
    found += [
        _Difference(name=name, published=_words(name, fact.value), ours=_words(name, ours))
        for name, fact, ours in settings
        if not fact.allows(ours)
    ]
    return found


def _any(
    fact: Fact[int] | Fact[float] | Fact[float | None] | Fact[int | None] | Fact[bool] | Fact[str],
) -> Fact[object]:
    """Return the same fact, for a list of facts of several types."""
    return Fact(value=fact.value, source=fact.source, confirmed=fact.confirmed, also=tuple(fact.also))


def _words(name: str, value: object) -> str:
    """A setting as people read it: `none` for off, `not stated` for a rate that nobody published."""
    if value is None:
        return "not stated" if name == "rate" else "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _network(config: Config, run: Run) -> list[_Difference]:
    """Classifier, its weights, and what the run starts from."""
    backbone = config.backbones[run.backbone]
    classifier = protocol.CLASSIFIERS.get(backbone.architecture)
    if classifier is None:
        return [_Difference(name="architecture", published=", ".join(protocol.CLASSIFIERS), ours=backbone.architecture)]
    found = []
    if classifier.torchvision_differs:
        found.append(_Difference(name="architecture", published=classifier.name, ours=classifier.torchvision_differs))
    if not classifier.input_px.allows(backbone.input_px):
        found.append(_Difference(name="input", published=str(classifier.input_px.value), ours=str(backbone.input_px)))
    if classifier.fc is not None and not classifier.fc.allows(backbone.fc):
        found.append(_Difference(name="fc", published=str(classifier.fc.value), ours=str(backbone.fc)))
    if not classifier.dropout.allows(backbone.dropout):
        dropout = f"{classifier.dropout.value:g}"
        found.append(_Difference(name="dropout", published=dropout, ours=f"{backbone.dropout:g}"))
    first = run
    while first.parent is not None:
        first = config.runs[first.parent]
    entry_name = first.init.partition("/")[2]
    entry = config.weights[entry_name]
    held = entry.kind in classifier.carried_by and entry.preprocessing == classifier.preprocessing
    # Training from scratch is the authors' own comparison; it has no weights to differ in.
    if entry.kind != "none" and not held:
        ours = f"{entry_name} ({entry.kind}, preprocessing {entry.preprocessing})"
        found.append(_Difference(name="weights", published=f"ImageNet: {classifier.name}", ours=ours))
    parent_stride = config.runs[run.parent].stride if run.parent is not None else None
    staged_from = {32: None, 16: 32, 8: 16}[run.stride] if run.skips == "staged" else None
    if parent_stride != staged_from:
        published = f"the {staged_from}s net" if staged_from else "the classifier"
        found.append(_Difference(name="init", published=published, ours=run.init))
    return found


def _lists(config: Config, run: Run) -> list[_Difference]:
    experiment = _experiment(config, run)
    found = []
    for name, ref, published in (("train-list", run.train, experiment.train), ("val-list", run.val, experiment.val)):
        ours = config.lists[ref.list]
        if not _is(config, ref, ours, published):
            kind = " (generated)" if config.sources[ref.source].kind == "sample" else ""
            shown = f"{ref.list}, {ours.expect or 'any number of'} images{kind}"
            found.append(_Difference(name=name, published=f"{published.name}, {published.images} images", ours=shown))
    return found


def _is(config: Config, ref: ListRef, ours: ImageList, published: PublishedList) -> bool:
    return (
        config.sources[ref.source].kind != "sample"
        and config.sources[ref.source].dataset == published.dataset
        and ours.list == published.list
        and ours.published == published.published
        and ours.expect == published.images
    )


def _experiment(config: Config, run: Run) -> protocol.Experiment:
    source = config.sources[run.train.source]
    return protocol.experiment(run.regime, dataset=source.dataset, images=config.lists[run.train.list].expect)


def _length(config: Config, run: Run, solver: Solver, iterations: Fact[int | None]) -> list[_Difference]:
    """Iterations, against the regime's or, where only epochs are published, against those."""
    if iterations.value is not None:
        if iterations.allows(solver.iterations):
            return []
        return [_Difference(name="iterations", published=str(iterations.value), ours=str(solver.iterations))]
    experiment = _experiment(config, run)
    if experiment.epochs_at_least is None:
        return [_Difference(name="iterations", published=experiment.duration, ours=str(solver.iterations))]
    epochs = experiment.epochs_at_least.value
    least = math.ceil(epochs * experiment.train.images / protocol.CVPR.images_per_step.value)
    if solver.iterations >= least:
        return []
    published = f"at least {least} ({epochs} epochs)"
    return [_Difference(name="iterations", published=published, ours=str(solver.iterations))]
