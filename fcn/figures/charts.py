"""Charts: losses, scores on the way, mean IU, classes, and which class is taken for which."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from fcn.figures.drawing import COLOURS, INK, PALE, colours, style

_SMOOTHED_OVER = 9  # rows of the history, of which there are some 200


def loss_curves(history: Mapping[str, Sequence[Mapping[str, float]]], *, guess: Mapping[str, float]) -> Figure:
    """A panel a run: the mean loss of a pixel by iteration, thin as recorded, bold smoothed.

    `guess` is, by run, the loss of a net that holds all classes for equally likely: ln(classes).
    """
    top = max(max(guess[run] for run in history) * 1.08, 0.1)  # one for all: the panels share their axis
    with style():
        figure, panels = _panels(list(history), value="loss of a pixel")
        for run, axes in panels.items():
            iterations, losses = ([row[key] for row in history[run]] for key in ("iteration", "loss"))
            axes.plot(iterations, losses, color=COLOURS[0], alpha=0.35, linewidth=0.7)
            smoothed = pd.Series(losses).rolling(_SMOOTHED_OVER, center=True, min_periods=1).mean()
            axes.plot(iterations, smoothed, color=COLOURS[0], linewidth=1.6)
            axes.axhline(guess[run], color=PALE, linewidth=0.8, linestyle=(0, (3, 3)))
            axes.set_ylim(bottom=0, top=top)
    return figure


def score_curves(history: Mapping[str, Sequence[Mapping[str, float]]], *, titles: Mapping[str, str]) -> Figure:
    """A panel a run: the metrics that have titles by iteration, in percent, mean IU bold."""
    with style():
        figure, panels = _panels(list(history), value="percent")
        for run, axes in panels.items():
            for (metric, title), colour in zip(titles.items(), COLOURS, strict=False):
                points = [(row["iteration"], 100 * row[metric]) for row in history[run]]
                width = 1.8 if metric == "mean_iu" else 0.9
                axes.plot(*zip(*points, strict=True), ".-", color=colour, linewidth=width, label=title)
            axes.set_ylim(0, 100)
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=2 * min(2, len(panels)), fontsize=8)
    return figure


def _panels(runs: Sequence[str], *, value: str) -> tuple[Figure, dict[str, Axes]]:
    """A figure with a panel a run, over the iterations; the panels share the axis of the values."""
    columns = min(4, len(runs))
    lines = -(-len(runs) // columns)
    figure = Figure(figsize=(2.3 * columns + 0.4, 1.75 * lines + 0.35), layout="constrained")
    panels = figure.subplots(lines, columns, sharey=True, squeeze=False)
    for axes in panels.flat[len(runs) :]:
        axes.set_visible(False)
    found = dict(zip(runs, panels.flat, strict=False))
    for run, axes in found.items():
        axes.set_title(run, fontsize=8)
        axes.tick_params(labelsize=7.5)
        axes.grid(axis="y")
        axes.locator_params(axis="x", nbins=4)
    figure.supxlabel("iteration", fontsize=9)
    figure.supylabel(value, fontsize=9)
    return figure, found


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A run's mean IU in percent, and what a paper printed for the same network, if it did."""

    run: str
    mean_iu: float
    printed: float | None
    paper: str


