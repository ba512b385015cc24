"""Training batches: every draw is a pure function of (seed, number of the draw)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from fcn.datasets.labels import VOID
from fcn.datasets.samples import Samples
from fcn.datasets.transforms import Prepared, augmented
from fcn.entries import Recipe
from fcn.nets.preprocessing import AnyPreprocessing

Batch = tuple[dict[str, Tensor], dict[str, Tensor]]


class Batches(Dataset[Batch]):
    """`batches[draw]` is one forward pass: inputs N C H W (float32) and labels N H W (uint8, 255 = void), by name.

    In memory inputs are N H W C, as convolutions take them fastest (torch.channels_last).
    Images are drawn with replacement, as in the reference release. Where a batch's images differ in size they are
    placed at the top left of a canvas of mean colour and void.
    """

    def __init__(
        self, samples: Samples, *, recipe: Recipe, preprocessing: Mapping[str, AnyPreprocessing], seed: int
    ) -> None:
        self._samples, self._recipe, self._preprocessing, self._seed = samples, recipe, preprocessing, seed

    def __getitem__(self, draw: int) -> Batch:
        """The batch of one draw."""
        random, recipe = np.random.default_rng((self._seed, draw)), self._recipe
        drawn = []
        for index in random.integers(len(self._samples), size=recipe.batch):
            item = self._prepared(self._samples.ids[index])
            drawn.append(augmented(item, random, mirror=recipe.mirror, jitter=recipe.jitter, crop=recipe.crop))
        size = (max(item.size[0] for item in drawn), max(item.size[1] for item in drawn))
        first = drawn[0]
        images = {
            name: np.zeros((len(drawn), *size, len(values)), np.float32).transpose(0, 3, 1, 2)
            for name, values in first.inputs.items()
        }
        truths = {name: np.full((len(drawn), *size), VOID, np.uint8) for name in first.labels}
        for row, item in enumerate(drawn):
            height, width = item.size
            for name, values in item.inputs.items():
                images[name][row, :, :height, :width] = values
            for name, label in item.labels.items():
                truths[name][row, :height, :width] = label
        return _tensors(images), _tensors(truths)

    def _prepared(self, image_id: str) -> Prepared:
        sample = self._samples.read(image_id, inputs=self._preprocessing)
        inputs = {name: process(sample.inputs[name]).numpy() for name, process in self._preprocessing.items()}
        return Prepared(inputs=inputs, labels=sample.labels)


def _tensors(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in arrays.items()}
