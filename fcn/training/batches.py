"""Training batches: every draw is a pure function of (seed, number of the draw)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from fcn.datasets import labels as label_files
from fcn.datasets.labels import VOID
from fcn.datasets.pairs import read_image
from fcn.nets.preprocessing import Preprocessing


class Batches(Dataset[tuple[Tensor, Tensor]]):
    """`batches[draw]` is one forward pass's images N 3 H W (float32) and labels N H W (int64, 255 = void).

    Images are drawn with replacement, as in the reference release. Where a batch's images differ in size they are
    placed at the top left of a canvas of mean colour and void.
    """

    def __init__(
        self,
        files: Sequence[tuple[Path, Path]],
        *,
        preprocessing: Preprocessing,
        seed: int,
        batch: int,
        crop: int | None,
        mirror: bool,
        jitter: int,
    ) -> None:
        self._files, self._preprocessing, self._seed, self._batch = list(files), preprocessing, seed, batch
        self._crop, self._mirror, self._jitter = crop, mirror, jitter

    def __getitem__(self, draw: int) -> tuple[Tensor, Tensor]:
        """The batch of one draw."""
        random = np.random.default_rng((self._seed, draw))
        pairs = []
        for index in random.integers(len(self._files), size=self._batch):
            image_file, label_file = self._files[index]
            image = self._preprocessing(read_image(image_file)).numpy()
            pairs.append(self._augmented(image, label_files.read(label_file), random))
        height = max(label.shape[0] for _, label in pairs)
        width = max(label.shape[1] for _, label in pairs)
        images = torch.zeros(len(pairs), 3, height, width)
        labels = torch.full((len(pairs), height, width), VOID, dtype=torch.int64)
        for row, (image, label) in enumerate(pairs):
            h, w = label.shape
            images[row, :, :h, :w] = torch.from_numpy(image)
            labels[row, :h, :w] = torch.from_numpy(label)
        return images, labels

    def _augmented(
        self, image: NDArray[np.float32], label: NDArray[np.uint8], random: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """3 H W and H W: mirrored, shifted and cropped as the run says."""
        if self._mirror and random.random() < 0.5:
            image, label = image[:, :, ::-1].copy(), label[:, ::-1].copy()
        if self._jitter:
            down, right = random.integers(-self._jitter, self._jitter + 1, size=2)
            height, width = label.shape
            image, label = _window(image, label, int(down), int(right), height, width)
        if self._crop is not None:
            spare = [max(side - self._crop, 0) for side in label.shape]
            down, right = random.integers(0, [spare[0] + 1, spare[1] + 1])
            image, label = _window(image, label, int(down), int(right), self._crop, self._crop)
        return image, label


def _window(
    image: NDArray[np.float32], label: NDArray[np.uint8], top: int, left: int, height: int, width: int
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Height x width pixels from (top, left) on; mean colour and void where that lies outside of the image."""
    out = np.zeros((3, height, width), np.float32)
    truth = np.full((height, width), VOID, np.uint8)
    rows = slice(max(top, 0), min(top + height, label.shape[0]))
    columns = slice(max(left, 0), min(left + width, label.shape[1]))
    to_rows = slice(rows.start - top, rows.stop - top)
    to_columns = slice(columns.start - left, columns.stop - left)
    out[:, to_rows, to_columns] = image[:, rows, columns]
    truth[to_rows, to_columns] = label[rows, columns]
    return out, truth
