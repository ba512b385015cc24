"""The trainings as an experiment: settings, loss curve, scores, cost, and what lies beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from fcn.config import Config
from fcn.publishing.ledger import Dataset, Entry, Experiment, Upload, View, about, metric, param, place, rounded, tag

_SCORES = ("pixel_acc", "mean_acc", "mean_iu", "fw_iu", "background_mean_iu", "forward_ms")
_COST = ("seconds", "peak_memory_gib")
ENVIRONMENT = ("device", "threads", "torch", "python", "settings")  # of a training's cost; the last is a hash
_SETTINGS = ("train.list", "val.list", "init", "stride", "skips", "solver.iterations", "solver.batch", "solver.rate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """The files of one training; empty is what is missing. `score` is its line of tables/scores.json, in percent."""

    score: Mapping[str, Any] = field(default_factory=dict)
    departures: Sequence[Mapping[str, str]] = ()
    history: Sequence[Mapping[str, float]] = ()
    cost: Mapping[str, Any] = field(default_factory=dict)
    classes: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    confusion: Sequence[Sequence[int]] = ()
    figures: Sequence[Upload] = ()
    checkpoint: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a training was made of and by: tags, and the pictures."""

    tags: Mapping[str, str] = field(default_factory=dict)
    datasets: Sequence[Dataset] = ()


def experiment(config: Config, results: Mapping[str, Results], *, origins: Mapping[str, Origin]) -> Experiment:
    """One run a training that has results, in the profile's order."""
    scores, cost = [metric(name) for name in _SCORES[:4]], [metric(name) for name in _COST]
    columns = [*scores, *cost, *map(param, _SETTINGS), tag("device"), tag("departures")]
    return Experiment(
        name=title(config),
        title="Every training, and how it came out",
        note=f"{about(config.profile)}\n\nScores are in percent, on the val list. Checkpoints stay with DVC: the tags "
        "`checkpoint` and `checkpoint.md5` say which. A run's artifacts are its classes, its confusion histogram (rows "
        "are the truth), its departures from the paper and its figures.",
        view=View(columns=columns, order_by=tag("row")),
        entries=[_entry(config, name, results[name], origin=origins[name]) for name in config.runs if name in results],
    )


def title(config: Config) -> str:
    """The experiment's name."""
    return f"{config.profile} / trainings"


def begun(config: Config, name: str, *, environment: Mapping[str, str], origin: Origin) -> Entry:
    """A training's entry when it starts: all but its results."""
    return Entry(
        name=name,
        params=settings(config, name),
        tags={"profile": config.profile, "run": name, "row": place(list(config.runs).index(name)), **environment},
        origin=_origin_tags(origin),
        datasets=origin.datasets,
    )


def _origin_tags(origin: Origin) -> dict[str, str]:
    return {**origin.tags, **{f"data.{item.path.rpartition('/')[2]}": item.digest for item in origin.datasets}}


def _entry(config: Config, name: str, found: Results, *, origin: Origin) -> Entry:
    numbers = found.score.get("numbers", {})
    metrics = {item: rounded(numbers[item]) for item in _SCORES if numbers.get(item) is not None}
    if found.cost:
        metrics["seconds"] = rounded(found.cost["seconds"])
        metrics["peak_memory_gib"] = rounded(found.cost["peak_memory_bytes"] / 2**30, digits=2)
    if found.score.get("parameters"):
        metrics["parameters"] = float(found.score["parameters"])
    environment = {key: str(found.cost[key]) for key in ENVIRONMENT if key in found.cost}
    start = begun(config, name, environment=environment, origin=origin)
    named = ", ".join(item["name"] for item in found.departures) or "none"
    return replace(
        start,
        metrics=metrics,
        tags={**start.tags, "departures": named, **found.checkpoint},
        curves={
            key: [(int(point["iteration"]), point[key]) for point in found.history] for key in _curves(found.history)
        },
        texts=_texts(found),
        uploads=found.figures,
        seconds=found.cost.get("seconds", 0.0),
    )


def settings(config: Config, name: str) -> dict[str, str]:
    """All settings of a run as flat texts: its own, `solver.` and `backbone.`, the seed."""
    run = config.run(name)
    solver, backbone = config.solvers[run.solver], config.backbones[run.backbone]
    whole = {"profile": config.profile, "seed": config.seed, "threads": config.threads, "classes": config.classes}
    flat = _flat({**asdict(run), **whole})
    flat |= _flat({"solver": asdict(solver), "backbone": asdict(backbone)})
    return {**flat, "solver": run.solver, "backbone": run.backbone}


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = "none" if value is None else str(value)
    return flat


def _curves(history: Sequence[Mapping[str, float]]) -> list[str]:
    return [key for key in history[0] if key not in ("iteration", "images")] if history else []


def _texts(found: Results) -> dict[str, str]:
    texts = {}
    if found.classes:
        lines = [f"{name},{_cell(item['iu'])},{_cell(item['accuracy'])}" for name, item in found.classes.items()]
        texts["classes.csv"] = "\n".join(["class,iu_percent,accuracy_percent", *lines, ""])
    if found.confusion:
        names = list(found.classes) or [str(index) for index in range(len(found.confusion))]
        rows = [",".join([name, *map(str, row)]) for name, row in zip(names, found.confusion, strict=True)]
        texts["confusion.csv"] = "\n".join([",".join(["truth", *names]), *rows, ""])
    items = [
        f"- **{item['name']}**: {item['ours']}; published: {item['published']}. {item['reason']}"
        for item in found.departures
    ]
    texts["departures.md"] = "\n".join(["# Departures from the paper", "", *(items or ["None."]), ""])
    return texts


def _cell(value: float | None) -> str:
    return "" if value is None else f"{rounded(100 * value):.1f}"
