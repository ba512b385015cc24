"""Images whose colour says the class of every pixel, and small networks to train on them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from fcn.config import Solver
from fcn.datasets import labels
from fcn.nets.fcn import FCN
from fcn.nets.preprocessing import Preprocessing
from fcn.shape import Backbone
from fcn.training.batches import Batches

CLASSES = 5
AS_IS = Preprocessing(name="as-is", channels="RGB", scale=1.0, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
SCALED = Preprocessing(name="scaled", channels="RGB", scale=1.0, mean=(115.0, 115.0, 115.0), std=(60.0, 60.0, 60.0))


def colour(label: NDArray[Any]) -> NDArray[np.uint8]:
    """H W classes -> 3 H W colours, none of them black."""
    values = label.astype(np.int64)
    return np.stack([values + 1, 255 - 9 * values, 40 + 40 * values]).astype(np.uint8)


def write(folder: Path, sizes: Sequence[tuple[int, int]], *, seed: int = 0) -> list[tuple[Path, Path]]:
    """One picture and its label a size (height, width): blocks of random classes, without void."""
    random = np.random.default_rng(seed)
    files = []
    for index, (height, width) in enumerate(sizes):
        coarse = random.integers(CLASSES, size=(height // 4 + 1, width // 4 + 1), dtype=np.uint8)
        label = coarse.repeat(4, 0).repeat(4, 1)[:height, :width]
        image_file, label_file = folder / f"{index}-image.png", folder / f"{index}-label.png"
        Image.fromarray(colour(label).transpose(1, 2, 0)).save(image_file)
        labels.write(label, path=label_file)
        files.append((image_file, label_file))
    return files


def batches(files: Sequence[tuple[Path, Path]], **settings: Any) -> Batches:
    """Batches of two, plain, unless the settings say otherwise."""
    values: dict[str, Any] = {
        "preprocessing": SCALED,
        "seed": 0,
        "batch": 2,
        "crop": None,
        "mirror": False,
        "jitter": 0,
    }
    return Batches(files, **(values | settings))


def net(*, dropout: float = 0.0, upsampling: str = "fixed", stride: int = 16, seed: int = 0) -> FCN:
    """A narrow VGG16 with `pad: same`, whose score layers don't start at zero."""
    torch.manual_seed(seed)
    backbone = Backbone(architecture="vgg16", width=0.0625, fc=8, input_px=32, dropout=dropout)
    settings: Any = {"stride": stride, "skips": "staged" if stride < 32 else "none", "upsampling": upsampling}
    made = FCN(backbone, classes=CLASSES, pad="same", **settings)
    for name, parameter in made.named_parameters():
        if name.startswith("score_"):
            torch.nn.init.normal_(parameter, std=0.05)
    return made


def solver(**settings: Any) -> Solver:
    """A plain solver, but for what the settings say."""
    values: dict[str, Any] = {"batch": 2, "accumulation": 1, "momentum": 0.9, "rate": 0.01, "bias_rate": 2}
    values |= {"decay": 5e-4, "loss": "mean", "iterations": 6, "precision": "float32"}
    return Solver(**(values | settings))
