"""One module per loss; the folder is the registry, and a recipe's `loss` the name."""

import importlib
import pkgutil
from typing import Protocol, cast

from torch import Tensor

from fcn.datasets.labels import VOID
from fcn.errors import InputError
from fcn.nets.fcn import Head


class Loss(Protocol):
    """What a module of this folder offers. Void pixels never count.

    It may have `summed_in_strips` besides, which gives the same from scores before their last upsampling, and say by
    `recordable = True` that CUDA graphs may hold it: what it computes depends on its tensors alone, and waits for none.
    """

    def summed(self, scores: Tensor, labels: Tensor) -> Tensor:
        """N K H W float scores, N H W int64 or uint8 labels -> the loss, summed over what it counts."""

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


def is_recordable(loss: Loss) -> bool:
    """Whether it says that CUDA graphs may hold it."""
    return getattr(loss, "recordable", False) is True


def summed_over_pixels(loss: Loss, head: Head, scores: Tensor, labels: Tensor, *, plain: bool) -> Tensor:
    """A head's coarse scores, N K h w, and N H W labels -> the loss, summed over what it counts.

    In strips of rows where the loss can and the upsampling is fixed; else, or `plain`, from the scores of all pixels.
    """
    in_strips = getattr(loss, "summed_in_strips", None)
    if plain or in_strips is None or head.upscore.weight is not None:
        return loss.summed(head.upsampled(scores, (labels.shape[1], labels.shape[2])), labels)
    found: Tensor = in_strips(head.upscore, scores, labels, offset=head.offsets[1])
    return found


def valid_pixels(labels: Tensor) -> Tensor:
    """How many pixels aren't void."""
    return (labels != VOID).sum()
