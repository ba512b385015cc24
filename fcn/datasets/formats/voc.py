"""PASCAL VOC segmentation, 2011 and 2012: palette PNGs and lists in ImageSets/Segmentation."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from fcn.datasets import labels, tree
from fcn.datasets import lists as list_files
from fcn.datasets.facts import Target
from fcn.datasets.formats import Original
from fcn.errors import InputError

CLASSES = (
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)

INPUTS = {"rgb": 3}
TARGETS = {"semantic": Target(classes=CLASSES, background=0, average="seen")}

LAYOUT = "ImageSets/Segmentation/*.txt, JPEGImages/*.jpg and SegmentationClass/*.png"

# A name that begins with a dot is what macOS adds to an archive.
_LIST = re.compile(r"(?P<root>.*/)?ImageSets/Segmentation/[^./][^/]*\.txt")


def root(members: Sequence[str]) -> str:
    """What stands before VOC's own layout in member names: `VOCdevkit/VOC2012/`, or nothing.

    Raises InputError where there is no VOC tree, or more than one.
    """
    return tree.root(members, sign=_LIST, dataset="VOC", layout=LAYOUT)


def wanted(members: Sequence[str]) -> list[str]:
    """The lists, the masks, and the images that have a mask: a sixth of the archive's images.

    Raises InputError where one of the three is missing altogether.
    """
    start = root(members)
    inside = [member for member in members if member.startswith(start)]
    names = [member for member in inside if _LIST.fullmatch(member)]
    masks = tree.by_id(inside, f"{start}SegmentationClass/", suffixes=tree.MASKS)
    images = tree.by_id(inside, f"{start}JPEGImages/", suffixes=tree.PICTURES, among=masks)
    for what, found in (("SegmentationClass/*.png", masks), ("JPEGImages/*.jpg of the masks", images)):
        if not found:
            raise InputError(f"no {start}{what}; a VOC segmentation tree has {LAYOUT}")
    return [*names, *masks.values(), *images.values()]


def lists(folders: Mapping[str, Path]) -> Mapping[str, Path]:
    """VOC's own image lists by name: train, val, trainval."""
    (folder,) = folders.values()
    return list_files.files(folder / "ImageSets" / "Segmentation")


def ids(folders: Mapping[str, Path]) -> list[str]:
    """The images that have a label."""
    (folder,) = folders.values()
    names = (path.name for path in (folder / "SegmentationClass").iterdir())
    return sorted(tree.by_id(names, "", suffixes=tree.MASKS))


def read(folders: Mapping[str, Path], image_id: str) -> Original:
    """The picture, and the class indices, 255 for void.

    Raises InputError for a label that is no palette PNG.
    """
    (folder,) = folders.values()
    mask = tree.file(folder / "SegmentationClass", image_id, suffixes=tree.MASKS)
    return Original(
        inputs={"rgb": tree.file(folder / "JPEGImages", image_id, suffixes=tree.PICTURES)},
        labels={"semantic": labels.read(mask, colours=TARGETS["semantic"].palette)},
    )
