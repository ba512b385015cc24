"""A trained net in three lines of Python: `Predictor.load(path)(picture)` says what every pixel is.

docs/predict.ipynb shows it at work.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from fcn.datasets import labels, modes
from fcn.datasets.facts import Target
from fcn.errors import InputError
from fcn.figures import overlay
from fcn.nets import checkpoint
from fcn.nets.build import trained
from fcn.nets.fcn import FCN
from fcn.nets.preprocessing import AnyPreprocessing


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answer:
    """What a net says of a picture: `image` is H W 3 RGB, `label`, H W, the class of every pixel."""

    image: NDArray[np.uint8]
    label: NDArray[np.uint8]
    target: Target

    @property
    def shares(self) -> dict[str, float]:
        """The share of pixels of every class that occurs, largest first."""
        return {self.target.classes[index]: share for index, share in self._shares().items()}

    def mask(self) -> Image.Image:
        """The label as a picture whose palette shows the classes' colours, VOC's for VOC's."""
        image = Image.fromarray(self.label)
        image.putpalette(labels.palette(self.target.palette).tobytes())
        return image

    def overlay(self) -> Image.Image:
        """The classes in colours over the photo, with a legend of those that occur, which makes it higher."""
        words = {index: f"{self.target.classes[index]} {100 * share:.1f} %" for index, share in self._shares().items()}
        return overlay.overlay(self.image, self.label, target=self.target, words=words)

    def frame(self) -> Image.Image:
        """The same for a video: with a legend of all classes, so that each of its pictures has one size."""
        words = dict(enumerate(self.target.classes))
        return overlay.overlay(self.image, self.label, target=self.target, words=words)

    def _shares(self) -> dict[int, float]:
        counts = np.bincount(self.label.ravel(), minlength=len(self.target.classes))
        order = np.argsort(-counts, kind="stable").tolist()
        return {index: float(counts[index] / self.label.size) for index in order if counts[index]}


class Predictor:
    """A trained net with its preprocessing. It says of a picture, for each of its targets, what every pixel is.

    `targets` are the classes that it tells apart, `provenance` is what its file says of where it comes from.
    """

    def __init__(
        self,
        net: FCN,
        preprocessing: AnyPreprocessing,
        *,
        targets: Mapping[str, Target],
        provenance: Mapping[str, str],
        device: torch.device,
        precision: str = "float32",
    ) -> None:
        self.targets, self.provenance = targets, provenance
        self._preprocessing, self._device, self._bfloat16 = preprocessing, device, precision == "bfloat16"
        self._net = (net.in_bfloat16() if self._bfloat16 else net).on(device)

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        device: torch.device | str | None = None,
        plain: bool = False,
        precision: str = "float32",
    ) -> Self:
        """The net of a checkpoint, on `device`, or the GPU where there is one; `plain`, without any faster way.

        `precision` is float32, or bfloat16, of fewer digits and faster where the device has it.
        Raises InputError for a file that is damaged, or none of a trained net on RGB pictures.
        """
        saved = checkpoint.load(Path(path))
        if saved.net is None:
            raise InputError(f"{path} holds weights, not a trained run: those are in data/<profile>/nets/")
        if saved.net.inputs != ("rgb",):
            raise InputError(f"{path} takes {', '.join(saved.net.inputs)}; predict has pictures alone, for nets on rgb")
        return cls(
            trained(saved, plain=plain),
            saved.preprocessing["rgb"],
            targets={name: saved.targets.get(name) or _nameless(count) for name, count in saved.net.heads.items()},
            provenance=saved.provenance,
            device=torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu")),
            precision=precision,
        )

    def __call__(self, picture: Any, *, max_side: int | None = None) -> Answer:
        """The answer for the net's first target; `picture` is anything that `pixels` takes."""
        return next(iter(self.answers(picture, max_side=max_side).values()))

    def answers(self, picture: Any, *, max_side: int | None = None) -> dict[str, Answer]:
        """The answer for each target; at a smaller size where `max_side` says so, and then enlarged again."""
        image = pixels(picture)
        height, width = image.shape[:2]
        scale = 1.0 if max_side is None else min(1.0, max_side / max(height, width))
        seen = image
        if scale < 1:
            size = (max(1, round(width * scale)), max(1, round(height * scale)))
            seen = np.array(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
        batch = self._preprocessing(seen)[None].to(self._device, memory_format=torch.channels_last)
        with torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=self._bfloat16):
            answers = self._net.predict({"rgb": batch})
        found = {name: label[0].cpu().numpy() for name, label in answers.items()}
        if scale < 1:
            for name, label in found.items():
                found[name] = np.array(Image.fromarray(label).resize((width, height), Image.Resampling.NEAREST))
        return {name: Answer(image=image, label=label, target=self.targets[name]) for name, label in found.items()}


def pixels(picture: Any) -> NDArray[np.uint8]:
    """H W 3 uint8 RGB of a path, a picture file's bytes, a picture of Pillow's, or numbers that are so already.

    Raises FileNotFoundError, and InputError for what is no picture.
    """
    if isinstance(picture, str | Path):
        with modes.opened(Path(picture)) as image:
            return modes.rgb(image)
    if isinstance(picture, bytes | bytearray):
        name = f"the picture that starts with {bytes(picture[:8])!r}"
        with modes.opened(io.BytesIO(picture), name=name) as image:
            return modes.rgb(image)
    if isinstance(picture, Image.Image):
        return modes.rgb(picture)
    values = np.asarray(picture)
    if values.ndim != 3 or values.shape[2] != 3 or values.dtype.kind not in "ui":
        raise InputError(f"a picture is H W 3 whole numbers 0..255, found {values.dtype} of shape {values.shape}")
    if values.size == 0 or values.min() < 0 or values.max() > 255:
        raise InputError("a picture's numbers are 0..255, and there is at least one pixel")
    return values.astype(np.uint8)


def _nameless(classes: int) -> Target:
    """Of a checkpoint whose maker didn't name the classes; the first is background, as in all such known."""
    return Target(classes=tuple(f"class {index}" for index in range(classes)), background=0, average="seen")
