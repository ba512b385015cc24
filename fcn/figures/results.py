"""The figures of numbers: losses, scores on the way and at the end, classes and confusion, with their captions."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from fcn.config import Config
from fcn.entries import Run
from fcn.figures import charts
from fcn.figures.gallery import Gallery
from fcn.figures.groups import Group
from fcn.paper.table import METRICS as TITLES
from fcn.paper.table import every
from fcn.scoring.metrics import METRICS, class_metrics

Histograms = Mapping[str, NDArray[np.int64]]
Row = Mapping[str, float]  # of a history


def best(mean_iu: Mapping[str, float]) -> str:
    """The run of the highest mean IU."""
    return max(mean_iu, key=lambda run: np.nan_to_num(mean_iu[run]))


def losses(gallery: Gallery, history: Mapping[str, Sequence[Row]], *, config: Config) -> None:
    """The loss by iteration of all runs that trained."""
    guess = {run: float(np.mean([np.log(classes) for classes in config.net(run).heads.values()])) for run in history}
    gallery.add(
        charts.loss_curves(history, guess=guess),
        key="loss",
        section="curves",
        title="Training loss of every run",
        caption="Mean loss of a training pixel by iteration, thin as recorded, bold smoothed. Dashed: the loss of "
        "holding all classes for equally likely, at which a net stays that learns nothing.",
        alt=f"Loss curves of {', '.join(history)}.",
    )


def on_the_way(gallery: Gallery, history: Mapping[str, Sequence[Row]], *, config: Config) -> None:
    """The metrics by iteration of all runs that were scored while they trained."""
    lists = dict.fromkeys(config.run(run).val.list for run in history)
    best = [f"{run} is that of {kept}" for run, rows in history.items() if (kept := config.recipe(run).kept(rows))]
    kept = f" The net that was kept of {'; of '.join(best)}." if best else ""
    gallery.add(
        charts.score_curves(history, titles={metric: TITLES[metric] for metric in METRICS}),
        key="validation",
        section="curves",
        title="Scores on the way",
        caption=f"The metrics on {', '.join(lists)} by iteration, mean IU bold.{kept}",
        alt="Curves of "
        + ", ".join(f"{run}, mean IU {100 * rows[-1]['mean_iu']:.1f} at the end" for run, rows in history.items())
        + ".",
    )


def mean_iu(gallery: Gallery, ours: Mapping[str, float], *, background: Sequence[float], config: Config) -> None:
    """The runs' mean IU beside the papers', in percent; `background` are those of answering background everywhere.

    There is one for each list and target that has a background.
    """
    bars = []
    for name, value in ours.items():
        printed, paper = _printed(name, config.runs[name])
        bars.append(charts.Bar(run=name, mean_iu=value, printed=printed, paper=paper))
    lists = dict.fromkeys(config.runs[name].val.list for name in ours)
    marks = "Marks are what the papers print for the same network, on their data, at full size. "
    beside = marks if any(bar.paper for bar in bars) else ""
    dashed = "The dashed line is the score of answering background everywhere." if background else ""
    if background and len(lists) > 1:
        dashed = "Dashed is the score of answering background everywhere, on each list that has a background."
    gallery.add(
        charts.mean_iu_bars(bars, background=background),
        key="mean-iu",
        section="scores",
        title="Mean IU of every run",
        caption=f"Bars are ours. {beside}Ours are scored on {', '.join(lists)} of profile {config.profile}. "
        f"{dashed}".strip(),
        alt="Bars of mean IU: " + ", ".join(f"{bar.run} {bar.mean_iu:.1f}" for bar in bars) + ".",
    )


def _printed(name: str, run: Run) -> tuple[float | None, str]:
    """The confirmed mean IU of the row that the run fills best, and the table that prints it.

    Tables of the run's own regime come first, then those that name the run before others, then later ones.
    """
    found = [
        ((key.startswith(run.regime), -row.runs.index(name), key), cell.value, f"{table.paper}, {table.number}")
        for key, table in every().items()
        for row in table.rows
        if run.regime != "none" and key.startswith(("cvpr_table", "pami_table")) and name in row.runs
        if (cell := row.cells.get("mean_iu")) is not None and cell.confirmed
    ]
    return max(found)[1:] if found else (None, "")


def classes(gallery: Gallery, group: Group, hists: Histograms) -> None:
    """The IU of every class for a group's runs."""
    names = gallery.palettes[group.truth].names
    iu = {label: class_metrics(hists[run]).iu for run, label in group.labels.items()}
    absent = [name for name, pixels in zip(names, hists[group.runs[0]].sum(1), strict=True) if not pixels]
    empty = f" The list's labels have no pixel of {', '.join(absent)}: nothing can be scored there." if absent else ""
    gallery.add(
        charts.class_bars(iu, classes=names, ordered=group.chain),
        key=f"classes-{group.key}",
        section="classes",
        title=f"IU by class: {group.title}",
        caption=f"Scored on {group.val.list}.{empty} The numbers are in the table of classes.",
        alt=f"Bars of IU for {len(names)} classes and {', '.join(group.labels.values())}.",
    )


def confusion(gallery: Gallery, hists: Histograms, *, classes: Mapping[str, Sequence[str]], winner: str) -> None:
    """The confusion matrix of every run, `classes` are their names by run; the report shows that of the `winner`."""
    for name, hist in hists.items():
        which = f"{name}, the run with the highest mean IU" if name == winner else name
        gallery.add(
            charts.confusion(hist, classes=classes[name]),
            key=f"confusion-{name}",
            section="classes" if name == winner else "confusion",
            title=f"Confusion: {name}",
            caption=f"What the pixels of each class are taken for by {which}, in percent of the class; each row adds "
            "up to 100, shares below 0.5 are left blank.",
            alt=f"Confusion matrix of {name}, {len(classes[name])} classes, rows are the truth.",
        )
