"""One module per dataset: from its authors' files to arrays; the folder is the registry."""

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from fcn.datasets.facts import Target
from fcn.datasets.labels import palette
from fcn.entries import Dataset
from fcn.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """A picture and its labels, as the dataset's authors have them.

    An input is the file of a picture, which is taken as it is, or an array H W C. A label is H W, 255 = void.
    """

    inputs: Mapping[str, Path | NDArray[Any]]
    labels: Mapping[str, NDArray[np.uint8]]


class Format(Protocol):
    """What a module of this folder offers, or, where words of the dataset's entry decide, its `of(entry)` returns.

    `folders` has a folder for each file or folder that the dataset is read from, by that one's name. A folder holds
    what was wanted in the dataset's own layout, that is, without what `root` found before it.
    """

    INPUTS: Mapping[str, int]
    """Channels by input."""
    TARGETS: Mapping[str, Target]
    """What the pixels are labelled with, where the dataset's entry names no classes."""

    def root(self, members: Sequence[str]) -> str:
        """What stands before the dataset's own layout in member names. Raises InputError where it isn't there."""

    def wanted(self, members: Sequence[str]) -> list[str]:
        """The members that are needed. Raises InputError where something is missing altogether.

        A format whose pictures lie in one file, such as a .mat, wants that file of an archive or folder, and of that
        file itself.
        """

    def lists(self, folders: Mapping[str, Path]) -> Mapping[str, Path | Sequence[str]]:
        """The dataset's own image lists by name: each its file, or the ids."""

    def ids(self, folders: Mapping[str, Path]) -> list[str]:
        """The images that have a label, sorted."""

    def read(self, folders: Mapping[str, Path], image_id: str) -> Original:
        """One of them. Raises InputError for a label that can't be read."""


def names() -> list[str]:
    """The formats there are."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load(name: str) -> Format:
    """The module of the format called `name`."""
    if name not in names():
        raise InputError(f"dataset format {name!r} is unknown; there are {', '.join(names())}")
    return cast(Format, importlib.import_module(f"{__name__}.{name}"))


def reader(entry: Dataset) -> Format:
    """What reads a dataset: its format's module, or what that makes of the entry's words.

    Raises InputError for words that the format doesn't take.
    """
    module = load(entry.format)
    if hasattr(module, "of"):
        return cast(Format, module.of(entry))
    words = (word.name for word in fields(entry) if word.default is None)
    given = [f"`{word}`" for word in words if getattr(entry, word) is not None]
    given += ["values of `classes`"] if isinstance(entry.classes, dict) else []
    if given:
        raise InputError(f"format {entry.format!r} takes no {', '.join(given)}; format folder does")
    return module


def targets(entry: Dataset) -> Mapping[str, Target]:
    """What the pixels of a dataset are labelled with: its format's targets, with the `classes` that the entry names.

    Then the class called background is the background, if there is one, and colours beyond the format's are VOC's.
    Raises InputError for a format with several targets.
    """
    known = reader(entry).TARGETS
    if not entry.classes:
        return known
    if len(known) > 1:
        raise InputError(
            f"format {entry.format!r} has {' and '.join(known)}, each with classes of its own; leave out `classes`"
        )
    ((name, target),) = known.items()
    lower = [title.casefold() for title in entry.classes]
    background = lower.index("background") if "background" in lower else None
    colours = tuple((int(red), int(green), int(blue)) for red, green, blue in palette(target.palette)[: len(lower)])
    return {name: replace(target, classes=tuple(entry.classes), background=background, palette=colours)}
