"""PASCAL-Context (Mottaghi et al., CVPR 2014): VOC2010's pictures, and labels that are told by their names."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from fcn.datasets import labels, mat, tree
from fcn.datasets import lists as list_files
from fcn.datasets.facts import Target
from fcn.datasets.formats import Original
from fcn.datasets.renumber import renumber
from fcn.errors import InputError

OBJECTS = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "table", "dog"),
    *("horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)

INPUTS = {"rgb": 3}

# The forms that labels come in: the folder of each, as its archive has it, and the file with the names of its numbers.
_FORMS = {
    "trainval": "labels.txt",
    "59_context_labels": "59_labels.txt",
    "33_context_labels": "33_labels.txt",
}
_SUFFIXES = (".mat", *tree.MASKS)
_VOC = "VOCdevkit/VOC2010"
_LISTS = [f"{_VOC}/ImageSets/Main/{name}.txt" for name in ("train", "val")]

LAYOUT = (
    f"{_VOC}/JPEGImages/*.jpg, {' and '.join(_LISTS)}, and beside VOCdevkit labels: trainval/*.mat with labels.txt, "
    "59_context_labels/*.png with 59_labels.txt, or 33_context_labels/*.png with 33_labels.txt"
)

_SIGN = re.compile(rf"(?P<root>.*/)?{_VOC}/ImageSets/Main/(?:train|val)\.txt")
_LINE = re.compile(r"(?P<number>\d{1,4})\s*:\s*(?P<name>.*\S)")
# What the FCN release, and VOC, call what the served lists call otherwise.
_SAME = {"diningtable": "table", "clothes": "cloth", "bedcloth": "bedclothes"}


def root(members: Sequence[str]) -> str:
    """What stands before VOCdevkit in member names, or nothing.

    Raises InputError where there is no VOC2010 tree, or more than one.
    """
    return tree.root(members, sign=_SIGN, dataset="PASCAL-Context", layout=LAYOUT)


def wanted(members: Sequence[str]) -> list[str]:
    """The lists, the labels in the first form that is there, the names of their numbers, and their images.

    Raises InputError where one of them is missing altogether.
    """
    start = root(members)
    inside = [member for member in members if member.startswith(start)]
    form, found = "", {}
    for form in _FORMS:
        if found := tree.by_id(inside, f"{start}{form}/", suffixes=_SUFFIXES):
            break
    else:
        raise InputError(f"no labels in {start or 'it'}; a PASCAL-Context tree has {LAYOUT}")
    texts = [f"{start}{name}" for name in (*_LISTS, _FORMS[form])]
    if missing := [name for name in texts if name not in inside]:
        raise InputError(f"{', '.join(missing)} missing; a PASCAL-Context tree has {LAYOUT}")
    images = tree.by_id(inside, f"{start}{_VOC}/JPEGImages/", suffixes=tree.PICTURES, among=found)
    if not images:
        raise InputError(f"no {start}{_VOC}/JPEGImages/*.jpg of the labels; a PASCAL-Context tree has {LAYOUT}")
    return [*texts, *found.values(), *images.values()]


def lists(folders: Mapping[str, Path]) -> Mapping[str, Path]:
    """VOC2010's lists of all its images, train and val, not those of its segmentation."""
    (folder,) = folders.values()
    return {Path(name).stem: folder / name for name in _LISTS}


def ids(folders: Mapping[str, Path]) -> list[str]:
    """The images that have a label in the first form that is there."""
    (folder,) = folders.values()
    for form in _FORMS:
        names = (path.name for path in (folder / form).glob("*"))
        if found := tree.by_id(names, "", suffixes=_SUFFIXES):
            return sorted(found)
    return []


def read(folders: Mapping[str, Path], image_id: str, *, target: Target) -> Original:
    """The picture, and the indices of the target's classes; what is none of them is its background, or else void.

    Raises InputError for a label that can't be read, has a number without a name, or names that lack a class.
    """
    (folder,) = folders.values()
    paths = [tree.file(folder / form, image_id, suffixes=_SUFFIXES) for form in _FORMS]
    path = next((path for path in paths if path.is_file()), paths[0])
    table = _table(folder / _FORMS[path.parent.name], target)
    return Original(
        inputs={"rgb": tree.file(folder / _VOC / "JPEGImages", image_id, suffixes=tree.PICTURES)},
        labels={"semantic": renumber(_label(path), table, path=path)},
    )


def _label(path: Path) -> NDArray[Any]:
    """H W: the numbers in a file."""
    if path.suffix == ".mat":
        return mat.label(path, "LabelMap", dataset="PASCAL-Context")
    try:
        return labels.read(path)
    except InputError:
        raise InputError(
            f"{path}: no label can be read from it; it should be a whole PNG of 8 bits, grey or with a palette, whose "
            f"values are the numbers in {_FORMS[path.parent.name]}: fetch it again, or leave its image out"
        ) from None


def _table(path: Path, target: Target) -> list[int]:
    """What becomes of 0, which has no name, of 1, and so on."""
    numbers = _numbers(path)
    other = labels.VOID if target.background is None else target.background
    classes = {name: index for index, name in enumerate(target.classes) if index != target.background}
    if missing := [name for name in classes if name not in numbers]:
        raise InputError(
            f"{path}: it lacks {len(missing)} of the {len(classes)} classes: {', '.join(missing[:3])}"
            f"{', ...' if len(missing) > 3 else ''}; fetch it again, or labels that have them"
        )
    table = [other] * (1 + max(numbers.values()))
    for name, index in classes.items():
        table[numbers[name]] = index
    return table


def _numbers(path: Path) -> dict[str, int]:
    """The numbers by name, without blanks."""
    numbers: dict[str, int] = {}
    lines = list_files.read(path)
    for line in lines:
        if (found := _LINE.fullmatch(line)) is None:
            raise InputError(f"{path}: the line {line[:60]!r} is no number and name, as `1: accordion`; fetch it again")
        name = re.sub(r"\s", "", found["name"])
        numbers[_SAME.get(name, name)] = int(found["number"])
    if len(numbers) < len(lines) or len(set(numbers.values())) < len(lines):
        raise InputError(f"{path}: a number or a name stands in it twice; fetch it again")
    return numbers
