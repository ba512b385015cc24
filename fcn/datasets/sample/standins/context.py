"""PASCAL-Context's files of the sample: VOC2010's tar of open country, labels in another, and 459 names."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fcn.datasets.formats.context59 import CLASSES
from fcn.datasets.hha import Camera
from fcn.datasets.sample import encoded
from fcn.datasets.sample.scenes import SIZES_PX
from fcn.datasets.sample.views import View, view
from fcn.entries import Archive

WORDS = ("train", "val")

_VOC, _FILES = "VOCdevkit/VOC2010", ("VOCtrainval_03-May-2010.tar", "trainval.tar.gz", "labels.txt")
_FOCAL_PX = 130.0

# What things are called, where that is another name; some are none of the 59.
_CALLED = {"sea": "water", "animal": "dog", "cycle": "bicycle", "star": "pottedplant"}
_OTHERS = ("field", "mark", "sun")
# Numbered by the alphabet, as the true ones are.
NAMES = sorted([*CLASSES, *_OTHERS, *(f"thing {number}" for number in range(459 - len(CLASSES) - len(_OTHERS)))])


def write(folder: Path, entry: Archive) -> list[str]:
    """Write VOC2010's tar, the labels' tar, and labels.txt: the first `train` pictures are train, the others val."""
    assert entry.train is not None
    assert entry.val is not None
    count = entry.train + entry.val
    ids = [f"2010_{index:06d}" for index in range(count)]
    views = [scene(entry.seed, index) for index in range(count)]

    def pictures() -> Iterator[tuple[str, bytes]]:
        for name, listed in (("train", ids[: entry.train]), ("val", ids[entry.train :])):
            yield f"{_VOC}/ImageSets/Main/{name}.txt", encoded.lines(listed)
        for image_id, drawn in zip(ids, views, strict=True):
            yield f"{_VOC}/JPEGImages/{image_id}.jpg", encoded.jpeg(drawn.image)

    def labels() -> Iterator[tuple[str, bytes]]:
        for image_id, drawn in zip(ids, views, strict=True):
            numbers = {what: 1 + NAMES.index(_CALLED.get(what, what)) for what in drawn.what}
            label = drawn.labelled(numbers).astype(np.uint16)
            yield f"trainval/{image_id}.mat", encoded.mat({"LabelMap": label})

    tar, tgz, names = _FILES
    encoded.write_tar(folder / tar, pictures())
    encoded.write_tgz(folder / tgz, labels())
    (folder / names).write_bytes(encoded.lines(f"{number}: {name}" for number, name in enumerate(NAMES, 1)))
    return [*_FILES]


def scene(seed: int, index: int) -> View:
    """What picture number `index` shows: country alone, which colours hardly tell from rooms."""
    height, width = SIZES_PX[index % len(SIZES_PX)]
    x, y = (width + 1) / 2, (height + 1) / 2
    camera = Camera(fx=_FOCAL_PX, fy=_FOCAL_PX, cx=x, cy=y, height=height, width=width)
    return view(seed, index, where="country", camera=camera)
