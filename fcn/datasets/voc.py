"""PASCAL VOC segmentation, 2011 and 2012: palette PNGs and lists in ImageSets/Segmentation."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcn.datasets import labels, tree
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


def lists(raw: Path) -> dict[str, list[str]]:
    """VOC's own image lists by name: train, val, trainval."""
    files = sorted((raw / "ImageSets" / "Segmentation").glob("*.txt"))
    return {file.stem: file.read_text(encoding="utf-8").split() for file in files}


def image_path(raw: Path, image_id: str) -> Path:
    """The JPEG of an image."""
    return raw / "JPEGImages" / f"{image_id}.jpg"


def read_label(raw: Path, image_id: str) -> NDArray[np.uint8]:
    """The class indices of an image, H W, 0..20 and 255 for void.

    Raises InputError for a file that is no palette PNG.
    """
    return labels.read(raw / "SegmentationClass" / f"{image_id}.png")


def labelled_ids(raw: Path) -> list[str]:
    """The images that have a label."""
    return sorted(file.stem for file in (raw / "SegmentationClass").glob("*.png"))
