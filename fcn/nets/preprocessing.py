"""From a photo to the numbers that a network was trained on: channel order, scale, mean, deviation."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcn.errors import InputError

Three = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """(pixel * scale - mean) / std, channel by channel; `mean` and `std` are in the order of `channels`."""

    name: str
    channels: Literal["RGB", "BGR"]
    scale: float
    mean: Three
    std: Three

    def __post_init__(self) -> None:
        assert self.scale > 0
        assert min(self.std) > 0
        assert all(math.isfinite(value) for value in (self.scale, *self.mean, *self.std))

    def __call__(self, image: NDArray[np.uint8]) -> Tensor:
        """H W 3 uint8 RGB -> 3 H W float32."""
        assert image.dtype == np.uint8
        assert image.ndim == 3
        assert image.shape[2] == 3
        ordered = image if self.channels == "RGB" else image[:, :, ::-1]
        planes = np.ascontiguousarray(ordered.transpose(2, 0, 1), dtype=np.float32)
        planes *= np.float32(self.scale)
        planes -= np.array(self.mean, dtype=np.float32)[:, None, None]
        planes /= np.array(self.std, dtype=np.float32)[:, None, None]
        return torch.from_numpy(planes)

    def describe(self) -> str:
        """The name and the formula, for people."""
        mean, std = (" ".join(f"{value:.6g}" for value in values) for values in (self.mean, self.std))
        scaled = "" if self.scale == 1 else f" x {self.scale:.6g}"
        return f"{self.name} ({self.channels}{scaled}, mean {mean}, std {std})"


_PRESETS = {
    preset.name: preset
    for preset in (
        # torchvision's ImageNet weights of AlexNet and VGG16.
        Preprocessing(
            name="imagenet", channels="RGB", scale=1 / 255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
        ),
        # torchvision's GoogLeNet: ported from TensorFlow, it maps pixels to -1..1 (its `transform_input`).
        Preprocessing(name="inception", channels="RGB", scale=1 / 255, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
        # The VOC nets of the reference release, and every Caffe ancestor of theirs.
        Preprocessing(
            name="caffe", channels="BGR", scale=1.0, mean=(104.00699, 116.66877, 122.67892), std=(1.0, 1.0, 1.0)
        ),
        # The generated sample's classifiers.
        Preprocessing(name="sample", channels="RGB", scale=1.0, mean=(115.0, 115.0, 115.0), std=(60.0, 60.0, 60.0)),
    )
}


def preset(name: str) -> Preprocessing:
    """The preprocessing called `name`."""
    if name not in _PRESETS:
        raise InputError(f"preprocessing {name!r} is unknown; there are {', '.join(sorted(_PRESETS))}")
    return _PRESETS[name]
