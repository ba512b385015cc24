"""A dataset of pictures whose colour says the class of every pixel, and small networks to train on it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from fcn.datasets import labels
from fcn.datasets.samples import Samples
from fcn.entries import Recipe
from fcn.nets.fcn import FCN, is_score_layer
from fcn.nets.preprocessing import Preprocessing
from fcn.shape import Backbone, Net
from fcn.training.batches import Batches

CLASSES = 5
AS_IS = Preprocessing(name="as-is", channels="RGB", scale=1.0, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
SCALED = Preprocessing(name="scaled", channels="RGB", scale=1.0, mean=(115.0, 115.0, 115.0), std=(60.0, 60.0, 60.0))


def colour(label: NDArray[Any]) -> NDArray[np.uint8]:
    """H W classes -> 3 H W colours, none of them black."""
    values = label.astype(np.int64)
    return np.stack([values + 1, 255 - 9 * values, 40 + 40 * values]).astype(np.uint8)


def write(
    folder: Path, sizes: Sequence[tuple[int, int]], *, seed: int = 0, heads: Mapping[str, int] | None = None
) -> Samples:
    """A converted dataset of one picture a size (height, width): blocks of random classes, without void.

    Every further head has the first one's classes, modulo its own number.
    """
    random = np.random.default_rng(seed)
    heads = heads or {"semantic": CLASSES}
    for name in ("rgb", *heads):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for index, (height, width) in enumerate(sizes):
        classes = next(iter(heads.values()))
        coarse = random.integers(classes, size=(height // 4 + 1, width // 4 + 1), dtype=np.uint8)
        label = coarse.repeat(4, 0).repeat(4, 1)[:height, :width]
        Image.fromarray(colour(label).transpose(1, 2, 0)).save(folder / "rgb" / f"{index}.png")
        for target, count in heads.items():
            labels.write(label % np.uint8(count), path=folder / target / f"{index}.png")
    describe(folder, heads)
    return Samples(folder, [str(index) for index in range(len(sizes))])


def describe(folder: Path, heads: Mapping[str, int], *, prefix: str = "class") -> None:
    """Write dataset.json: the classes of each target, class-0 and so on."""
    targets = {
        target: {
            "classes": [f"{prefix}-{index}" for index in range(count)],
            "background": 0,
            "average": "seen",
            "palette": labels.palette()[:count].tolist(),
        }
        for target, count in heads.items()
    }
    facts = {"format": "voc", "generated": True, "inputs": {"rgb": 3}, "targets": targets, "images": 0, "sha256": "0"}
    (folder / "dataset.json").write_text(json.dumps(facts), encoding="utf-8")


def batches(samples: Samples, *, preprocessing: Preprocessing = SCALED, seed: int = 0, **settings: Any) -> Batches:
    """Batches of two, plain, unless the settings, which are a recipe's, say otherwise."""
    return Batches(samples, recipe=recipe(**settings), preprocessing={"rgb": preprocessing}, seed=seed)


def drawn(made: Batches, draw: int) -> tuple[Tensor, Tensor]:
    """One batch: pictures N 3 H W and labels N H W."""
    images, truths = made[draw]
    return images["rgb"], truths["semantic"]


def net(
    *,
    dropout: float = 0.0,
    upsampling: str = "fixed",
    stride: int = 16,
    seed: int = 0,
    heads: Mapping[str, int] | None = None,
) -> FCN:
    """A narrow VGG16 with `pad: same`, whose score layers don't start at zero."""
    torch.manual_seed(seed)
    backbone = Backbone(architecture="vgg16", width=0.0625, fc=8, input_px=32, dropout=dropout)
    settings: Any = {"taps": {32: (), 16: (16,), 8: (16, 8)}[stride], "upsampling": upsampling}
    shape = Net(backbone=backbone, inputs=("rgb",), heads=dict(heads or {"semantic": CLASSES}), pad="same", **settings)
    made = FCN(shape)
    for name, parameter in made.named_parameters():
        if is_score_layer(name):
            torch.nn.init.normal_(parameter, std=0.05)
    return made


def recipe(**settings: Any) -> Recipe:
    """A plain recipe, but for what the settings say."""
    values: dict[str, Any] = {"trained": "all", "batch": 2, "accumulation": 1, "momentum": 0.9, "rate": 0.01}
    values |= {"bias_rate": 2, "decay": 5e-4, "loss": "mean", "iterations": 6, "precision": "float32"}
    return Recipe(**(values | settings))
