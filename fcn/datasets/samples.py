"""Pictures and labels as arrays: the one reader of converted datasets."""

from collections.abc import Callable, Collection, Mapping, Sequence
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
    """The pictures of a list, read from a converted dataset's folder.

    What is read is kept, decoded, as long as it fits into `cache_bytes`: whoever draws at random gains most where the
    first stay. Kept arrays can't be written to. A loader process keeps its own.
    """

    def __init__(self, folder: Path, ids: Sequence[str], *, cache_bytes: int = 0) -> None:
        self.folder, self.ids = folder, tuple(ids)
        self.facts: Facts = facts.read(folder)
        self._kept: dict[tuple[str, str], NDArray[Any]] = {}
        self._free_bytes = cache_bytes

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
        return self._once((name, image_id), self._decoded_input)

    def read_label(self, image_id: str, target: str) -> NDArray[np.uint8]:
        """The class indices, H W, 255 = void."""
        return self._once((target, image_id), self._decoded_label)

    def _once(self, key: tuple[str, str], decoded: Callable[[str, str], NDArray[Any]]) -> NDArray[Any]:
        if (kept := self._kept.get(key)) is not None:
            return kept
        values = decoded(*key)
        if values.nbytes <= self._free_bytes:
            self._free_bytes -= values.nbytes
            values.flags.writeable = False
            self._kept[key] = values
        return values

    def _decoded_input(self, name: str, image_id: str) -> NDArray[Any]:
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

    def _decoded_label(self, target: str, image_id: str) -> NDArray[np.uint8]:
        return labels.read(self.folder / target / f"{image_id}.png")

    def _input_file(self, image_id: str, name: str) -> Path:
        for suffix in (".jpg", ".jpeg", ".png", ".npy"):
            path = self.folder / name / f"{image_id}{suffix}"
            if path.is_file():
                return path
        raise InputError(f"{self.folder / name}: no picture {image_id!r}; run `dvc repro`, or `dvc pull` to fetch it")
