"""How a layer's output grid lies on the image: receptive field, stride, centre, depth.

Offsets are never typed: they come from composing the layers' coordinate maps, as Caffe's Crop layer does
(reference release, `coord_map.py`). CVPR section 3 gives the composition rule of kernels and strides.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce, singledispatch

from torch import nn


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """One axis of a square layer, or of a chain of them; the default is the image itself.

    `receptive_field_px`: pixels that one output unit sees. `stride_px`: pixels between two units. `centre_px`: the
    place of unit 0. `depth`: layers with parameters on the longest path.
    """

    receptive_field_px: int = 1
    stride_px: Fraction = Fraction(1)
    centre_px: Fraction = Fraction(0)
    depth: int = 0

    def then(self, layer: "Geometry") -> "Geometry":
        """The geometry of `layer` applied to this one's output."""
        return Geometry(
            receptive_field_px=int(self.receptive_field_px + (layer.receptive_field_px - 1) * self.stride_px),
            stride_px=self.stride_px * layer.stride_px,
            centre_px=self.centre_px + layer.centre_px * self.stride_px,
            depth=self.depth + layer.depth,
        )


IMAGE = Geometry()


def chain(layers: Iterable[Geometry]) -> Geometry:
    """Layers one after the other."""
    return reduce(Geometry.then, layers, IMAGE)


def beside(branches: Iterable[Geometry]) -> Geometry:
    """Branches whose outputs are concatenated: they share stride and centre, the widest and the deepest count."""
    all_branches = list(branches)
    first = all_branches[0]
    assert all((b.stride_px, b.centre_px) == (first.stride_px, first.centre_px) for b in all_branches)
    return Geometry(
        receptive_field_px=max(b.receptive_field_px for b in all_branches),
        stride_px=first.stride_px,
        centre_px=first.centre_px,
        depth=max(b.depth for b in all_branches),
    )


def window(kernel: int, stride: int, padding: int, *, depth: int = 0) -> Geometry:
    """A convolution or a pool: output unit 0 is centred at (kernel - 1) / 2 - padding."""
    return Geometry(
        receptive_field_px=kernel,
        stride_px=Fraction(stride),
        centre_px=Fraction(kernel - 1, 2) - padding,
        depth=depth,
    )


def upsampling(kernel: int, factor: int) -> Geometry:
    """A transposed convolution without padding: the inverse of a window's map; its receptive field isn't followed."""
    return Geometry(stride_px=Fraction(1, factor), centre_px=-Fraction(kernel - 1, 2) / factor)


def crop_offset(big: Geometry, small: Geometry) -> int:
    """Index of the unit of `big` that lies on unit 0 of `small`; negative where `small` starts first.

    Raises ValueError where the two grids don't fall onto each other.
    """
    if big.stride_px != small.stride_px:
        raise ValueError(f"grids with strides of {big.stride_px} and {small.stride_px} px can't be aligned")
    offset = (small.centre_px - big.centre_px) / big.stride_px
    if offset.denominator != 1:
        raise ValueError(f"grids lie {offset} units apart, which no crop can align")
    return int(offset)


@singledispatch
def geometry(module: nn.Module) -> Geometry:
    """The geometry of one module. Backbones register their own blocks."""
    raise TypeError(f"the geometry of {type(module).__name__} is unknown; register it beside its backbone")


@geometry.register
def _(module: nn.Conv2d) -> Geometry:
    assert module.dilation == (1, 1)
    return window(side(module.kernel_size), side(module.stride), side(module.padding), depth=1)


@geometry.register(nn.MaxPool2d)
@geometry.register(nn.AvgPool2d)
def _(module: nn.MaxPool2d | nn.AvgPool2d) -> Geometry:
    return window(side(module.kernel_size), side(module.stride), side(module.padding))


@geometry.register
def _(module: nn.Sequential) -> Geometry:
    return chain(geometry(layer) for layer in module)


@geometry.register(nn.ReLU)
@geometry.register(nn.Dropout)
@geometry.register(nn.BatchNorm2d)
@geometry.register(nn.Identity)
def _(_module: nn.Module) -> Geometry:
    return IMAGE


def side(value: int | tuple[int, ...] | str) -> int:
    """Of a square window's kernel, stride or padding, which torch has as one number or two, the one that counts."""
    first = value if isinstance(value, int) else value[0]
    assert isinstance(first, int)
    return first
