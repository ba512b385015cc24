"""Softmax loss, the mean over a forward pass's valid pixels (CVPR section 4.3)."""

from torch import Tensor
from torch.nn.functional import cross_entropy

from fcn.datasets.labels import VOID
from fcn.training.losses import valid_pixels
from fcn.training.losses._in_strips import summed_in_strips

__all__ = ["normaliser", "recordable", "summed", "summed_in_strips"]

recordable = True


def summed(scores: Tensor, labels: Tensor) -> Tensor:
    """N K H W float scores, N H W int64 or uint8 labels -> the sum over all pixels that aren't void."""
    return cross_entropy(scores, labels.long(), ignore_index=VOID, reduction="sum")


def normaliser(labels: Tensor) -> Tensor:
    """The valid pixels."""
    return valid_pixels(labels).clamp(min=1)
