"""Per-pixel softmax loss without the void pixels (CVPR section 4.3)."""

from typing import Literal

from torch import Tensor
from torch.nn.functional import cross_entropy

from fcn.datasets.labels import VOID


def summed_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """N K H W float scores, N H W int64 labels -> the sum over all pixels that aren't void."""
    return cross_entropy(scores, labels, ignore_index=VOID, reduction="sum")


def normaliser(labels: Tensor, loss: Literal["mean", "sum"]) -> Tensor | int:
    """What the sum is divided by: the valid pixels, or, unnormalised as in the reference release, the images."""
    return valid_pixels(labels).clamp(min=1) if loss == "mean" else len(labels)


def valid_pixels(labels: Tensor) -> Tensor:
    """How many pixels aren't void."""
    return (labels != VOID).sum()
