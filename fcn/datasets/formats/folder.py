"""A person's own pictures and labels in folders, as the words of the dataset's entry describe them."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import ImageOps

from fcn.datasets import labels, mat, modes, tree
from fcn.datasets.facts import Target
from fcn.datasets.formats import Original
from fcn.entries import Dataset, Value
from fcn.errors import InputError

_NAMED = 5  # values that a message names


@dataclass(frozen=True, slots=True, kw_only=True)
class _Where:
    """Files that begin with a path and end with one of the suffixes; what is between the two is the picture's id."""

    start: str
    suffixes: tuple[str, ...]

    def among(self, members: Collection[str]) -> dict[str, str]:
        """The members that are such files, by id."""
        return tree.by_id(members, self.start, suffixes=self.suffixes)

    def inside(self, folder: Path) -> dict[str, str]:
        """The files there are, by id; a folder that isn't there has none."""
        top = self.start.rpartition("/")[0]
        return self.among([path.relative_to(folder).as_posix() for path in (folder / top).glob("*")])

    def file(self, folder: Path, image_id: str) -> Path:
        """The file of an id."""
        return tree.file(folder, f"{self.start}{image_id}", suffixes=self.suffixes)

    def __str__(self) -> str:
        return f"{self.start}*{self.suffixes[0]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """The format of one dataset.

    `table` has the class of each number in labels, or, where they are `coloured`, of each colour as the number
    R * 2^16 + G * 2^8 + B; that of void has 255. `variable` is where a .mat has its label.
    """

    INPUTS: ClassVar[Mapping[str, int]] = {"rgb": 3}
    TARGETS: Mapping[str, Target]
    pictures: _Where
    labels: _Where
    listed: _Where
    table: Mapping[int, int]
    coloured: bool
    variable: str | None

    def root(self, members: Sequence[str]) -> str:
        """What stands before the folder of the labels in member names, or nothing."""
        ending = "|".join(map(re.escape, self.labels.suffixes))
        sign = re.compile(rf"(?P<root>.*/)?{re.escape(self.labels.start)}(?!\.)[^/]+({ending})")
        smeared = re.compile(rf"(.*/)?{re.escape(self.labels.start)}(?!\.)[^/]+\.jpe?g", re.IGNORECASE)
        no_label = len(self.labels.suffixes) > 1 and not any(map(sign.fullmatch, members))  # in the folder of them
        if no_label and (found := next(filter(smeared.fullmatch, members), None)):
            raise InputError(f"{found}: {labels.REMEDY}")
        return tree.root(members, sign=sign, dataset="such", layout=f"{self.pictures} and {self.labels}")

    def wanted(self, members: Sequence[str]) -> list[str]:
        """Lists, labels and pictures, those without a label too. Raises InputError where there is no picture at all."""
        start = self.root(members)
        inside = [member.removeprefix(start) for member in members if member.startswith(start)]
        masks = self.labels.among(inside)
        pictures = self._pictures(inside)
        if not pictures.keys() & masks.keys():
            raise InputError(
                f"none of the {len(masks)} labels {self.labels} has a picture {self.pictures}; `*` is the same in "
                f"both: found are {min(masks.values())} and {min(pictures.values(), default='no picture')}"
            )
        return [start + member for found in (self.listed.among(inside), masks, pictures) for member in found.values()]

    def lists(self, folders: Mapping[str, Path]) -> Mapping[str, Path | Sequence[str]]:
        """A person's own, by name, and `pictures`, which tells of those without a label."""
        (folder,) = folders.values()
        inside = {*self.pictures.inside(folder).values(), *self.labels.inside(folder).values()}
        own = {name: folder / member for name, member in sorted(self.listed.inside(folder).items())}
        return {"pictures": sorted(self._pictures(inside)), **own}

    def _pictures(self, inside: Collection[str]) -> dict[str, str]:
        """The pictures by id; what is a label, in the same folder, is none."""
        masks = set(self.labels.among(inside).values())
        return self.pictures.among([member for member in inside if member not in masks])

    def ids(self, folders: Mapping[str, Path]) -> list[str]:
        """The images that have a label."""
        (folder,) = folders.values()
        return sorted(self.labels.inside(folder))

    def read(self, folders: Mapping[str, Path], image_id: str) -> Original:
        """The picture, and the indices of the classes that its label's numbers or colours are.

        Raises InputError for a label that can't be read, and for numbers or colours that are no class and not void.
        """
        (folder,) = folders.values()
        path = self.labels.file(folder, image_id)
        label = self._indices(self._pixels(path), path=path)
        return Original(inputs={"rgb": self.pictures.file(folder, image_id)}, labels={"semantic": label})

    def _pixels(self, path: Path) -> NDArray[Any]:
        """H W: the numbers in a file, or its colours as one number each."""
        if path.suffix != ".mat":
            return _packed(_colours(path)) if self.coloured else labels.read(path, colours=())
        if self.variable is None or self.coloured:
            raise InputError(f"{path}: in a .mat are numbers; write its label's name as `variable`, and no colours")
        return mat.label(path, self.variable, dataset="the folder")

    def _indices(self, pixels: NDArray[Any], *, path: Path) -> NDArray[np.uint8]:
        """H W -> H W: the class of each."""
        known = np.array(sorted(self.table))
        nearest = np.searchsorted(known, pixels).clip(max=len(known) - 1)
        if (foreign := pixels[known[nearest] != pixels]).size:
            raise InputError(f"{path}: {self._refused(foreign)}")
        indices: NDArray[np.uint8] = np.array([self.table[number] for number in known.tolist()], np.uint8)[nearest]
        return indices

    def _refused(self, foreign: NDArray[Any]) -> str:
        """What pixels have that are no class, and what they may have, in words."""
        found, counts = np.unique(foreign, return_counts=True)
        most, *allowed = (
            str([number >> 16, number >> 8 & 255, number & 255] if self.coloured else number)
            for number in (int(found[counts.argmax()]), *self.table)
        )
        others = f", and {rest:,} other{'s' * (rest > 1)}" if (rest := len(found) - 1) else ""
        more = f" and {len(allowed) - _NAMED} more" if len(allowed) > _NAMED else ""
        have = "pixels have" if foreign.size > 1 else "pixel has"
        return (
            f"{foreign.size:,} {have} a {'colour' if self.coloured else 'number'} that is no class and not void: "
            f"{most} in {counts.max():,}{others}; allowed are {', '.join(allowed[:_NAMED])}{more}: write it into "
            "`classes`, or as `void`, or mend the label (resizing or saving with smoothing makes such values)"
        )


