"""The tables of the report that aren't the papers': settings, classes, costs, data."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fcn import tables
from fcn.config import Config
from fcn.grid import Grid
from fcn.report.material import Material
from fcn.report.quantities import duration, percent, size
from fcn.shape import Net
from fcn.tables import Json


def grids(material: Material) -> dict[str, Grid]:
    """Every table of the page by the name that report.jinja has for it; generated data are called so in each title."""
    rows, departures = material.scores["scores"], material.scores["departures"]
    found = {
        "scores": tables.score_grid(rows, note=tables.score_note(rows, material.timing)),
        "settings": _settings(material.config),
        "classes": _classes(material.classes, rows),
        "reasons": tables.departure_grid(departures),
        "departures": _departures(departures),
        "environment": _environment(material),
        "runs": _runs(material),
        "stages": _stages(material.stages),
        "audits": _audits(material.audit),
        "lists": _lists(material.splits),
        "proofs": _proofs(material.splits),
        "shares": _shares(material.audit),
    }
    pictures = material.scores["pictures"]
    of = f": {pictures}" if pictures.startswith(tables.GENERATED) else ""
    return {name: replace(grid, title=f"{grid.title}{of}") for name, grid in found.items()}


def _settings(config: Config) -> Grid:
    words = ["regime", "backbone", "skips", "starts from", "trained on"]
    numbers = ["images a step", "steps", "rate", "momentum"]
    return Grid(
        title="Settings of the runs",
        head=["run", "regime", "backbone", "stride", *words[2:], *numbers, "loss", "seed"],
        lines=[_setting(config, name) for name in config.runs],
        left=[*words, "loss"],
    )


def _setting(config: Config, name: str) -> list[str]:
    run, net, recipe = config.run(name), config.net(name), config.recipe(name)
    images = recipe.batch * recipe.accumulation
    shape = _shape(net, at_once=config.at_once(name))
    what = [run.regime, *shape, run.init, run.train.list]
    numbers = [f"{images}", f"{recipe.iterations}", f"{recipe.rate:g}", f"{recipe.momentum:g}"]
    return [name, *what, *numbers, recipe.loss, f"{run.seed}"]


def _shape(net: Net, *, at_once: bool) -> list[str]:
    """Backbone, with its inputs where they aren't RGB alone, stride, and how the skips came in."""
    skips = "none" if not net.taps else "at once" if at_once else "staged"
    on = "" if net.inputs == ("rgb",) else f" on {'+'.join(net.inputs)}{' (late)' * (net.fusion == 'late')}"
    return [f"{net.backbone.architecture}{on}", f"{net.stride}", skips]


def _classes(classes: Mapping[str, Json], rows: Sequence[Json]) -> Grid:
    mean_iu = {row["run"]: row["numbers"]["mean_iu"] or 0.0 for row in rows}
    best_first = sorted(classes, key=lambda run: -mean_iu[run])  # a phone shows the first columns
    by_run = {run: {key: value for of in classes[run].values() for key, value in of.items()} for run in best_first}
    names = dict.fromkeys(name for found in by_run.values() for name in found)
    lacking = any(len(found) < len(names) for found in by_run.values())
    nowhere = f"in no truth and no answer{', or none of the dataset’s' * lacking}"
    return Grid(
        title="IU by class",
        head=["class", *by_run],
        lines=[[name, *(percent(found.get(name, {}).get("iu")) for found in by_run.values())] for name in names],
        note=f"Percent, the best run first; “-” where a class is {nowhere}.",
    )


def _departures(by_run: Mapping[str, Any]) -> Grid:
    names = {run: ", ".join(item["name"] for item in found) or "none" for run, found in by_run.items()}
    return Grid(
        title="Departures of each run",
        head=["run", "number", "departures"],
        lines=[[run, str(len(found)), names[run]] for run, found in by_run.items()],
        left=["departures"],
    )


def _environment(material: Material) -> Grid:
    machines: dict[tuple[str, ...], list[str]] = {}
    for name, cost in material.cost.items():
        machines.setdefault(_machine(cost), []).append(name)
    whole, timing = len(machines) == 1, material.timing.values()
    lines = [[f"training of {'all runs' if whole else ', '.join(runs)}", *key] for key, runs in machines.items()]
    return Grid(
        title="Environment",
        head=["what", "device", "threads", "torch"],
        lines=[*lines, *(["forward times", *machine] for machine in dict.fromkeys(map(_machine, timing)))],
        left=["device", "torch"],
    )


def _machine(about: Json) -> tuple[str, ...]:
    return str(about["device"]), str(about["threads"]), str(about["torch"])


_COST = ("took", "peak memory", "files", "on disk")


def _cost(cost: Json) -> list[str]:
    files = cost.get("files")
    disk = ["-", "-"] if files is None else [f"{files:,}", size(cost["bytes"])]
    return [duration(cost["seconds"]), size(cost["peak_memory_bytes"]), *disk]


def _runs(material: Material) -> Grid:
    timing, runs = material.timing, material.config.runs
    busy = [name for name, cost in material.cost.items() if tables.was_busy(cost)]
    forward = {name: f"{1000 * timing[runs[name].net]['seconds_per_image']:.1f}" for name in material.cost}
    return Grid(
        title="Time and memory of each run",
        head=["run", *_COST, "a forward pass (ms)"],
        lines=[[name, *_cost(cost), forward[name]] for name, cost in material.cost.items()],
        note="Its training. Peak memory: of the GPU where the device is one, else of the whole process. Forward pass: "
        "mean of its trials, one image of the size that is said below the scores."
        + (f" The machine was busy with other things during {', '.join(busy)}." if busy else ""),
    )


def _stages(stages: Mapping[str, Json]) -> Grid:
    return Grid(
        title="Time and memory of each stage",
        head=["stage", *_COST],
        lines=[[name, *_cost(cost)] for name, cost in stages.items()],
        note="As it was run last, of the process; trainings are above, and this page can’t know what it takes itself. "
        "On disk is what the stage wrote; DVC’s cache holds each file once, and shares it with data/ where the file "
        "system can.",
    )


def _audits(audit: Mapping[str, Json]) -> Grid:
    lines = []
    for name, found in audit.items():
        sides = [f"{found[f'{side}_min']}-{found[f'{side}_max']}" for side in ("width", "height")]
        lines.append([name, f"{found['labels']:,}", *sides, percent(found["void_share"])])
    return Grid(
        title="Audit of the labels",
        head=["dataset", "labels", "width (px)", "height (px)", "void"],
        lines=lines,
        note="Every label has the size of its image, and only class indices and void. Void in percent of all pixels.",
    )


def _lists(splits: Json) -> Grid:
    found = {name: entry for name, entry in splits.items() if name != "disjoint"}
    return Grid(
        title="Image lists",
        head=["list", "images", "SHA-256 of its ids"],
        lines=[[name, f"{entry['count']:,}", entry["sha256"]] for name, entry in found.items()],
        left=["SHA-256 of its ids"],
    )


def _proofs(splits: Json) -> Grid:
    return Grid(
        title="Lists proven to share no image",
        head=["lists", "proven"],
        lines=[[pair, "yes" if proven else "no"] for pair, proven in splits["disjoint"].items()],
        left=["proven"],
    )


def _shares(audit: Mapping[str, Json]) -> Grid:
    names = dict.fromkeys(name for found in audit.values() for name in found["class_share"])
    return Grid(
        title="Share of each class",
        head=["class", *audit],
        lines=[[name, *(percent(found["class_share"].get(name)) for found in audit.values())] for name in names],
        note="Percent of the pixels that are not void.",
    )
