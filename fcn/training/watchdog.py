"""What goes wrong silently in training, said aloud."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn


class Diverged(RuntimeError):
    """The loss or a weight is not a number any more."""


def check_finite(loss: float, *, iteration: int, rate: float) -> None:
    """Raise Diverged where the loss is NaN or infinite."""
    if not math.isfinite(loss):
        raise _diverged(f"the loss is {loss}", iteration=iteration, rate=rate)


def check_weights(net: nn.Module, *, iteration: int, rate: float) -> None:
    """Raise Diverged where a weight is NaN or infinite: the loss shows it a step later, when it would be saved."""
    for name, parameter in net.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise _diverged(f"{name} holds NaN or infinity", iteration=iteration, rate=rate)


def _diverged(what: str, *, iteration: int, rate: float) -> Diverged:
    return Diverged(
        f"{what} after iteration {iteration} at a rate of {rate:g}: the training diverged. "
        "Lower the recipe's rate (summed losses need rates near 1e-10), or set clip"
    )


def stuck(pixel_loss: float, *, heads: Mapping[str, int], done: float) -> str | None:
    """A warning where, a tenth of the way in, every class of every head is still equally likely; else None."""
    chance = sum(math.log(classes) for classes in heads.values()) / len(heads)
    if done < 0.1 or abs(pixel_loss - chance) > 0.01:
        return None
    return (
        f"the loss stands at {pixel_loss:.4f} = {' and '.join(f'ln {classes}' for classes in heads.values())}: "
        "nothing is learned. Check that the weights were "
        "transplanted, that labels and images belong together, and that the rate isn't far too low"
    )


def one_answer(scores: Tensor, *, done: float) -> str | None:
    """A warning where, a quarter of the way in, N K h w scores answer every pixel with the same class; else None."""
    answers = scores.argmax(1)
    if done < 0.25 or bool((answers != answers.flatten()[0]).any()):
        return None
    return "the net answers one class everywhere in this batch; if that goes on, raise the rate or train longer"
