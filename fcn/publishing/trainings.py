"""The trainings as an experiment: settings, curves, scores, cost, and what lies beside them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fcn.config import Config
from fcn.publishing.experiment import Dataset, Entry, Experiment, about, columns, place, rounded
from fcn.publishing.redirects import TRAININGS
from fcn.scoring.metrics import METRICS

_ENVIRONMENT = ("device", "threads", "torch", "python", "settings")  # of a training's cost; the last is a hash
_SHOWN = ("train.list", "val.list", "init", "net", "recipe", "recipe.iterations", "recipe.batch", "recipe.rate")
_NO_CURVES = ("iteration", "images")
_NOTHING: Mapping[str, Any] = MappingProxyType({})


def experiment(config: Config, entries: Sequence[Entry]) -> Experiment:
    """One run a training; `entries` are in the profile's order."""
    return Experiment(
        name=f"{config.profile} / {TRAININGS}",
        title="Every training, and how it came out",
        note=f"{about(config.profile)}\n\nScores are in percent, on the val list. Checkpoints stay with DVC: the tags "
        "`checkpoint` and `checkpoint.md5` say which. A run's artifacts are its classes, its confusion histogram (rows "
        "are the truth), its departures from the paper and its figures.",
        columns=[
            *columns("metrics", *METRICS, "seconds", "peak_memory_gib"),
            *columns("params", *_SHOWN),
            *columns("tags", "device", "departures"),
        ],
        entries=entries,
    )


def entry(
    config: Config,
    name: str,
    *,
    origin: Mapping[str, str],
    datasets: Sequence[Dataset],
    cost: Mapping[str, Any],
    score: Mapping[str, Any] = _NOTHING,
    history: Sequence[Mapping[str, float]] = (),
    departures: Sequence[Mapping[str, str]] | None = None,
    artifacts: Mapping[str, str] = _NOTHING,
    figures: Mapping[str, Path] = _NOTHING,
    checkpoint: Mapping[str, str] = _NOTHING,
) -> Entry:
    """A training, from its files; of one that has just begun only settings and environment, in `cost`, are known.

    `score` is its line of tables/scores.json, in percent, `artifacts` are texts.
    """
    metrics = scores(score)
    if "seconds" in cost:
        metrics["seconds"] = rounded(cost["seconds"])
        metrics["peak_memory_gib"] = rounded(cost["peak_memory_bytes"] / 2**30, digits=2)
    if score.get("parameters"):
        metrics["parameters"] = float(score["parameters"])
    tags = {"profile": config.profile, "run": name, **{key: str(cost[key]) for key in _ENVIRONMENT if key in cost}}
    texts = dict(artifacts)
    if departures is not None:
        tags["departures"] = ", ".join(item["name"] for item in departures) or "none"
        texts["departures.md"] = _reasons(departures)
    run, kept = config.run(name), config.recipe(name).kept(history)
    of_net = f"; its net is that of {kept}" if kept else ""
    note = (
        f"The training `{name}`: net `{run.net}` from `{run.init}` by recipe `{run.recipe}`, on `{run.train.list}` of "
        f"{run.train.dataset}{of_net}. Its scores are in percent, on `{run.val.list}` of {run.val.dataset}."
    )
    pictures = {f"data.{item.path.rpartition('/')[2]}": item.digest for item in datasets}
    return Entry(
        name=name,
        note=note,
        metrics=metrics,
        params=settings(config, name),
        tags={**tags, **checkpoint},
        origin={**place(list(config.runs).index(name)), **origin, **pictures},
        datasets=datasets,
        curves=curves(history),
        texts=texts,
        files=figures,
        seconds=cost.get("seconds", 0.0),
    )


def curves(history: Sequence[Mapping[str, float]]) -> dict[str, list[tuple[int, float]]]:
    """The curves in rows of a history, by metric: (iteration, value). Scores on the way are `val/...`, in percent."""
    found: dict[str, list[tuple[int, float]]] = {}
    for row in history:
        for key, value in row.items():
            if key not in _NO_CURVES:
                metric, shown = (f"val/{key}", 100 * value) if key in METRICS else (key, value)
                found.setdefault(metric, []).append((int(row["iteration"]), shown))
    return found


def scores(score: Mapping[str, Any]) -> dict[str, float]:
    """A line of tables/scores.json as metrics, in percent."""
    return {item: rounded(value) for item, value in score.get("numbers", {}).items() if value is not None}


def settings(config: Config, name: str) -> dict[str, str]:
    """All settings of a run as flat texts: its own, those of its net and recipe, what the profile has for all runs."""
    run, net = config.run(name), config.net(name)
    parts = {
        **asdict(run),
        "net": {"": run.net, **asdict(net), "stride": net.stride},
        "recipe": {"": run.recipe, **asdict(config.recipe(name))},
        "profile": config.profile,
        "threads": config.threads,
    }
    return _flat(parts)


def _flat(values: Mapping[Any, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in values.items():
        path = ".".join(filter(None, (prefix, str(key))))
        if isinstance(value, Mapping):
            flat |= _flat(value, path)
        elif isinstance(value, list | tuple):
            flat[path] = ", ".join(map(str, value)) or "none"
        else:
            flat[path] = "none" if value is None else str(value)
    return flat


def classes_csv(found: Mapping[str, Mapping[str, float | None]]) -> str:
    """A target's metrics by class, in percent; empty where a class has none."""
    frame = 100 * pd.DataFrame(found).T.astype(float)[["iu", "accuracy"]].add_suffix("_percent")
    return frame.to_csv(index_label="class", float_format="%.1f", lineterminator="\n")


def confusion_csv(hist: NDArray[np.int64], names: Iterable[str]) -> str:
    """A confusion histogram with the classes' names; rows are the truth."""
    return pd.DataFrame(hist, list(names), list(names)).to_csv(index_label="truth", lineterminator="\n")


def _reasons(departures: Sequence[Mapping[str, str]]) -> str:
    items = [
        f"- **{item['name']}**: {item['ours']}; published: {item['published']}. {item['reason']}" for item in departures
    ]
    return "\n".join(["# Departures from the paper", "", *(items or ["None."]), ""])
