"""The image file and the label file of every id of a list."""

import importlib
from collections.abc import Sequence
from pathlib import Path


def pairs(ids: Sequence[str], *, dataset: str, raw: Path, labels: Path) -> list[tuple[Path, Path]]:
    """(JPEG in the dataset's own layout, palette PNG that the labels stage made), in the list's order."""
    image_path = importlib.import_module(f"fcn.datasets.{dataset}").image_path
    return [(image_path(raw, image_id), labels / f"{image_id}.png") for image_id in ids]
