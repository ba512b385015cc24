"""One module per classification network; the folder is the registry.

Each offers `classifier(...)`, torchvision's network at any width, `trunk(classifier, dropout=...)`, its layers made
convolutional, and `dense(classifier)`, the trunk with the classifier's own last layer on top.
"""

import importlib
import pkgutil
from typing import Protocol, cast

from torch import nn

from fcn.errors import InputError
from fcn.nets import lazy_torchvision
from fcn.nets.trunk import Trunk

lazy_torchvision.defer()


class BackboneModule(Protocol):
    """What a module of this folder offers."""

    FULLY_CONNECTED: dict[str, str]
    """Classifier layer -> trunk layer, where the name changes."""

    def classifier(self, *, width: float, fc: int, input_px: int, classes: int) -> nn.Module:
        """The classification network: N 3 input_px input_px -> N classes."""

    def trunk(self, classifier: nn.Module, *, dropout: float) -> Trunk:
        """Its layers made convolutional; parameters are shared with `classifier`."""

    def head(self, classifier: nn.Module) -> nn.Sequential:
        """What the classifier does after the trunk, made convolutional."""


def names() -> list[str]:
    """The architectures there are."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load(name: str) -> BackboneModule:
    """The module of the architecture called `name`."""
    if name not in names():
        raise InputError(f"backbone architecture {name!r} is unknown; there are {', '.join(names())}")
    return cast(BackboneModule, importlib.import_module(f"{__name__}.{name}"))
