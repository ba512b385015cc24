"""VOC 2012's archive of the sample, and which of its scenes SBD shares."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fcn.datasets.labels import VOID
from fcn.datasets.sample import encoded
from fcn.datasets.sample.scenes import scene
from fcn.entries import Archive, Scenes
from fcn.errors import InputError

WORDS = ("file", "scenes")

_VOC = "VOCdevkit/VOC2012"


def write(folder: Path, entry: Archive) -> list[str]:
    """Write VOCtrainval_11-May-2012.tar of the sample under its `file` name."""
    assert entry.file is not None
    assert entry.scenes is not None
    encoded.write_tar(folder / entry.file, _members(roster(entry.scenes), seed=entry.seed))
    return [entry.file]


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """Which scene is in which list, by scene number, overlapping as the real lists do."""

    sbd_train: range
    sbd_val: range
    voc_train: range
    voc_val: range


def roster(scenes: Scenes) -> Roster:
    """Deal out the scenes: first what only SBD has, then VOC train, then VOC val, of which `leaked` are SBD train.

    So SBD train holds all of VOC train and a part of VOC val, and SBD val is the rest of VOC val.
    Raises InputError where the counts can't overlap in this way.
    """
    shared = scenes.voc_train + scenes.leaked
    if scenes.sbd_train < shared:
        raise InputError(
            f"scenes: sbd_train is {scenes.sbd_train}, but it holds the {scenes.voc_train} scenes of voc_train and the "
            f"{scenes.leaked} leaked ones; make it {shared} or more"
        )
    if scenes.leaked >= scenes.voc_val:
        raise InputError(
            f"scenes: leaked is {scenes.leaked} of {scenes.voc_val} voc_val scenes, which leaves none to score on; "
            "make it less than voc_val"
        )
    first_train = scenes.sbd_train - shared
    first_val = first_train + scenes.voc_train
    end = first_val + scenes.voc_val
    return Roster(
        sbd_train=range(scenes.sbd_train),
        sbd_val=range(scenes.sbd_train, end),
        voc_train=range(first_train, first_val),
        voc_val=range(first_val, end),
    )


def image_id(index: int) -> str:
    """The name of scene `index` in both archives, such as 2008_000123."""
    return f"2008_{index:06d}"


def lines(indices: Iterable[int]) -> bytes:
    """A list of scenes."""
    return encoded.lines(map(image_id, indices))


def _members(lists: Roster, *, seed: int) -> encoded.Members:
    named = {"train": lists.voc_train, "val": lists.voc_val, "trainval": [*lists.voc_train, *lists.voc_val]}
    for name, indices in named.items():
        yield f"{_VOC}/ImageSets/Segmentation/{name}.txt", lines(indices)
    for index in named["trainval"]:
        drawn, name = scene(seed, index), image_id(index)
        yield f"{_VOC}/JPEGImages/{name}.jpg", encoded.jpeg(drawn.image)
        yield f"{_VOC}/SegmentationClass/{name}.png", encoded.png(drawn.label)
        objects = np.where(drawn.label == VOID, drawn.label, drawn.instances)
        yield f"{_VOC}/SegmentationObject/{name}.png", encoded.png(objects)
