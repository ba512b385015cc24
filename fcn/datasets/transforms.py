"""Pictures and labels mirrored, shifted and cropped together, before they become a batch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn.datasets.labels import VOID


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A sample as a network takes it: inputs by name, C H W float32 with a mean of 0, and labels by target, H W.

    What lies outside of a picture is 0, the mean colour, in its inputs, and void in its labels.
    """

    inputs: Mapping[str, NDArray[np.float32]]
    labels: Mapping[str, NDArray[np.uint8]]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        height, width = next(iter(self.labels.values())).shape
        return height, width


def augmented(
    sample: Prepared, random: np.random.Generator, *, mirror: bool, jitter: int, crop: int | None
) -> Prepared:
    """What a recipe asks for, in this order; what it doesn't ask for draws no number."""
    if mirror:
        sample = mirrored(sample, random)
    if jitter:
        sample = shifted(sample, random, reach_px=jitter)
    if crop is not None:
        sample = cropped(sample, random, side_px=crop)
    return sample


def mirrored(sample: Prepared, random: np.random.Generator) -> Prepared:
    """Left and right exchanged, half of the times."""
    if random.random() >= 0.5:
        return sample
    return Prepared(
        inputs={name: values[:, :, ::-1].copy(order="K") for name, values in sample.inputs.items()},
        labels={name: label[:, ::-1].copy() for name, label in sample.labels.items()},
    )


def shifted(sample: Prepared, random: np.random.Generator, *, reach_px: int) -> Prepared:
    """Moved by at most `reach_px` down or up, right or left; the size stays."""
    down, right = random.integers(-reach_px, reach_px + 1, size=2)
    height, width = sample.size
    return window(sample, top=int(down), left=int(right), height=height, width=width)


def cropped(sample: Prepared, random: np.random.Generator, *, side_px: int) -> Prepared:
    """A square, anywhere inside; a smaller picture lies at its top left."""
    spare = [max(side - side_px, 0) for side in sample.size]
    down, right = random.integers(0, [spare[0] + 1, spare[1] + 1])
    return window(sample, top=int(down), left=int(right), height=side_px, width=side_px)


def window(sample: Prepared, *, top: int, left: int, height: int, width: int) -> Prepared:
    """Height x width pixels from (top, left) on."""
    box = (top, left, height, width)
    return Prepared(
        inputs={name: _window(values, box, outside=0) for name, values in sample.inputs.items()},
        labels={name: _window(label, box, outside=VOID) for name, label in sample.labels.items()},
    )


def _window(values: NDArray[Any], box: tuple[int, int, int, int], *, outside: int) -> NDArray[Any]:
    """Of an array ... H W."""
    top, left, height, width = box
    out = np.full_like(values, outside, shape=(*values.shape[:-2], height, width))  # in the same order of memory
    rows = _overlap(top, height, values.shape[-2])
    columns = _overlap(left, width, values.shape[-1])
    to_rows = slice(rows.start - top, rows.stop - top)
    to_columns = slice(columns.start - left, columns.stop - left)
    out[..., to_rows, to_columns] = values[..., rows, columns]
    return out


def _overlap(first: int, length: int, side: int) -> slice:
    """Of `length` pixels from `first` on, those within 0..side; none where the two don't meet."""
    start = max(first, 0)
    return slice(start, max(start, min(first + length, side)))
