"""SBD, the Semantic Boundaries Dataset (Hariharan et al., ICCV 2011): VOC's classes, labels in .mat files."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from fcn.datasets import mat, tree
from fcn.datasets.formats import Original, voc
from fcn.datasets.renumber import renumber
from fcn.errors import InputError

INPUTS = voc.INPUTS
TARGETS = voc.TARGETS

LAYOUT = "train.txt, val.txt, img/*.jpg and cls/*.mat"

_LABEL = re.compile(r"(?P<root>.*/)?cls/[^./][^/]*\.mat")


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
    labels = tree.by_id(inside, f"{start}cls/", suffixes=[".mat"])
    images = tree.by_id(inside, f"{start}img/", suffixes=tree.PICTURES, among=labels)
    if not images:
        raise InputError(f"{start}img: no *.jpg of the labels in cls; an SBD tree has {LAYOUT}")
    return [*names, *labels.values(), *images.values()]


def lists(folders: Mapping[str, Path]) -> Mapping[str, Path]:
    """SBD's own image lists: train and val, which are not VOC's train and val."""
    (folder,) = folders.values()
    return {name: folder / f"{name}.txt" for name in ("train", "val")}


def ids(folders: Mapping[str, Path]) -> list[str]:
    """The images that have a label."""
    (folder,) = folders.values()
    names = (path.name for path in (folder / "cls").iterdir())
    return sorted(tree.by_id(names, "", suffixes=[".mat"]))


def read(folders: Mapping[str, Path], image_id: str) -> Original:
    """The picture, and the class indices, 255 for void.

    Raises InputError for a label that is no whole .mat, holds no such field, or numbers that are no classes.
    """
    (folder,) = folders.values()
    path = tree.file(folder / "cls", image_id, suffixes=[".mat"])
    return Original(
        inputs={"rgb": tree.file(folder / "img", image_id, suffixes=tree.PICTURES)},
        labels={"semantic": renumber(mat.label(path, "GTcls.Segmentation", dataset="SBD"), range(256), path=path)},
    )
