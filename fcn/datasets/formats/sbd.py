"""SBD, the Semantic Boundaries Dataset (Hariharan et al., ICCV 2011): VOC's classes, labels in .mat files."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcn.datasets import lists as list_files
from fcn.datasets import mat, tree
from fcn.datasets.formats import Original, voc
from fcn.errors import InputError

INPUTS = voc.INPUTS
TARGETS = voc.TARGETS

LAYOUT = "train.txt, val.txt, img/*.jpg and cls/*.mat"

_LABEL = re.compile(r"(?P<root>.*/)?cls/(?P<id>[^./][^/]*)\.mat")


def root(members: Sequence[str]) -> str:
    """What stands before SBD's own layout in member names: `benchmark_RELEASE/dataset/`, or nothing.

    Raises InputError where there is no SBD tree, or more than one.
    """
    return tree.root(members, sign=_LABEL, dataset="SBD", layout=LAYOUT)


def wanted(members: Sequence[str]) -> list[str]:
    """The lists, the labels, and the images that have a label; not inst/, which is labels of instances.

    Raises InputError where one of the three is missing altogether.
    """
    start = root(members)
    inside = [member for member in members if member.startswith(start)]
    present = set(inside)
    names = [f"{start}{name}" for name in ("train.txt", "val.txt")]
    missing = [name for name in names if name not in present]
    if missing:
        raise InputError(f"{', '.join(missing)} missing; an SBD tree has {LAYOUT}")
    matches = (_LABEL.fullmatch(member) for member in inside)
    labels = {match["id"]: match.string for match in matches if match and (match["root"] or "") == start}
    images = [image for image_id in labels if (image := f"{start}img/{image_id}.jpg") in present]
    if not images:
        raise InputError(f"{start}img: no *.jpg of the labels in cls; an SBD tree has {LAYOUT}")
    return [*names, *labels.values(), *images]


def lists(folders: Mapping[str, Path]) -> dict[str, list[str]]:
    """SBD's own image lists: train and val, which are not VOC's train and val."""
    (folder,) = folders.values()
    return {name: list_files.read(folder / f"{name}.txt") for name in ("train", "val")}


def ids(folders: Mapping[str, Path]) -> list[str]:
    """The images that have a label."""
    (folder,) = folders.values()
    return sorted(file.stem for file in (folder / "cls").glob("[!.]*.mat"))


def read(folders: Mapping[str, Path], image_id: str) -> Original:
    """The JPEG, and the class indices, 0..20 without void.

    Raises InputError for a label that is no whole .mat, or holds no such field.
    """
    (folder,) = folders.values()
    return Original(
        inputs={"rgb": folder / "img" / f"{image_id}.jpg"},
        labels={"semantic": _label(folder / "cls" / f"{image_id}.mat")},
    )


def _label(path: Path) -> NDArray[np.uint8]:
    """H W: GTcls.Segmentation."""
    try:
        label = mat.array(path.read_bytes(), "GTcls.Segmentation")
    except FileNotFoundError:
        raise InputError(f"{path}: no such label; every listed image needs one") from None
    except InputError as error:
        raise InputError(
            f"{path}: no label of SBD can be read from it: {error}; it should be a whole .mat file with "
            "GTcls.Segmentation: fetch it again, or leave its image out"
        ) from None
    if label.ndim != 2 or label.dtype.kind not in "ui" or label.size == 0:
        raise InputError(
            f"{path}: GTcls.Segmentation is {label.dtype} of shape {label.shape}; expected whole numbers, H x W"
        )
    if label.min() < 0 or label.max() > 255:
        raise InputError(
            f"{path}: GTcls.Segmentation has values {label.min()}..{label.max()}; allowed are 0..20 and 255"
        )
    return np.ascontiguousarray(label, np.uint8)
