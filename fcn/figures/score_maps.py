"""Heat maps of single classes' scores on the net's own grid, laid over the photo."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fcn.figures.drawing import PALE, style
from fcn.figures.pictures import colours

_CELL_IN, _HEAD_IN, _GAP_IN, _FOOT_IN = 1.9, 0.3, 0.26, 0.3
_HEAT = "magma"

Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """A class in an image: the photo H W 3, the truth H W, and each run's scores of the class, H W, cell by cell."""

    caption: str
    image: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    scores: Sequence[Scores]


def spread(coarse: Scores, *, size: tuple[int, int], factor: int, kernel: int, offset: int) -> Scores:
    """Scores h w of a grid -> H W: each pixel has the score of the cell whose centre is the nearest to it.

    A cell's centre lies where the bilinear upsampling of `factor` and `kernel`, cropped by `offset`, puts it.
    """
    axes = []
    for cells, pixels in zip(coarse.shape, size, strict=True):
        nearest = np.rint((np.arange(pixels) + offset - (kernel - 1) / 2) / factor)
        axes.append(np.clip(nearest, 0, cells - 1).astype(np.intp))
    return coarse[np.ix_(*axes)]


def score_maps(rows: Sequence[Mapped], *, columns: Sequence[str]) -> Figure:
    """A row a class: the photo, the truth, and each run's scores, dark to bright from its lowest to its highest."""
    heads = ["image", "truth", *columns]
    width = _CELL_IN * len(heads) + 0.45
    tall = [_CELL_IN * row.image.shape[0] / row.image.shape[1] for row in rows]
    height = sum(tall) + _HEAD_IN + _FOOT_IN + _GAP_IN * (len(rows) - 1)
    with style():
        figure = Figure(figsize=(width, height), layout=None)
        grid = figure.add_gridspec(
            len(rows), len(heads), left=0.4 / width, right=1 - 0.05 / width, top=1 - _HEAD_IN / height,
            bottom=_FOOT_IN / height, wspace=0.03, hspace=_GAP_IN / (sum(tall) / len(tall)), height_ratios=tall,
        )  # fmt: skip
        for line, row in enumerate(rows):
            grey = row.image.mean(2)
            for column, head in enumerate(heads):
                axes = figure.add_subplot(grid[line, column])
                _frame(axes)
                if line == 0:
                    axes.set_title(head, pad=5)
                if column == 0:
                    axes.imshow(row.image, interpolation="antialiased")
                    axes.set_ylabel(row.caption, fontsize=8, labelpad=5)
                elif column == 1:
                    axes.imshow(colours()[row.truth], interpolation="nearest")
                else:
                    scores = row.scores[column - 2]
                    axes.imshow(grey, cmap="gray", vmin=0, vmax=255, interpolation="antialiased")
                    axes.imshow(scores, cmap=_HEAT, alpha=0.72, interpolation="nearest")
                    axes.set_xlabel(f"{scores.min():.1f} to {scores.max():.1f}", fontsize=8, labelpad=3)
    return figure


def _frame(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(visible=True, color=PALE, linewidth=0.5)
