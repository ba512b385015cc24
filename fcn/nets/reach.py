"""The exact crop: a padded network's first layers computed only where the image reaches, equal to computing them whole.

The papers pad an image by 100 px, so that most of a map lies where no unit sees the image. There it is what a blank
image gives: a profile of some units along the border, and one value a channel within. So the layers between two pools
are applied, without their own padding, to the units that the image reaches and as many of the blank map around them
as their windows see. The blank map comes from a blank image that is just large enough to have every profile, and whose
size leaves the same remainder by the total stride; its middle row and column stand for all others.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from math import prod

import torch
from torch import Tensor, nn

from fcn.nets.geometry import side

Span = tuple[int, int]
"""The first unit, and the one behind the last."""

_PAYS = 0.9  # of the plain network's multiply-adds; what is saved beyond has to pay for putting maps together


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One axis of a layer: the units of its input that a unit of its output sees; `work` is multiply-adds a unit."""

    kernel: int
    stride: int
    padding: int
    rounds_up: bool = False
    work: int = 0

    def size(self, units: int) -> int:
        """How many units the output of so many has, as torch counts them."""
        room = units + 2 * self.padding - self.kernel
        if not self.rounds_up:
            return room // self.stride + 1
        found = -(-room // self.stride) + 1
        return found - 1 if (found - 1) * self.stride >= units + self.padding else found

    def seen_by(self, span: Span) -> Span:
        """The units of the input that these of the output see, padding among them."""
        return span[0] * self.stride - self.padding, (span[1] - 1) * self.stride - self.padding + self.kernel

    def seeing(self, span: Span) -> Span:
        """The units of the output that see any of these."""
        first = -(-(span[0] + self.padding - self.kernel + 1) // self.stride)
        return first, (span[1] - 1 + self.padding) // self.stride + 1

    def seeing_only(self, span: Span) -> Span:
        """The units of the output that see none but these."""
        return -(-(span[0] + self.padding) // self.stride), (span[1] - self.kernel + self.padding) // self.stride + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """One axis of the map between two groups of layers.

    `size` units, of which the image reaches `reached` and the next group needs `needed`; of the blank map's `blank`,
    those of `even` are alike.
    """

    size: int
    reached: Span
    needed: Span
    blank: int
    even: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Rows and columns at every cut, from the padded image to the map from which on all is computed whole."""

    rows: tuple[Cut, ...]
    columns: tuple[Cut, ...]


def windows(layer: nn.Module) -> tuple[Window, ...] | None:
    """The windows of a layer that acts alike at every place; None where it isn't known to."""
    if isinstance(layer, nn.Sequential):
        found = [windows(part) for part in layer]
        return tuple(chain.from_iterable(part for part in found if part is not None)) if None not in found else None
    if isinstance(layer, nn.Conv2d | nn.MaxPool2d) and layer.dilation in (1, (1, 1)):
        sides = {"kernel": side(layer.kernel_size), "stride": side(layer.stride), "padding": side(layer.padding)}
        if isinstance(layer, nn.Conv2d):
            return (Window(**sides, rounds_up=False, work=layer.weight.numel()),)
        return (Window(**sides, rounds_up=layer.ceil_mode),)
    return () if isinstance(layer, nn.ReLU | nn.LocalResponseNorm | nn.Identity) else None


@lru_cache(maxsize=1024)
def plan(groups: tuple[tuple[Window, ...], ...], *, pad_px: int, size: tuple[int, int]) -> Plan | None:
    """What of the maps of an image of `size` has to be computed; None where that is not clearly less than all.

    The first window has no padding: `pad_px` is a part of the map that it sees.
    """
    spans = [(pad_px, pad_px + pixels) for pixels in size]
    depth = min(_depth(groups, span[1] + pad_px, span) for span in spans)
    groups = groups[:depth]
    axes = [_cuts(groups, span[1] + pad_px, span) for span in spans]
    if not groups or None in axes:
        return None
    rows, columns = (axis for axis in axes if axis is not None)
    whole = _work(groups, [(0, cut.size) for cut in rows], [(0, cut.size) for cut in columns])
    blank = _work(groups, [(0, cut.blank) for cut in rows], [(0, cut.blank) for cut in columns])
    crop = _work(groups, [cut.needed for cut in rows], [cut.needed for cut in columns])
    return Plan(rows=rows, columns=columns) if crop + blank < _PAYS * whole else None


def _sizes(windows: Sequence[Window], units: int) -> list[int]:
    """Of a map and of what each of these layers makes of it."""
    sizes = [units]
    for window in windows:
        sizes.append(window.size(sizes[-1]))
    return sizes


def _needed(windows: Sequence[Window], span: Span) -> list[Span]:
    """The units of each of the maps that those of the last one see, the last one's among them."""
    spans = [span]
    for window in reversed(windows):
        spans.insert(0, window.seen_by(spans[0]))
    return spans


def _reached(windows: Sequence[Window], span: Span) -> Span:
    for window in windows:
        span = window.seeing(span)
    return span


def _depth(groups: Sequence[Sequence[Window]], size: int, reached: Span) -> int:
    """After how many groups the image's reach, with all that is seen from there, comes to a map's border."""
    for number, group in enumerate(groups):
        sizes, reached = _sizes(group, size), _reached(group, reached)
        spans = _needed(group, reached)
        if any(span[0] < 0 or span[1] > units for span, units in zip(spans, sizes, strict=True)):
            return number
        size = sizes[-1]
    return len(groups)


def _cuts(groups: Sequence[Sequence[Window]], size: int, reached: Span) -> tuple[Cut, ...] | None:
    """One axis at every cut; None where the whole map is too small to have an even middle."""
    stride = prod(window.stride for group in groups for window in group)
    blanks = range(size % stride, size, stride)
    evens = next((found for blank in blanks if (found := _evens(groups, blank)) is not None), None)
    if evens is None:
        return None
    cuts = []
    for number, (blank, even) in enumerate(evens):
        group = groups[number] if number < len(groups) else ()
        following = _reached(group, reached)
        needed = _needed(group, following)[0] if group else (0, size)
        cuts.append(Cut(size=size, reached=reached, needed=needed, blank=blank, even=even))
        size, reached = _sizes(group, size)[-1], following
    return tuple(cuts)


def _evens(groups: Sequence[Sequence[Window]], size: int) -> list[tuple[int, Span]] | None:
    """Size and even units of the maps of a blank image at every cut; None where some map has none that are."""
    found = [(size, (0, size))]
    for group in groups:
        size, even = found[-1]
        for window in group:
            size, even = window.size(size), window.seeing_only(even)
        found.append((size, even))
    return found if all(first < last for _, (first, last) in found) else None


def _work(groups: Sequence[Sequence[Window]], rows: Sequence[Span], columns: Sequence[Span]) -> int:
    """Multiply-adds of all layers, by what of the map before each group is computed."""
    total = 0
    for group, row, column in zip(groups, rows, columns, strict=False):
        heights, widths = _sizes(group, row[1] - row[0]), _sizes(group, column[1] - column[0])
        total += sum(window.work * heights[i + 1] * widths[i + 1] for i, window in enumerate(group))
    return total


def cropped(layers: Mapping[str, nn.Module], images: Tensor, *, read: Collection[str]) -> dict[str, Tensor]:
    """N C H W -> the whole maps behind the layers in `read`, and behind the last one that is computed by the crop.

    Only those layers are applied; where the crop doesn't pay, none, and the answer is empty.
    """
    groups, ends = _groups(layers)
    if not groups:
        return {}
    seen = [tuple(chain.from_iterable(windows(layer) or () for layer in group)) for group in groups]
    first = seen[0][0]
    seen[0] = (replace(first, padding=0), *seen[0][1:])
    found = plan(tuple(seen), pad_px=first.padding, size=(images.shape[2], images.shape[3]))
    return {} if found is None else _by_plan(found, groups, ends, images, read=read)


def _groups(layers: Mapping[str, nn.Module]) -> tuple[list[list[nn.Module]], list[str]]:
    """The layers from one pool to the next, as long as their windows are known, and the names of these pools."""
    groups: list[list[nn.Module]] = []
    ends: list[str] = []
    group: list[nn.Module] = []
    for name, layer in layers.items():
        if windows(layer) is None or not (groups or group or isinstance(layer, nn.Conv2d)):
            break
        group.append(layer)
        if any(isinstance(part, nn.MaxPool2d) for part in layer.modules()):
            groups.append(group)
            ends.append(name)
            group = []
    return groups, ends


def _by_plan(
    found: Plan, groups: Sequence[Sequence[nn.Module]], ends: Sequence[str], images: Tensor, *, read: Collection[str]
) -> dict[str, Tensor]:
    maps: dict[str, Tensor] = {}
    cuts = list(zip(found.rows, found.columns, strict=True))
    blank = images.new_zeros(1, images.shape[1], found.rows[0].blank, found.columns[0].blank)
    images = _placed(images, blank, cuts[0], [cut.needed for cut in cuts[0]])
    for number, (group, end, cut) in enumerate(zip(groups, ends, cuts[1:], strict=False)):
        for index, layer in enumerate(group):
            images = unpadded(layer, images)
            blank = layer(blank) if number or index else unpadded(layer, blank)
        if end in read or cut is cuts[-1]:
            maps[end] = _placed(images, blank, cut, [(0, axis.size) for axis in cut])
            (top, bottom), (left, right) = (axis.needed for axis in cut)
            images = maps[end][:, :, top:bottom, left:right]
        else:
            images = _placed(images, blank, cut, [axis.needed for axis in cut])
    return maps


def _placed(images: Tensor, blank: Tensor, cuts: Sequence[Cut], spans: Sequence[Span]) -> Tensor:
    """The units that the image reaches, in the map of a blank image; of that, the units of `spans`."""
    channels_last = images.is_contiguous(memory_format=torch.channels_last)
    for axis, (cut, span) in enumerate(zip(cuts, spans, strict=True), start=2):
        blank = _stretched(blank, axis, cut=cut, span=span)
    map_ = blank.expand(len(images), -1, -1, -1).clone(
        memory_format=torch.channels_last if channels_last else torch.contiguous_format
    )
    height, width = images.shape[2:]
    top, left = (cut.reached[0] - span[0] for cut, span in zip(cuts, spans, strict=True))
    map_[:, :, top : top + height, left : left + width] = images
    return map_


def _stretched(blank: Tensor, axis: int, *, cut: Cut, span: Span) -> Tensor:
    """Units `span` of the whole map of a blank image: its border, and its middle as often as needed."""
    border = cut.blank - cut.even[1]
    before = max(0, cut.even[0] - span[0])
    behind = max(0, span[1] - (cut.size - border))
    middle = blank.narrow(axis, cut.even[0], 1)
    shape = list(middle.shape)
    shape[axis] = span[1] - span[0] - before - behind
    parts = [
        blank.narrow(axis, cut.even[0] - before, before),
        middle.expand(shape),
        blank.narrow(axis, cut.even[1], behind),
    ]
    return torch.cat(parts, axis) if before or behind else parts[1]


def unpadded(layer: nn.Module, images: Tensor) -> Tensor:
    """What the layer makes of a map that has already what it would pad it with."""
    if isinstance(layer, nn.Sequential):
        for part in layer:
            images = unpadded(part, images)
        return images
    if isinstance(layer, nn.Conv2d):
        return nn.functional.conv2d(images, layer.weight, layer.bias, layer.stride, groups=layer.groups)
    found: Tensor
    if isinstance(layer, nn.MaxPool2d):
        found = nn.functional.max_pool2d(images, layer.kernel_size, layer.stride)
    else:
        found = layer(images)
    return found
