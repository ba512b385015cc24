"""From a photo to the numbers that a network was trained on: channel order, scale, mean, deviation."""

import math
from dataclasses import dataclass
from typing import Any, Literal

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
        """H W 3 uint8 RGB -> 3 H W float32, whose memory is H W 3, as convolutions take it fastest."""
        assert image.dtype == np.uint8
        assert image.ndim == 3
        assert image.shape[2] == 3
        height, width, _ = image.shape
        pixels = image.astype(np.float32, order="C")
        if self.channels == "BGR":
            pixels[:, :, 0], pixels[:, :, 2] = image[:, :, 2], image[:, :, 0]
        rows = pixels.reshape(height, width * 3)  # long ones, which numpy is quicker with than with rows of 3
        if self.scale != 1:
            rows *= np.float32(self.scale)
        rows -= np.tile(np.array(self.mean, np.float32), width)
        if self.std != (1, 1, 1):
            rows /= np.tile(np.array(self.std, np.float32), width)
        return torch.from_numpy(pixels.transpose(2, 0, 1))

    def has_units_of(self, other: "Preprocessing") -> bool:
        """Whether the two differ in nothing but the mean: where its pictures lie, not what a layer measures."""
        return (self.channels, self.scale, self.std) == (other.channels, other.scale, other.std)

    def describe(self) -> str:
        """The name and the formula, for people."""
        mean, std = (" ".join(f"{value:.6g}" for value in values) for values in (self.mean, self.std))
        scaled = "" if self.scale == 1 else f" x {self.scale:.6g}"
        return f"{self.name} ({self.channels}{scaled}, mean {mean}, std {std})"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogDepth:
    """ln(depth in mm) - mean, as the NYUDv2 nets of the reference release take it."""

    name: Literal["log-depth"] = "log-depth"
    mean: float = 7.844

    def __call__(self, depth_mm: NDArray[Any]) -> Tensor:
        """H W 1, above 0 everywhere -> 1 H W float32."""
        assert depth_mm.ndim == 3
        assert depth_mm.shape[2] == 1
        return torch.from_numpy(np.log(depth_mm.transpose(2, 0, 1), dtype=np.float32) - np.float32(self.mean))

    def describe(self) -> str:
        """The name and the formula, for people."""
        return f"{self.name} (ln mm - {self.mean:g})"


AnyPreprocessing = Preprocessing | LogDepth
"""How one input is prepared."""

# Of HHA's three channels over NYUDv2, as the reference release subtracts it; HHA is never turned to BGR.
_HHA_MEAN = (132.431, 94.076, 118.477)


def derived(name: str, rgb: Preprocessing) -> AnyPreprocessing:
    """How another input is brought to what layers know that were trained on RGB so prepared."""
    if name == "depth":
        return LogDepth()
    std = rgb.std if rgb.channels == "RGB" else (rgb.std[2], rgb.std[1], rgb.std[0])
    mean = tuple(value * rgb.scale for value in _HHA_MEAN)
    return Preprocessing(name=name, channels="RGB", scale=rgb.scale, mean=(mean[0], mean[1], mean[2]), std=std)


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
        # Its NYUDv2 and SIFT Flow nets: the same weights, and the mean of their own pictures.
        Preprocessing(
            name="caffe-nyud", channels="BGR", scale=1.0, mean=(116.190, 97.203, 92.318), std=(1.0, 1.0, 1.0)
        ),
        Preprocessing(
            name="caffe-siftflow", channels="BGR", scale=1.0, mean=(114.578, 115.294, 108.353), std=(1.0, 1.0, 1.0)
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
