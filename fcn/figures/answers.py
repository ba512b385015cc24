"""What trained nets answer to single images, each net loaded once for many of them."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcn.datasets.pairs import read_image
from fcn.figures.score_maps import spread
from fcn.nets import checkpoint
from fcn.nets.build import trained
from fcn.nets.fcn import FCN
from fcn.nets.preprocessing import Preprocessing

Label = NDArray[np.uint8]
Scores = NDArray[np.float32]


class Answers:
    """The answers of the nets in `nets`, files by run; what was answered once is kept.

    `go_on` is called before each image, and may raise what ends the work.
    """

    def __init__(self, nets: Mapping[str, Path], *, device: torch.device, go_on: Callable[[], None]) -> None:
        self._nets, self._device, self._go_on = nets, device, go_on
        self._labels: dict[tuple[str, str], Label] = {}

    def labels(self, run: str, images: Mapping[str, Path]) -> dict[str, Label]:
        """The class of every pixel, H W, by image id."""
        missing = {key: file for key, file in images.items() if (run, key) not in self._labels}
        if missing:
            net, preprocessing = self._load(run)
            for key, file in missing.items():
                self._labels[run, key] = net.predict(self._ready(file, preprocessing))[0].cpu().numpy()
        return {key: self._labels[run, key] for key in images}

    @torch.inference_mode()
    def scores(self, run: str, images: Mapping[str, Path]) -> dict[str, Scores]:
        """The scores K H W before the last upsampling, each pixel with those of its cell, by image id."""
        net, preprocessing = self._load(run)
        found = {}
        for key, file in images.items():
            image = self._ready(file, preprocessing)
            coarse = net.coarse_scores(image)[0].float().cpu().numpy()
            up = net.upscore
            size, offset = (image.shape[2], image.shape[3]), net.offsets[1]
            maps = [spread(one, size=size, factor=up.factor, kernel=up.kernel, offset=offset) for one in coarse]
            found[key] = np.stack(maps)
        return found

    def _load(self, run: str) -> tuple[FCN, Preprocessing]:
        saved = checkpoint.load(self._nets[run])
        return trained(saved).on(self._device), saved.preprocessing

    def _ready(self, file: Path, preprocessing: Preprocessing) -> Tensor:
        self._go_on()
        image = preprocessing(read_image(file))[None]
        return image.to(self._device, memory_format=torch.channels_last)
