"""Bilinear upsampling by an integer factor: fixed, or learned from the same start (CVPR section 3.3)."""

from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache

import torch
from torch import Tensor, nn

from fcn.nets.geometry import Geometry, upsampling


def bilinear_kernel(size: int) -> Tensor:
    """The tent of `size` taps that interpolates by a factor of (size + 1) // 2; float64, shape (size,).

    Even sizes 2f and odd sizes 2f - 1 are the two that upsample by f (reference release, `surgery.py`).
    """
    return 1 - (torch.arange(size, dtype=torch.float64) - _centre(size)).abs() / ((size + 1) // 2)


def _centre(size: int) -> float:
    """The tap in a tent's middle."""
    return (size - 1) / 2


def _matrix(
    units: int, factor: int, kernel: int, offset: int, size: int, like: tuple[torch.dtype, torch.device]
) -> Tensor:
    """Rows offset .. offset + size of the transposed convolution along one axis, as a (size, units) matrix.

    Made where it is used, from nothing that the host has to send.
    """
    reach = (units - 1) * factor + kernel
    if offset + size > reach:
        raise ValueError(f"{units} units upsampled by {factor} reach {reach} px, not {offset + size}")
    dtype, device = like
    pixels = torch.arange(offset, offset + size, dtype=torch.float64, device=device)
    centres = torch.arange(units, dtype=torch.float64, device=device) * factor + _centre(kernel)
    return (1 - (pixels[:, None] - centres).abs_() / factor).clamp_(min=0).to(dtype)


# What a prediction puts into the cache, a training step takes out.
_kept_matrix = lru_cache(maxsize=1024)(torch.inference_mode(False)(_matrix))


def without_autocast(device: str) -> AbstractContextManager[None]:
    """Layers compute as precisely as what they are given, whatever autocast says around them."""
    return torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext()


def precise(tensor: Tensor) -> Tensor:
    """float32, or the float64 that it is."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()


class Upsampling(nn.Module):
    """Upsampling of N C h w scores by `factor`, cropped: N C h w -> N C *size.

    Fixed, it has no parameters and interpolates each axis by a matrix product, which gives what the C x C transposed
    convolution with bilinear kernels on its diagonal gives. Learned, it is that convolution, and starts from there.
    """

    def __init__(self, classes: int, *, factor: int, kernel: int, learned: bool) -> None:
        super().__init__()
        self.factor, self.kernel = factor, kernel
        self.weight: nn.Parameter | None
        if learned:
            tent = bilinear_kernel(kernel).float()
            weight = torch.zeros(classes, classes, kernel, kernel)
            weight[range(classes), range(classes)] = torch.outer(tent, tent)
            self.weight = nn.Parameter(weight)
        else:
            self.register_parameter("weight", None)

    @property
    def geometry(self) -> Geometry:
        """The map from its output grid to its input grid."""
        return upsampling(self.kernel, self.factor)

    def full_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width of the uncropped output for an input of `size`."""
        return (size[0] - 1) * self.factor + self.kernel, (size[1] - 1) * self.factor + self.kernel

    def axes(self, scores: Tensor, *, offset: int, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """The matrices, (height, h) and (width, w), that interpolate N C h w scores along each axis.

        Kept for the next time, but for a CUDA graph, which makes its own: it outlives what the cache keeps.
        """
        like = (scores.dtype, scores.device)
        recorded = scores.is_cuda and torch.cuda.is_current_stream_capturing()
        matrix = _matrix if recorded else _kept_matrix
        height, width = (
            matrix(units, self.factor, self.kernel, offset, reach, like)
            for units, reach in zip(scores.shape[2:], size, strict=True)
        )
        return height, width

    def forward(self, scores: Tensor, *, offset: int, size: tuple[int, int]) -> Tensor:
        """N C h w -> N C size; rows and columns from `offset` on. In float32 or better, whatever autocast says."""
        with without_autocast(scores.device.type):
            scores = precise(scores)
            if self.weight is not None:
                full = nn.functional.conv_transpose2d(scores, self.weight, stride=self.factor)
                reach = (full.shape[2] - offset, full.shape[3] - offset)
                if reach < size or reach[1] < size[1]:
                    raise ValueError(f"the upsampled scores reach {reach} px, not {size}")
                return full[:, :, offset : offset + size[0], offset : offset + size[1]]
            along_y, along_x = self.axes(scores, offset=offset, size=size)
            return along_y @ (scores.contiguous() @ along_x.T)
