"""The trunk on a picture that is too large for whole maps: by strips of rows, equal to the bit to computing it whole.

Each layer takes strips as they come, gives on the rows that they make whole, and keeps the few that windows of later
rows see as well. So no row is computed twice, and of a map between two layers only some rows are ever held.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain

import torch
from torch import Tensor, nn

from fcn.nets.reach import Window, unpadded, windows
from fcn.nets.trunk import Trunk

LARGE = 2**21
"""Pixels of what is computed by strips: whole, VGG16's first maps alone take half a GiB each."""

Take = Callable[[int, Tensor], None]
"""What is done with some rows of the map of a stride."""


def is_large(images: Tensor) -> bool:
    """Whether N C H W have so many pixels that they are computed by strips."""
    return len(images) * images.shape[2] * images.shape[3] > LARGE


def can_be_cut(trunk: Trunk) -> bool:
    """Whether all layers are a row of convolutions, pools and what acts on each unit alone, dropout switched off."""
    return all(windows(layer) is not None for _, layer in _layers(trunk))


def by_strips(trunk: Trunk, images: Tensor, *, take: Take, pixels: int | None = None) -> None:
    """N C H W -> the maps at the taps and, as that of 32, at the end: their rows to `take`, from the top to the bottom.

    `pixels` are about how many a strip of the images has: few on a CPU, more where launches cost.
    """
    pixels = pixels or (2**16 if images.device.type == "cpu" else 2**21)
    height, width = images.shape[2:]
    strips = _split(images, pixels)
    strides = {name: stride for stride, name in trunk.taps.items()}
    for name, layer in _layers(trunk):
        if name == "fc6":
            strips = _gathered(strips, 2**11)
        for window in windows(layer) or ():
            strips = _seen(strips, window, size=(height, width), border=_border(layer))
            height, width = window.size(height), window.size(width)
        strips = map(partial(unpadded, layer), strips)
        if name in strides:
            strips = _noted(strips, strides[name], take)
    for rows in strips:
        take(32, rows)


def _split(map_: Tensor, units: int) -> Iterator[Tensor]:
    """Strips of about so many units, one row at least."""
    return iter(torch.split(map_, max(1, units // (len(map_) * map_.shape[3])), 2))


def _gathered(strips: Iterator[Tensor], units: int) -> Iterator[Tensor]:
    """The strips as higher ones: torch re-orders fc6's 411 MB of kernels each time that it applies them."""
    yield from _split(torch.cat(list(strips), 2), units)


def _layers(trunk: Trunk) -> list[tuple[str, nn.Module]]:
    """The layers one by one, each with its name; one of several that lie in one place is called as the place is."""
    found = [(name, list(_parts(trunk.get_submodule(name)))) for name in trunk.order]
    return [("" if part is not parts[-1] else name, part) for name, parts in found for part in parts]


def _parts(layer: nn.Module) -> Iterator[nn.Module]:
    if isinstance(layer, nn.Sequential):
        return chain.from_iterable(map(_parts, layer))
    return iter((nn.Identity() if isinstance(layer, nn.Dropout) and not layer.training else layer,))


def _border(layer: nn.Module) -> float:
    """What lies around a map, as the layer sees it."""
    return -torch.inf if isinstance(layer, nn.MaxPool2d) else 0.0


def _seen(strips: Iterator[Tensor], window: Window, *, size: tuple[int, int], border: float) -> Iterator[Tensor]:
    """Strips of a map of `size` -> strips padded with `border`, of just the rows that the next rows of output see."""
    below, right = (max(0, window.seen_by((0, window.size(units)))[1] - units) for units in size)
    held, count = None, 0
    for strip in strips:
        count += strip.shape[2]
        above = window.padding if held is None else held.shape[2]
        sides = (window.padding, right, above, below if count == size[0] else 0)
        padded = nn.functional.pad(strip, sides, value=border)
        if held is not None:
            padded[:, :, :above] = held
        step = max(1, strip.shape[2] // window.stride)
        del strip  # no rows are held while other layers compute, but these
        rows = (padded.shape[2] - window.kernel) // window.stride + 1
        held = padded[:, :, max(0, rows) * window.stride :]
        for first in range(0, rows, step):  # several where a hundred rows of padding come with the picture's first
            last = min(first + step, rows) - 1
            yield padded[:, :, first * window.stride : last * window.stride + window.kernel]


def _noted(strips: Iterator[Tensor], stride: int, take: Take) -> Iterator[Tensor]:
    for rows in strips:
        take(stride, rows)
        yield rows
