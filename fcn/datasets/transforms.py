"""Samples mirrored, shifted and cropped: inputs C H W of numbers whose mean is 0, labels H W.

What lies outside of a picture is 0, the mean colour, in its inputs, and void in its labels.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn.datasets.labels import VOID
from fcn.datasets.samples import Sample


def augmented(sample: Sample, random: np.random.Generator, *, mirror: bool, jitter: int, crop: int | None) -> Sample:
    """What a recipe asks for, in this order; what it doesn't ask for draws no number."""
    if mirror:
        sample = mirrored(sample, random)
    if jitter:
        sample = shifted(sample, random, reach_px=jitter)
    if crop is not None:
        sample = cropped(sample, random, side_px=crop)
    return sample


def mirrored(sample: Sample, random: np.random.Generator) -> Sample:
    """Left and right exchanged, half of the times."""
    if random.random() >= 0.5:
        return sample
    return Sample(
        inputs={name: values[:, :, ::-1].copy() for name, values in sample.inputs.items()},
        labels={name: label[:, ::-1].copy() for name, label in sample.labels.items()},
    )


def shifted(sample: Sample, random: np.random.Generator, *, reach_px: int) -> Sample:
    """Moved by at most `reach_px` down or up, right or left; the size stays."""
    down, right = random.integers(-reach_px, reach_px + 1, size=2)
    height, width = size(sample)
    return window(sample, top=int(down), left=int(right), height=height, width=width)


def cropped(sample: Sample, random: np.random.Generator, *, side_px: int) -> Sample:
    """A square, anywhere inside; a smaller picture lies at its top left."""
    spare = [max(side - side_px, 0) for side in size(sample)]
    down, right = random.integers(0, [spare[0] + 1, spare[1] + 1])
    return window(sample, top=int(down), left=int(right), height=side_px, width=side_px)


def size(sample: Sample) -> tuple[int, int]:
    """Height and width."""
    height, width = next(iter(sample.labels.values())).shape
    return height, width


def window(sample: Sample, *, top: int, left: int, height: int, width: int) -> Sample:
    """Height x width pixels from (top, left) on."""
    box = (top, left, height, width)
    return Sample(
        inputs={name: _window(values, box, outside=0) for name, values in sample.inputs.items()},
        labels={name: _window(label, box, outside=VOID) for name, label in sample.labels.items()},
    )


def _window(values: NDArray[Any], box: tuple[int, int, int, int], *, outside: int) -> NDArray[Any]:
    """Of an array ... H W."""
    top, left, height, width = box
    out = np.full((*values.shape[:-2], height, width), outside, values.dtype)
    rows = slice(max(top, 0), min(top + height, values.shape[-2]))
    columns = slice(max(left, 0), min(left + width, values.shape[-1]))
    to_rows = slice(rows.start - top, rows.stop - top)
    to_columns = slice(columns.start - left, columns.stop - left)
    out[..., to_rows, to_columns] = values[..., rows, columns]
    return out
