"""NYUDv2 as the FCN authors prepared it: cropped PNGs of colour, depth in mm and HHA, labels in .mat files, lists."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from fcn.datasets import lists as list_files
from fcn.datasets import modes, tree
from fcn.datasets.formats import Original, nyud
from fcn.errors import InputError

INPUTS = nyud.INPUTS
TARGETS = nyud.TARGETS

LAYOUT = "train.txt, val.txt, test.txt, data/{images,depth,hha}/img_*.png and segmentation/img_*.mat"

_FOLDERS = {"rgb": "images", "depth": "depth", "hha": "hha"}
_LISTS = ("train", "val", "trainval", "test")
_LABEL = re.compile(r"(?P<root>.*/)?segmentation/img_[^/]+\.mat")


def root(members: Sequence[str]) -> str:
    """What stands before the layout in member names, such as `nyud/`. Raises InputError where it isn't there."""
    return tree.root(members, sign=_LABEL, dataset="prepared NYUDv2", layout=LAYOUT)


def wanted(members: Sequence[str]) -> list[str]:
    """The lists, the labels, and the three pictures of each; raw depth is in HHA already.

    Raises InputError where one kind is missing altogether.
    """
    start = root(members)
    inside = [member for member in members if member.startswith(start)]
    named = [member for name in _LISTS if (member := f"{start}{name}.txt") in set(inside)]
    masks = tree.by_id(inside, f"{start}segmentation/img_", suffixes=[".mat"])
    found = {
        name: tree.by_id(inside, f"{start}data/{name}/img_", suffixes=tree.MASKS, among=masks)
        for name in _FOLDERS.values()
    }
    missing = [f"data/{name}/img_*.png" for name, pictures in found.items() if not pictures]
    if missing or not named:
        absent = ", ".join([*missing, *([] if named else [f"{name}.txt" for name in _LISTS])])
        raise InputError(f"no {absent} in {start or 'it'}; a prepared NYUDv2 tree has {LAYOUT}")
    return [*named, *masks.values(), *(member for pictures in found.values() for member in pictures.values())]


def lists(folders: Mapping[str, Path]) -> Mapping[str, Path | Sequence[str]]:
    """train, val and test; and trainval, which the nets learn from, and which isn't shipped: train and val."""
    (folder,) = folders.values()
    found = {name: _listed(path) for name in _LISTS if (path := folder / f"{name}.txt").is_file()}
    train, val = found.get("train"), found.get("val")
    if "trainval" not in found and isinstance(train, list) and isinstance(val, list):
        found["trainval"] = [*train, *val]
    return found


def _listed(path: Path) -> Path | list[str]:
    """The ids of a list, also where it has files, img_5002.png; one that can't be read as it is: its users are told."""
    with suppress(InputError):
        return [image_id.removeprefix("img_") for image_id in list_files.read(path)]
    return path


def ids(folders: Mapping[str, Path]) -> list[str]:
    """The pictures that have a label."""
    (folder,) = folders.values()
    names = (path.name for path in (folder / "segmentation").iterdir())
    return sorted(tree.by_id(names, "img_", suffixes=[".mat"]))


def read(folders: Mapping[str, Path], image_id: str) -> Original:
    """The three pictures, and the label: the file's 1..40 less 1, its 0 void.

    Raises InputError for a label that can't be read, and a depth that is no 16-bit PNG or 0 somewhere.
    """
    (folder,) = folders.values()
    inputs = {
        name: tree.file(folder / "data" / each, f"img_{image_id}", suffixes=tree.MASKS)
        for name, each in _FOLDERS.items()
    }
    _check_depth(inputs["depth"])
    path = tree.file(folder / "segmentation", f"img_{image_id}", suffixes=[".mat"])
    label = nyud.numbers_in(path, "segmentation", among=range(len(nyud.CLASSES) + 1))
    if label.ndim != 2:
        raise InputError(f"{path}: segmentation is of shape {label.shape}; expected H x W")
    return Original(inputs=inputs, labels={"semantic": (label - 1).astype(np.uint8)})  # 0 -> 255


def _check_depth(path: Path) -> None:
    if not path.is_file():
        return  # the audit, which looks for all pictures, names it
    with modes.opened(path, formats=("PNG",), remedy="fetch it again") as image:
        if image.mode != "I;16":
            raise InputError(f"a depth in mm is a grey PNG of 16 bits, and this one's mode is {image.mode}")
        if zeros := np.count_nonzero(np.asarray(image) == 0):
            raise InputError(
                f"the depth is 0 in {zeros:,} pixels, and its logarithm is what a net sees; data/depth has the depth "
                "that is filled in, data/rawdepth the one with holes"
            )
