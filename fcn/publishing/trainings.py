"""The trainings as an experiment: settings, loss curve, scores, cost, and what lies beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import pandas as pd

from fcn.config import Config
from fcn.publishing.experiment import Dataset, Entry, Experiment, Upload, about, columns, place, rounded
from fcn.publishing.redirects import TRAININGS

_SCORES = ("pixel_acc", "mean_acc", "mean_iu", "fw_iu")
_ENVIRONMENT = ("device", "threads", "torch", "python", "settings")  # of a training's cost; the last is a hash
_SHOWN = ("train.list", "val.list", "init", "stride", "skips", "solver.iterations", "solver.batch", "solver.rate")


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
    return Experiment(
        name=f"{config.profile} / {TRAININGS}",
        title="Every training, and how it came out",
        note=f"{about(config.profile)}\n\nScores are in percent, on the val list. Checkpoints stay with DVC: the tags "
        "`checkpoint` and `checkpoint.md5` say which. A run's artifacts are its classes, its confusion histogram (rows "
        "are the truth), its departures from the paper and its figures.",
        columns=[
            *columns("metrics", *_SCORES, "seconds", "peak_memory_gib"),
            *columns("params", *_SHOWN),
            *columns("tags", "device", "departures"),
        ],
        entries=[_entry(config, name, results[name], origin=origins[name]) for name in config.runs if name in results],
    )


def begun(config: Config, name: str, *, environment: Mapping[str, object], origin: Origin) -> Entry:
    """A training's entry when it starts: all but its results."""
    known = {key: str(environment[key]) for key in _ENVIRONMENT if key in environment}
    pictures = {f"data.{item.path.rpartition('/')[2]}": item.digest for item in origin.datasets}
    return Entry(
        name=name,
        params=settings(config, name),
        tags={"profile": config.profile, "run": name, **known},
        origin={**place(list(config.runs).index(name)), **origin.tags, **pictures},
        datasets=origin.datasets,
    )


def _entry(config: Config, name: str, found: Results, *, origin: Origin) -> Entry:
    start = begun(config, name, environment=found.cost, origin=origin)
    metrics = {item: rounded(value) for item, value in found.score.get("numbers", {}).items() if value is not None}
    if found.cost:
        metrics["seconds"] = rounded(found.cost["seconds"])
        metrics["peak_memory_gib"] = rounded(found.cost["peak_memory_bytes"] / 2**30, digits=2)
    if found.score.get("parameters"):
        metrics["parameters"] = float(found.score["parameters"])
    curves = [key for key in (found.history[0] if found.history else ()) if key not in ("iteration", "images")]
    named = ", ".join(item["name"] for item in found.departures) or "none"
    return replace(
        start,
        metrics=metrics,
        tags={**start.tags, "departures": named, **found.checkpoint},
        curves={key: [(int(point["iteration"]), point[key]) for point in found.history] for key in curves},
        texts=_texts(found),
        uploads=found.figures,
        seconds=found.cost.get("seconds", 0.0),
    )


def settings(config: Config, name: str) -> dict[str, str]:
    """All settings of a run as flat texts: its own, `solver.` and `backbone.`, the seed."""
    run = config.run(name)
    whole = {
        **asdict(run),
        "solver": {"": run.solver, **asdict(config.solvers[run.solver])},
        "backbone": {"": run.backbone, **asdict(config.backbones[run.backbone])},
        **{key: getattr(config, key) for key in ("profile", "seed", "threads", "classes")},
    }
    return _flat(whole)


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in values.items():
        path = ".".join(filter(None, (prefix, key)))
        if isinstance(value, Mapping):
            flat |= _flat(value, path)
        else:
            flat[path] = "none" if value is None else str(value)
    return flat


def _texts(found: Results) -> dict[str, str]:
    """Artifacts by name: classes and confusions where a run was scored, and its departures."""
    texts = {}
    if found.classes:
        frame = pd.DataFrame(found.classes).T.rename_axis("class")[["iu", "accuracy"]] * 100
        percent = frame.rename(columns=lambda item: f"{item}_percent")
        texts["classes.csv"] = percent.astype(float).to_csv(float_format="%.1f", lineterminator="\n")
    if found.confusion:
        names = list(found.classes) or range(len(found.confusion))
        counts = pd.DataFrame(found.confusion, index=names, columns=names).rename_axis("truth")
        texts["confusion.csv"] = counts.to_csv(lineterminator="\n")
    items = [
        f"- **{item['name']}**: {item['ours']}; published: {item['published']}. {item['reason']}"
        for item in found.departures
    ]
    texts["departures.md"] = "\n".join(["# Departures from the paper", "", *(items or ["None."]), ""])
    return texts
