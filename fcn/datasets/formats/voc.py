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
_MASK = re.compile(r"(?P<root>.*/)?SegmentationClass/(?P<id>[^./][^/]*)\.png")


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
    present = set(inside)
    names = [member for member in inside if _LIST.fullmatch(member)]
    matches = (_MASK.fullmatch(member) for member in inside)
    masks = {match["id"]: match.string for match in matches if match and (match["root"] or "") == start}
    images = [image for image_id in masks if (image := f"{start}JPEGImages/{image_id}.jpg") in present]
    for what, found in (("SegmentationClass/*.png", masks), ("JPEGImages/*.jpg of the masks", images)):
        if not found:
            raise InputError(f"no {start}{what}; a VOC segmentation tree has {LAYOUT}")
    return [*names, *masks.values(), *images]


def lists(folders: Mapping[str, Path]) -> dict[str, list[str]]:
    """VOC's own image lists by name: train, val, trainval."""
    (folder,) = folders.values()
    return list_files.read_folder(folder / "ImageSets" / "Segmentation")


def ids(folders: Mapping[str, Path]) -> list[str]:
    """The images that have a label."""
    (folder,) = folders.values()
    return sorted(file.stem for file in (folder / "SegmentationClass").glob("[!.]*.png"))


def read(folders: Mapping[str, Path], image_id: str) -> Original:
    """The JPEG, and the class indices, 0..20 and 255 for void.

    Raises InputError for a label that is no palette PNG.
    """
    (folder,) = folders.values()
    return Original(
        inputs={"rgb": folder / "JPEGImages" / f"{image_id}.jpg"},
        labels={
            "semantic": labels.read(
                folder / "SegmentationClass" / f"{image_id}.png", colours=TARGETS["semantic"].palette
            )
        },
    )
