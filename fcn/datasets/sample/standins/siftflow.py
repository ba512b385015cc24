"""SIFT Flow's zip of the sample: open country, labelled with 33 classes and with 3 that the horizon decides."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn.datasets.formats.siftflow import LABELS, PICTURES, SCENES, TARGETS, TEST
from fcn.datasets.hha import Camera
from fcn.datasets.sample import encoded
from fcn.datasets.sample.scenes import edges
from fcn.datasets.sample.views import BACKDROPS, GROUNDS, SHAPE_NAMES, View, view
from fcn.entries import Archive

WORDS = ("train", "val")

_FILE = "SiftFlowDataset.zip"
_SIDE_PX = 128  # half of SIFT Flow's
_CAMERA = Camera(fx=_SIDE_PX, fy=_SIDE_PX, cx=64.5, cy=64.5, height=_SIDE_PX, width=_SIDE_PX)

# What things are called among the 33, where that is another name, and what they are of the 3.
_CALLED = {"mark": "crosswalk", "animal": "bird", "chair": "fence", "cycle": "car", "star": "plant"}
_GEOMETRY = {
    **dict.fromkeys(("sky", "sun"), "sky"),
    **dict.fromkeys((*GROUNDS, "mark"), "horizontal"),
    **dict.fromkeys((*BACKDROPS, *SHAPE_NAMES), "vertical"),
}
# The first word of a picture's name, by its ground.
_PREFIXES = {"road": "street", "field": "opencountry", "grass": "mountain", "sea": "coast"}


def write(folder: Path, entry: Archive) -> list[str]:
    """Write SiftFlowDataset.zip: the first `train` pictures are in no list, the others in TestSet1.txt."""
    assert entry.train is not None
    assert entry.val is not None
    views = [scene(entry.seed, index) for index in range(entry.train + entry.val)]
    encoded.write_zip(folder / _FILE, _members(views, test=entry.train))
    return [_FILE]


def scene(seed: int, index: int) -> View:
    """What picture number `index` shows."""
    return view(seed, index, where="country", camera=_CAMERA)


def image_id(drawn: View, index: int) -> str:
    """The name of a picture, such as coast_000003."""
    return f"{_PREFIXES[drawn.what[1]]}_{index:06d}"


def label(values: NDArray[Any], names: Sequence[str]) -> bytes:
    """A label as SIFT Flow has it: numbers of 16 bits beside the classes' names."""
    return encoded.mat({"names": np.array([names], object), "S": values.astype(np.int16)})


def _members(views: Sequence[View], *, test: int) -> encoded.Members:
    """Names and contents. A border between two things is unlabelled: 0, and -1 of the geometry."""
    ids = [image_id(drawn, index) for index, drawn in enumerate(views)]
    yield TEST, encoded.lines(f"{SCENES}\\{name}.jpg" for name in ids[test:])
    for name, drawn in zip(ids, views, strict=True):
        yield f"{PICTURES}/{name}.jpg", encoded.jpeg(drawn.image)
        for target, none, called in (("semantic", 0, _CALLED), ("geometric", -1, _GEOMETRY)):
            names = TARGETS[target].classes
            numbers = {what: 1 + names.index(called.get(what, what)) for what in drawn.what}
            values = np.where(edges(drawn.faces), none, drawn.labelled(numbers))
            yield f"{LABELS[target]}/{name}.mat", label(values, names)
