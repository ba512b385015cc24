"""One module per kind of pretrained weights file; the folder is the registry."""

import importlib
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, cast

from torch import Tensor

from fcn.errors import InputError
from fcn.shape import Backbone, Net


class Reader(Protocol):
    """What a module of this folder offers."""

    def preprocessing(self, backbone: Backbone) -> str | None:
        """The preset that weights of this kind were trained with; None where the file alone decides."""

    def load(self, path: Path, *, backbone: Backbone) -> dict[str, Tensor]:
        """The file's tensors under this project's names, float32; InputError if they don't fit `backbone`.

        Names are torchvision's, of the backbone's classifier, or where the file holds an FCN, those of fcn.nets.fcn.
        """

    def net(self, state: Mapping[str, Tensor], *, backbone: Backbone) -> Net | None:
        """The FCN that `state` is of; None for a classifier."""


def kinds() -> list[str]:
    """The kinds that can be read."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def reader(kind: str) -> Reader:
    """The module that reads weights of `kind`."""
    if kind not in kinds():
        raise InputError(f"weights kind {kind!r} is unknown; there are {', '.join(kinds())}")
    return cast(Reader, importlib.import_module(f"{__name__}.{kind}"))
