"""Softmax loss of upsampled scores and its gradient, in one pass over strips of rows: none holds all pixels' scores."""

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from fcn.datasets.labels import VOID
from fcn.nets.strips import numbers, strips
from fcn.nets.upsampling import Upsampling, precise, without_autocast


def summed_in_strips(up: Upsampling, scores: Tensor, labels: Tensor, *, offset: int) -> Tensor:
    """N K h w scores, N H W int64 or uint8 labels -> `mean.summed` of the scores upsampled by `up`, fixed, and cropped.

    In the scores' precision, float32 or better; each strip is summed, and then the strips.
    """
    found: Tensor = _InStrips.apply(precise(scores), labels, up, offset)
    return found


class _InStrips(torch.autograd.Function):
    """The gradient of a pixel's loss is its softmax minus its truth: both are at hand when the loss is."""

    @staticmethod
    def forward(ctx: FunctionCtx, scores: Tensor, labels: Tensor, up: Upsampling, offset: int) -> Tensor:
        height, width = labels.shape[1:]
        along_y, along_x = up.axes(scores, offset=offset, size=(height, width))
        pictures = max(1, numbers(scores) // (scores.shape[1] * height * width))  # at once
        total, gradients = scores.new_zeros(()), []
        with without_autocast(scores.device.type):
            for some, truths in zip(torch.split(scores, pictures), torch.split(labels, pictures), strict=True):
                columns = some.permute(2, 0, 1, 3).contiguous() @ along_x.T  # h N K W
                gradient = torch.zeros_like(columns)
                for rows, units in strips(up, some, offset=offset, size=(height, width)):
                    weights = along_y[rows, units]
                    upsampled = (weights @ columns[units].flatten(1)).view(-1, *columns.shape[1:])
                    total += _loss_into_gradient(upsampled, truths[:, rows].transpose(0, 1)[:, :, None])
                    gradient[units] += (weights.T @ upsampled.flatten(1)).view(-1, *columns.shape[1:])
                gradients.append((gradient @ along_x).permute(1, 2, 0, 3))
        ctx.save_for_backward(torch.cat(gradients))
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, upstream: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient,) = ctx.saved_tensors  # type: ignore[attr-defined]  # torch's stubs lack it
        return gradient * upstream, None, None, None


def _loss_into_gradient(scores: Tensor, labels: Tensor) -> Tensor:
    """H N K W scores, which become their gradient, and H N 1 W labels -> the loss, summed over what isn't void."""
    valid = labels != VOID
    truths = labels.long().where(valid, 0)
    scores -= scores.amax(2, keepdim=True)
    own = scores.gather(2, truths)
    sums = scores.exp_().sum(2, keepdim=True)
    scores *= valid / sums
    scores.scatter_add_(2, truths, -valid.to(scores.dtype))
    return ((sums.log() - own) * valid).sum()
