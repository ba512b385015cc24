"""One module per dataset: from its authors' files to arrays; the folder is the registry."""

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from fcn.datasets.facts import Target
from fcn.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """A picture and its labels, as the dataset's authors have them.

    An input is the file of a picture, which is taken as it is, or an array H W C. A label is H W, 255 = void.
    """

    inputs: Mapping[str, Path | NDArray[Any]]
    labels: Mapping[str, NDArray[np.uint8]]


class Format(Protocol):
    """What a module of this folder offers.

    `folders` has a folder for each file or folder that the dataset is read from, by that one's name. A folder holds
    what was wanted in the dataset's own layout, that is, without what `root` found before it.
    """

    INPUTS: Mapping[str, int]
    """Channels by input."""
    TARGETS: Mapping[str, Target]
    """What the pixels are labelled with."""

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
