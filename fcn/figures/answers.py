"""What trained nets answer to the pictures of a list, each net loaded once for many of them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcn.datasets.labels import VOID, palette
from fcn.datasets.samples import Samples
from fcn.figures.drawing import Palette
from fcn.figures.score_maps import spread
from fcn.nets import checkpoint
from fcn.nets.build import trained
from fcn.nets.fcn import FCN
from fcn.nets.preprocessing import AnyPreprocessing

Label = NDArray[np.uint8]
Scores = NDArray[np.float32]


class Answers:
    """The answers of the nets in `nets`, files by run, for one target; what was answered once is kept.

    `facts` are the target's in the dataset's own dataset.json, and `palette` its classes and colours. `plain`, the nets
    compute as they are defined (fcn/nets/fcn.py).

    `go_on` is called before each picture, and may raise what ends the work.
    """

    def __init__(
        self,
        nets: Mapping[str, Path],
        samples: Samples,
        *,
        target: str,
        device: torch.device,
        plain: bool,
        go_on: Callable[[], None],
    ) -> None:
        self.samples, self.target, self.facts = samples, target, samples.facts.targets[target]
        self.palette = Palette(names=self.facts.classes, colours=palette(self.facts.palette), void=VOID)
        self._nets, self._device, self._plain, self._go_on = nets, device, plain, go_on
        self._labels: dict[tuple[str, str], Label] = {}

    def photo(self, image_id: str) -> NDArray[np.uint8]:
        """The picture, H W 3."""
        return self.samples.read_input(image_id, "rgb")

    def truth(self, image_id: str) -> Label:
        """The label, H W."""
        return self.samples.read_label(image_id, self.target)

    def labels(self, run: str, ids: Sequence[str]) -> dict[str, Label]:
        """The class of every pixel, H W, by image id."""
        missing = [image_id for image_id in ids if (run, image_id) not in self._labels]
        if missing:
            net, preprocessing = self._load(run)
            for image_id in missing:
                answer = net.predict(self._inputs(image_id, preprocessing))[self.target]
                self._labels[run, image_id] = answer[0].cpu().numpy()
        return {image_id: self._labels[run, image_id] for image_id in ids}

    @torch.inference_mode()
    def scores(self, run: str, ids: Sequence[str]) -> dict[str, Scores]:
        """The scores K H W before the last upsampling, each pixel with those of its cell, by image id."""
        net, preprocessing = self._load(run)
        head, found = net.head(self.target), {}
        for image_id in ids:
            inputs = self._inputs(image_id, preprocessing)
            coarse = net.coarse_scores(inputs)[self.target][0].float().cpu().numpy()
            height, width = next(iter(inputs.values())).shape[2:]
            up = {"factor": head.upscore.factor, "kernel": head.upscore.kernel, "offset": head.offsets[1]}
            found[image_id] = np.stack([spread(one, size=(height, width), **up) for one in coarse])
        return found

    def _load(self, run: str) -> tuple[FCN, Mapping[str, AnyPreprocessing]]:
        saved = checkpoint.load(self._nets[run])
        return trained(saved, plain=self._plain).on(self._device), saved.preprocessing

    def _inputs(self, image_id: str, preprocessing: Mapping[str, AnyPreprocessing]) -> dict[str, Tensor]:
        self._go_on()
        ready = {name: process(self.samples.read_input(image_id, name)) for name, process in preprocessing.items()}
        return {name: image[None].to(self._device, memory_format=torch.channels_last) for name, image in ready.items()}
