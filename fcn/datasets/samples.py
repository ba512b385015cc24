"""Pictures and labels as arrays: the one reader of converted datasets."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn.datasets import facts, labels, modes
from fcn.datasets.facts import Facts
from fcn.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The inputs of a picture by name, H W C uint8 as they are read, and its labels by target, H W, 255 = void."""

    inputs: Mapping[str, NDArray[Any]]
    labels: Mapping[str, NDArray[np.uint8]]


class Samples:
    """The pictures of a list, read from a converted dataset's folder."""

    def __init__(self, folder: Path, ids: Sequence[str]) -> None:
        self.folder, self.ids = folder, tuple(ids)
        self.facts: Facts = facts.read(folder)

    def __len__(self) -> int:
        return len(self.ids)

    def read(self, image_id: str, *, inputs: Collection[str] | None = None) -> Sample:
        """These inputs, or all, and all labels of a picture."""
        return Sample(
            inputs={name: self.read_input(image_id, name) for name in inputs or self.facts.inputs},
            labels={name: self.read_label(image_id, name) for name in self.facts.targets},
        )

    def read_input(self, image_id: str, name: str) -> NDArray[Any]:
        """H W C: RGB as everybody sees it, or the values as they were written."""
        path = self._input_file(image_id, name)
        remedy = "run `dvc repro`, which makes it anew"
        if path.suffix == ".npy":
            try:
                values: NDArray[Any] = np.load(path, allow_pickle=False)
            except (OSError, ValueError) as error:
                raise InputError(f"{path}: can't be read ({error}); {remedy}") from None
            return values
        with modes.opened(path, remedy=remedy) as image:
            return np.array(image)[:, :, None] if self.facts.inputs[name] == 1 else modes.rgb(image)

    def read_label(self, image_id: str, target: str) -> NDArray[np.uint8]:
        """The class indices, H W, 255 = void."""
        return labels.read(self.folder / target / f"{image_id}.png")

    def _input_file(self, image_id: str, name: str) -> Path:
        for suffix in (".jpg", ".jpeg", ".png", ".npy"):
            path = self.folder / name / f"{image_id}{suffix}"
            if path.is_file():
                return path
        raise InputError(f"{self.folder / name}: no picture {image_id!r}; run `dvc repro`, or `dvc pull` to fetch it")
