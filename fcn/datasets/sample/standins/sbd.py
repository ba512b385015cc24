"""SBD's archive of the sample: classes without a void band, in .mat files, and pictures that VOC's shares."""

from pathlib import Path

import numpy as np
import scipy.sparse

from fcn.datasets.sample import encoded
from fcn.datasets.sample.scenes import KINDS, Scene, edges, scene
from fcn.datasets.sample.standins.voc import Roster, image_id, lines, roster
from fcn.entries import Archive

WORDS = ("file", "scenes")

_SBD = "benchmark_RELEASE/dataset"


def write(folder: Path, entry: Archive) -> list[str]:
    """Write benchmark.tgz of the sample under its `file` name."""
    assert entry.file is not None
    assert entry.scenes is not None
    encoded.write_tgz(folder / entry.file, _members(roster(entry.scenes), seed=entry.seed))
    return [entry.file]


def _members(lists: Roster, *, seed: int) -> encoded.Members:
    for name, indices in (("train", lists.sbd_train), ("val", lists.sbd_val)):
        yield f"{_SBD}/{name}.txt", lines(indices)
    for index in (*lists.sbd_train, *lists.sbd_val):
        drawn, name = scene(seed, index), image_id(index)
        yield f"{_SBD}/img/{name}.jpg", encoded.jpeg(drawn.image)
        yield f"{_SBD}/cls/{name}.mat", _mat(drawn)


def _mat(drawn: Scene) -> bytes:
    """SBD's struct GTcls: the class mask, the boundary of each of the 20 classes, and the classes that occur."""
    boundaries = np.empty((KINDS, 1), object)
    for kind in range(KINDS):
        inside = drawn.mask == kind + 1
        boundaries[kind, 0] = scipy.sparse.csc_array(edges(inside.view(np.uint8)) & inside)
    classes = {
        "Boundaries": boundaries,
        "Segmentation": drawn.mask,
        "CategoriesPresent": np.setdiff1d(drawn.mask, [0])[None],
    }
    return encoded.mat({"GTcls": classes})
