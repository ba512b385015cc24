"""One module per archive that the sample generator makes: scenes in the true files of a dataset; a registry."""

import importlib
import pkgutil
from pathlib import Path
from typing import Protocol, cast

from fcn.entries import Archive
from fcn.errors import InputError

_WORDS = ("file", "scenes", "train", "val")


class Standin(Protocol):
    """What a module of this folder offers."""

    WORDS: tuple[str, ...]
    """Which of file, scenes, train and val its entry needs; the others it can't have."""

    def write(self, folder: Path, entry: Archive) -> list[str]:
        """Write the files, the same bytes for the same entry, and return their names.

        Raises InputError where counts don't fit each other.
        """


def load(entry: Archive, *, where: str) -> Standin:
    """The module of an entry's format. Raises InputError for an unknown one, and for words that it isn't made of."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    if entry.format not in names:
        raise InputError(f"{where}.format: no sample of {entry.format!r}; there are {', '.join(names)}")
    found = cast(Standin, importlib.import_module(f"{__name__}.{entry.format}"))
    given = {word for word in _WORDS if getattr(entry, word) is not None}
    if given != set(found.WORDS):
        others = f"; leave out {', '.join(sorted(more))}" if (more := given - set(found.WORDS)) else ""
        raise InputError(f"{where}: a sample of {entry.format} needs {' and '.join(found.WORDS)}{others}")
    return found
