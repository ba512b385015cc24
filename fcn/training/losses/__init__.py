"""One module per loss; the folder is the registry, and a recipe's `loss` the name."""

import importlib
import pkgutil
from typing import Protocol, cast

from torch import Tensor

from fcn.datasets.labels import VOID
from fcn.errors import InputError


class Loss(Protocol):
    """What a module of this folder offers. Void pixels never count."""

    def summed(self, scores: Tensor, labels: Tensor) -> Tensor:
        """N K H W float scores, N H W int64 labels -> the loss, summed over what it counts."""

    def normaliser(self, labels: Tensor) -> Tensor | int:
        """What the sum of one forward pass is divided by; of the whole pass, also where that is cut into pieces."""


def names() -> list[str]:
    """The losses there are."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))


def load(name: str) -> Loss:
    """The loss called `name`."""
    if name not in names():
        raise InputError(f"loss {name!r} is unknown; there are {', '.join(names())}")
    return cast(Loss, importlib.import_module(f"{__name__}.{name}"))


def valid_pixels(labels: Tensor) -> Tensor:
    """How many pixels aren't void."""
    return (labels != VOID).sum()
