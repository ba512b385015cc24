"""How every figure looks, and how it becomes a file that is the same each time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import matplotlib.style
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

DPI = 120
INK, PALE = "#222222", "#8a8a8a"
# Okabe and Ito's colours, which differ for the colour-blind too, without the yellow that is lost on white.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#555555")
FROM_COARSE_TO_FINE = ("#a6c8e4", "#4a90c8", "#0b3d74")
_LEFT_IN, _HEAD_IN, _RIGHT_IN = 0.5, 0.3, 0.05  # around rows of pictures
_HEAT = "magma"

_STYLE: dict[str, object] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that letters are the same everywhere
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": PALE,
    "axes.labelcolor": INK,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "figure.facecolor": "white",
}


@contextmanager
def style() -> Iterator[None]:
    """Draw with the project's settings, whatever a user's matplotlibrc says."""
    with mpl.style.context([_STYLE], after_reset=True):
        yield


def write(figure: Figure, path: Path) -> tuple[int, int]:
    """Write a PNG without a date or a version in it; width and height in px."""
    FigureCanvasAgg(figure)
    with mpl.rc_context({"savefig.facecolor": "white"}):
        figure.savefig(path, format="png", dpi=DPI, metadata={"Software": None}, pil_kwargs={"optimize": True})
    return int(figure.get_figwidth() * DPI), int(figure.get_figheight() * DPI)


def colours(count: int, *, ordered: bool) -> list[str]:
    """One colour a run; light to dark where the runs have an order."""
    if ordered and count <= len(FROM_COARSE_TO_FINE):
        return list(FROM_COARSE_TO_FINE[-count:])
    return [COLOURS[index % len(COLOURS)] for index in range(count)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """The classes' names, and the colour of each label, 256 3; `void` is the label that is never scored."""

    names: Sequence[str]
    colours: NDArray[np.uint8]
    void: int

    def __post_init__(self) -> None:
        """Void is white, so that it isn't taken for a class."""
        table = self.colours.copy()
        table[self.void] = 255
        object.__setattr__(self, "colours", table)

    def hex(self, label: int) -> str:
        """A label's colour as #rrggbb."""
        return "#" + bytes(self.colours[label]).hex()

    def name(self, label: int) -> str:
        """A class's name, and what void is called in legends."""
        return "void (never scored)" if label == self.void else self.names[label]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What one place of a row shows: a photo or a map H W 3; scores H W over it in heat colours; a word below."""

    pixels: NDArray[np.uint8]
    photo: bool = False
    heat: NDArray[np.float32] | None = None
    below: str = ""


def rows_of_pictures(
    rows: Sequence[tuple[str, Sequence[Picture]]],
    *,
    heads: Sequence[str],
    cell_in: float,
    gap_in: float,
    foot_in: float,
) -> Figure:
    """A caption and pictures a row, under heads; `foot_in` is the room below for who calls, `gap_in` that between."""
    tall = [cell_in * pictures[0].pixels.shape[0] / pictures[0].pixels.shape[1] for _, pictures in rows]
    width = cell_in * len(heads) + _LEFT_IN + _RIGHT_IN
    height = sum(tall) + gap_in * (len(rows) - 1) + _HEAD_IN + foot_in
    with style():
        figure = Figure(figsize=(width, height), layout=None)
        grid = figure.add_gridspec(
            len(rows), len(heads), left=_LEFT_IN / width, right=1 - _RIGHT_IN / width, top=1 - _HEAD_IN / height,
            bottom=foot_in / height, wspace=0.03, hspace=gap_in / (sum(tall) / len(tall)), height_ratios=tall,
        )  # fmt: skip
        for line, (caption, pictures) in enumerate(rows):
            for column, (head, picture) in enumerate(zip(heads, pictures, strict=True)):
                axes = figure.add_subplot(grid[line, column], xticks=[], yticks=[])
                axes.spines[:].set(visible=True, color=PALE, linewidth=0.5)
                axes.imshow(picture.pixels, interpolation="antialiased" if picture.photo else "nearest")
                if picture.heat is not None:
                    axes.imshow(picture.heat, cmap=_HEAT, alpha=0.72, interpolation="nearest")
                axes.set_xlabel(picture.below, fontsize=8, labelpad=3)
                if line == 0:
                    axes.set_title(head, pad=5)
                if column == 0:
                    axes.set_ylabel(caption, fontsize=7.5, labelpad=5)
    return figure