def of(entry: Dataset) -> Folder:
    """The format of a dataset. Raises InputError for words that say nothing, or one that is missing."""
    if not entry.classes:
        raise InputError("format 'folder' has no classes of its own; write `classes`, such as [background, cat, dog]")
    if isinstance(entry.classes, dict):
        by_class = entry.classes
    else:
        numbers = (number for number in count() if number != entry.void)
        by_class = dict(zip(entry.classes, numbers, strict=False))
    colours = tuple(value for value in by_class.values() if isinstance(value, tuple))
    table = {_number(value): index for index, value in enumerate(by_class.values())}
    if entry.void is not None:
        table[_number(entry.void)] = labels.VOID
    elif not colours:
        table.setdefault(labels.VOID, labels.VOID)
    return Folder(
        TARGETS={"semantic": Target(classes=tuple(by_class), background=None, average="seen", palette=colours)},
        pictures=_where("pictures", entry.pictures, tree.PICTURES),
        labels=_where("labels", entry.labels, (*tree.MASKS, ".mat")),
        listed=_where("lists", entry.lists, (".txt",)),
        table=table,
        coloured=bool(colours),
        variable=entry.variable,
    )


def _where(word: str, given: str | None, suffixes: tuple[str, ...]) -> _Where:
    """Of a folder all files with these suffixes; or those of one pattern, whose * is the picture's id."""
    start, star, suffix = (given or word).partition("*")
    if ".." in start.split("/") or start.startswith("/"):
        raise InputError(f"{word}: {given!r} leads out of `from`; write a folder in it, or a `from` further up")
    if not star:
        return _Where(start=f"{start.rstrip('/')}/", suffixes=suffixes)
    if not suffix.endswith(suffixes) or set(suffix) & set("/*"):
        raise InputError(
            f"{word}: {given!r} is no folder, and no pattern with one * for the id, such as {word}/*{suffixes[0]}; "
            f"allowed are files {', '.join(suffixes)}"
            + (f": {labels.REMEDY}" if word == "labels" and suffix.lower().endswith((".jpg", ".jpeg")) else "")
        )
    return _Where(start=start, suffixes=(suffix,))


def _colours(path: Path) -> NDArray[np.uint8]:
    """H W 3: the very colours of a PNG, whose pixels are all opaque."""
    try:
        with modes.opened(path, formats=("PNG",), remedy=labels.REMEDY) as image:
            if modes.frames(image) > 1:
                raise InputError(f"it has {modes.frames(image)} frames; save the one that is its picture's label")
            if image.mode not in ("RGB", "RGBA", "P", "L", "LA", "1"):
                raise InputError(f"its pixels have more than 8 bits (mode {image.mode}); save its colours with 8")
            if image.mode in ("RGBA", "LA") and image.getextrema()[-1] != (255, 255):
                raise InputError("it has pixels that are transparent, whose colour nobody sees; save it without")
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))  # as viewers show it
    except FileNotFoundError:
        raise InputError(f"{path}: no such label; every listed image needs one") from None


def _packed(colours: NDArray[np.uint8]) -> NDArray[np.int64]:
    """H W 3 -> H W: a number for each colour."""
    numbers: NDArray[np.int64] = colours.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])
    return numbers


def _number(value: Value) -> int:
    return int.from_bytes(value) if isinstance(value, tuple) else value