def mean_iu_bars(bars: Sequence[Bar], *, background: Sequence[float]) -> Figure:
    """A bar a run, with the papers' number as a mark; `background` are mean IUs of answering background everywhere."""
    with style():
        figure = Figure(figsize=(7.6, 0.36 * len(bars) + 1.25), layout="constrained")
        axes = figure.subplots()
        places = np.arange(len(bars))
        axes.barh(places, [bar.mean_iu for bar in bars], height=0.68, color=COLOURS[0])
        top = max([bar.mean_iu for bar in bars] + [bar.printed or 0 for bar in bars])
        for place, bar in enumerate(bars):  # beside the frame, where no mark can lie over them
            axes.text(1.06, place, f"{bar.mean_iu:.1f}", va="center", ha="right", transform=axes.get_yaxis_transform())
        papers = list(dict.fromkeys(bar.paper for bar in bars if bar.printed is not None))
        handles = [Line2D([], [], color=COLOURS[0], linewidth=7, label="ours")]
        for paper, marker, colour in zip(papers, "DsoP^v", COLOURS[1:], strict=False):
            marked = [(bar.printed, place) for place, bar in enumerate(bars) if bar.paper == paper and bar.printed]
            axes.plot(*zip(*marked, strict=True), marker, color="white", markeredgecolor=colour, markeredgewidth=1.6)
            label = f"{paper}: printed, other data"
            handles.append(
                Line2D([], [], linestyle="", marker=marker, color="white", markeredgecolor=colour, label=label)
            )
        for value in background:
            axes.axvline(value, color=INK, linewidth=0.8, linestyle=(0, (3, 3)))
        if background:
            dashes = Line2D([], [], color=INK, linewidth=0.8, linestyle=(0, (3, 3)), label="background everywhere")
            handles.append(dashes)
        axes.set_yticks(places, [bar.run for bar in bars])
        axes.invert_yaxis()
        axes.set_xlim(0, top * 1.08)
        axes.set_xlabel("mean IU, percent")
        axes.grid(axis="x")
        axes.tick_params(axis="y", length=0)
        figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=8.5)
    return figure


def class_bars(iu: Mapping[str, NDArray[np.float64]], *, classes: Sequence[str], ordered: bool) -> Figure:
    """For each class a bar a run, IU in percent; NaN, a class that is in no truth and no answer, has none."""
    each = 0.8 / len(iu)
    with style():
        figure = Figure(figsize=(7.6, len(classes) * (0.075 * len(iu) + 0.08) + 0.9), layout="constrained")
        axes = figure.subplots()
        places = np.arange(len(classes))
        for index, ((run, values), colour) in enumerate(
            zip(iu.items(), colours(len(iu), ordered=ordered), strict=True)
        ):
            shift = (index - (len(iu) - 1) / 2) * each
            axes.barh(places + shift, np.nan_to_num(100 * values), height=each, color=colour, label=run)
        axes.set_yticks(places, classes)
        axes.set_ylim(len(classes) - 0.4, -0.6)
        axes.set_xlim(0, 100)
        axes.set_xlabel("IU, percent")
        axes.grid(axis="x")
        axes.tick_params(axis="y", length=0)
        figure.legend(loc="outside upper center", ncols=min(len(iu), 3), fontsize=8.5)
    return figure


def confusion(hist: NDArray[np.int64], *, classes: Sequence[str]) -> Figure:
    """K K counts, rows = truth: what the pixels of each class were taken for, in percent of the class."""
    truth = hist.sum(1, keepdims=True)
    share = np.divide(100 * hist, truth, out=np.full(hist.shape, np.nan), where=truth > 0)
    with style():
        figure = Figure(figsize=(8.6, 7.9), layout="constrained")
        axes = figure.subplots()
        axes.set_facecolor("#f0f0f0")
        shown = axes.imshow(share, cmap="Blues", vmin=0, vmax=100)
        for row, column in zip(*np.nonzero(share >= 0.5), strict=True):
            value = share[row, column]
            ink = "white" if value > 55 else INK
            axes.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=6.5, color=ink)
        axes.set_xticks(np.arange(len(classes)), classes, rotation=55, ha="right", rotation_mode="anchor", fontsize=8)
        axes.set_yticks(np.arange(len(classes)), classes, fontsize=8)
        axes.tick_params(length=0)
        axes.set_xlabel("answer")
        axes.set_ylabel("truth")
        for spine in axes.spines.values():
            spine.set_visible(False)
        bar = figure.colorbar(shown, ax=axes, shrink=0.6, pad=0.015)
        bar.set_label("percent of the class's pixels", fontsize=8)
        bar.outline.set_visible(False)
    return figure
