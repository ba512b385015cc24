"""Segmentations beside the photo and the truth, and the same as layers of one size."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray
from PIL import Image

from fcn.datasets.labels import VOID, palette
from fcn.figures.drawing import PALE, style

_CELL_IN, _HEAD_IN, _LEGEND_IN = 1.75, 0.3, 0.19
_LEGEND_COLUMNS = 7
_JPEG_QUALITY = 85

Colours = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An image H W 3 with its truth H W, and what each run answered, H W each, in the order of the columns."""

    caption: str
    image: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    answers: Sequence[NDArray[np.uint8]]


def colours() -> Colours:
    """VOC's palette with void in white, 256 3."""
    table = palette().copy()
    table[VOID] = 255
    return table


def segmentations(rows: Sequence[Shown], *, columns: Sequence[str], classes: Sequence[str]) -> Figure:
    """A row an image: the photo, each run's answer under its name, the truth; a legend of the classes in sight."""
    heads = ["image", *columns, "truth"]
    seen = present(rows)
    width = _CELL_IN * len(heads) + 0.55
    tall = [_CELL_IN * row.image.shape[0] / row.image.shape[1] for row in rows]
    legend_columns = min(_LEGEND_COLUMNS, max(2, int(width / 1.35)))
    legend = _LEGEND_IN * -(-len(seen) // legend_columns) + 0.22
    height = sum(tall) + 0.06 * len(rows) + _HEAD_IN + legend
    with style():
        figure = Figure(figsize=(width, height), layout=None)
        grid = figure.add_gridspec(
            len(rows), len(heads), left=0.5 / width, right=1 - 0.05 / width, top=1 - _HEAD_IN / height,
            bottom=legend / height, wspace=0.03, hspace=0.06, height_ratios=tall,
        )  # fmt: skip
        for line, row in enumerate(rows):
            pictures = [row.image, *(colours()[answer] for answer in row.answers), colours()[row.truth]]
            for column, picture in enumerate(pictures):
                axes = figure.add_subplot(grid[line, column])
                _bare(axes, picture, smooth=column == 0)
                if line == 0:
                    axes.set_title(heads[column], pad=5)
                if column == 0:
                    axes.set_ylabel(row.caption, fontsize=7.5, labelpad=5)
        figure.legend(
            handles=[_patch(index, classes=classes) for index in seen], loc="lower center", ncols=legend_columns,
            fontsize=8.5, handlelength=1.3, handleheight=1.1, columnspacing=1.4, borderaxespad=0.2,
        )  # fmt: skip
    return figure


def present(rows: Sequence[Shown]) -> list[int]:
    """The classes, and void, that some map of the rows shows."""
    values: set[int] = set()
    for row in rows:
        for label in (row.truth, *row.answers):
            values.update(int(value) for value in np.unique(label))
    return sorted(values)


def hex_colour(index: int) -> str:
    """A class's colour as #rrggbb."""
    return "#" + "".join(f"{int(part):02x}" for part in colours()[index])


def name_of(index: int, *, classes: Sequence[str]) -> str:
    """A class's name, and what void is called in legends."""
    return "void (never scored)" if index == VOID else classes[index]


def write_photo(image: NDArray[np.uint8], path: Path) -> None:
    """The photo of a row as a small JPEG."""
    Image.fromarray(image).save(path, "JPEG", quality=_JPEG_QUALITY, optimize=True)


def write_label(label: NDArray[np.uint8], path: Path) -> None:
    """A label or an answer, H W, as a PNG in VOC's colours."""
    image = Image.fromarray(label)
    image.putpalette(colours().tobytes())
    image.save(path, "PNG", optimize=True)


def _bare(axes: Axes, picture: NDArray[np.uint8], *, smooth: bool) -> None:
    axes.imshow(picture, interpolation="antialiased" if smooth else "nearest", aspect="equal")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(visible=True, color=PALE, linewidth=0.5)


def _patch(index: int, *, classes: Sequence[str]) -> Patch:
    return Patch(facecolor=hex_colour(index), edgecolor=PALE, linewidth=0.6, label=name_of(index, classes=classes))
