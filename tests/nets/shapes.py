"""Nets of one head on RGB, by their stride, and their scores."""

from collections.abc import Mapping
from typing import Literal

from torch import Tensor

from fcn.nets.fcn import FCN
from fcn.shape import Backbone, Net

Stride = Literal[32, 16, 8]
Pad = Literal[100, "same"]
Upsampled = Literal["fixed", "intermediate", "all"]
STRIDES: tuple[Stride, ...] = (32, 16, 8)
PADS: tuple[Pad, ...] = (100, "same")
LEARNED: tuple[Upsampled, ...] = ("fixed", "intermediate", "all")
TAPS: dict[Stride, tuple[Literal[16, 8], ...]] = {32: (), 16: (16,), 8: (16, 8)}


def shape(
    backbone: Backbone,
    stride: Stride,
    *,
    classes: int,
    pad: Pad = "same",
    upsampling: Upsampled = "fixed",
    scales: Mapping[Literal[16, 8], float] | None = None,
) -> Net:
    """A net with all the skips down to a stride, and one head, "semantic"."""
    return Net(
        backbone=backbone,
        inputs=("rgb",),
        heads={"semantic": classes},
        taps=TAPS[stride],
        scales=dict(scales or {}),
        pad=pad,
        upsampling=upsampling,
    )


def scores(net: FCN, images: Tensor) -> Tensor:
    """N 3 H W -> N K H W: the scores of the one head."""
    found: Tensor = net({"rgb": images})["semantic"]
    return found


def coarse_scores(net: FCN, images: Tensor) -> Tensor:
    """N 3 H W -> N K h w: before the last upsampling."""
    return net.coarse_scores({"rgb": images})["semantic"]


def predict(net: FCN, images: Tensor) -> Tensor:
    """N 3 H W -> N H W: the classes of the one head."""
    return net.predict({"rgb": images})["semantic"]
