"""Training batches: every draw is a pure function of (seed, number of the draw)."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from fcn.config import Recipe
from fcn.datasets.labels import VOID
from fcn.datasets.samples import Samples
from fcn.datasets.transforms import Prepared, augmented
from fcn.nets.preprocessing import Preprocessing

Batch = tuple[dict[str, Tensor], dict[str, Tensor]]


class Batches(Dataset[Batch]):
    """`batches[draw]` is one forward pass: inputs N C H W (float32) and labels N H W (int64, 255 = void), by name.

    Images are drawn with replacement, as in the reference release. Where a batch's images differ in size they are
    placed at the top left of a canvas of mean colour and void.
    """

    def __init__(
        self, samples: Samples, *, recipe: Recipe, preprocessing: Mapping[str, Preprocessing], seed: int
    ) -> None:
        self._samples, self._recipe, self._preprocessing, self._seed = samples, recipe, preprocessing, seed

    def __getitem__(self, draw: int) -> Batch:
        """The batch of one draw."""
        random = np.random.default_rng((self._seed, draw))
        prepared = []
        for index in random.integers(len(self._samples), size=self._recipe.batch):
            sample = self._samples.read(self._samples.ids[index])
            inputs = {name: process(sample.inputs[name]).numpy() for name, process in self._preprocessing.items()}
            recipe = self._recipe
            prepared.append(
                augmented(
                    Prepared(inputs=inputs, labels=sample.labels),
                    random,
                    mirror=recipe.mirror,
                    jitter=recipe.jitter,
                    crop=recipe.crop,
                )
            )
        height = max(item.size[0] for item in prepared)
        width = max(item.size[1] for item in prepared)
        first = prepared[0]
        inputs_out = {
            name: torch.zeros(len(prepared), len(array), height, width) for name, array in first.inputs.items()
        }
        labels_out = {
            target: torch.full((len(prepared), height, width), VOID, dtype=torch.int64) for target in first.labels
        }
        for row, item in enumerate(prepared):
            h, w = item.size
            for name, array in item.inputs.items():
                inputs_out[name][row, :, :h, :w] = torch.from_numpy(array)
            for target, label in item.labels.items():
                labels_out[target][row, :h, :w] = torch.from_numpy(label)
        return inputs_out, labels_out
