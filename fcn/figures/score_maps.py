"""Heat maps of single classes' scores on the net's own grid, laid over the photo."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fcn.figures.drawing import Palette, Picture, rows_of_pictures

_CELL_IN, _GAP_IN, _FOOT_IN = 1.9, 0.26, 0.3

Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """A class in an image: the photo H W 3, the truth H W, and its scores H W, cell by cell, by the runs' heads."""

    caption: str
    image: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    scores: Mapping[str, Scores]


def spread(coarse: Scores, *, size: tuple[int, int], factor: int, kernel: int, offset: int) -> Scores:
    """Scores h w of a grid -> H W: each pixel has the score of the cell whose centre is the nearest to it.

    A cell's centre lies where the bilinear upsampling of `factor` and `kernel`, cropped by `offset`, puts it.
    """
    axes = []
    for cells, pixels in zip(coarse.shape, size, strict=True):
        nearest = np.rint((np.arange(pixels) + offset - (kernel - 1) / 2) / factor)
        axes.append(np.clip(nearest, 0, cells - 1).astype(np.intp))
    return coarse[np.ix_(*axes)]


def score_maps(rows: Sequence[Mapped], *, palette: Palette) -> Figure:
    """A row a class: the photo, the truth, and each run's scores, dark to bright from its lowest to its highest."""
    shown = []
    for row in rows:
        grey = np.repeat(row.image.mean(2, keepdims=True), 3, axis=2).astype(np.uint8)
        maps = [
            Picture(pixels=grey, photo=True, heat=scores, below=f"{scores.min():.1f} to {scores.max():.1f}")
            for scores in row.scores.values()
        ]
        truth = Picture(pixels=palette.colours[row.truth])
        shown.append((row.caption, [Picture(pixels=row.image, photo=True), truth, *maps]))
    heads = ["image", "truth", *rows[0].scores]
    return rows_of_pictures(shown, heads=heads, cell_in=_CELL_IN, gap_in=_GAP_IN, foot_in=_FOOT_IN)
