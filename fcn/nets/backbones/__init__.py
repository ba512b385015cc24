"""One module per classification network; the folder is the registry.

Each offers `classifier(...)`, torchvision's network at any width, `trunk(classifier, dropout=...)`, its layers made
convolutional, and `dense(classifier)`, the trunk with the classifier's own last layer on top.
"""

import importlib
import pkgutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Protocol, cast

from torch import nn

from fcn.errors import InputError
from fcn.nets.trunk import Trunk


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
    with _few_of_torchvision():
        return cast(BackboneModule, importlib.import_module(f"{__name__}.{name}"))


_few: dict[str, ModuleType] = {}


@contextmanager
def _few_of_torchvision() -> Iterator[None]:
    """Let `torchvision.models.NAME` be imported without all else that torchvision's packages import.

    That is its operators for boxes, and with these torch's compiler: 1.2 s of the 3 s that a stage took to start.
    Whoever else imports torchvision has it whole.
    """
    whole = _taken_out()
    if not _few:
        spec = find_spec("torchvision")
        assert spec is not None
        assert spec.submodule_search_locations is not None
        for name in ("torchvision", "torchvision.models"):
            _few[name] = ModuleType(name)
            _few[name].__path__ = [str(Path(*spec.submodule_search_locations, *name.split(".")[1:]))]
    sys.modules.update(_few)
    try:
        yield
    finally:
        _few.update(_taken_out())
        sys.modules.update(whole)


def _taken_out() -> dict[str, ModuleType]:
    names = [name for name in sys.modules if name.partition(".")[0] == "torchvision"]
    return {name: sys.modules.pop(name) for name in names}
