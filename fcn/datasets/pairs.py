"""The image and the label of every id of a list."""

import importlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def pairs(ids: Sequence[str], *, dataset: str, raw: Path, labels: Path) -> list[tuple[Path, Path]]:
    """(JPEG in the dataset's own layout, palette PNG that the labels stage made), in the list's order."""
    image_path = importlib.import_module(f"fcn.datasets.{dataset}").image_path
    return [(image_path(raw, image_id), labels / f"{image_id}.png") for image_id in ids]


def read_image(path: Path) -> NDArray[np.uint8]:
    """H W 3 uint8 RGB."""
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))
