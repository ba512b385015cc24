"""Upsamplings of small maps of scores and crops of them, made up by hypothesis."""

from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor

from fcn.nets.upsampling import Upsampling


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """float64 scores, N K h w, and what of them, upsampled, is the image."""

    up: Upsampling
    scores: Tensor
    offset: int
    size: tuple[int, int]

    def upsampled(self, scores: Tensor) -> Tensor:
        """N K h w -> N K *size."""
        found: Tensor = self.up(scores, offset=self.offset, size=self.size)
        return found


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """From one pixel up: of one strip or several, of pictures one by one or together, of classes that win or don't."""
    factor = draw(st.sampled_from((8, 16, 32)))
    images, h, w = (draw(st.integers(1, most)) for most in (3, 4, 4))
    classes = draw(st.sampled_from((1, 2, 5, 60)))
    up = Upsampling(classes, factor=factor, kernel=2 * factor - draw(st.integers(0, 1)), learned=False)
    full = up.full_size((h, w))
    offset = draw(st.integers(0, min(full) - 1))
    size = tuple(reach - offset - draw(st.integers(0, reach - offset - 1)) for reach in full)
    generator = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    apart = draw(st.sampled_from((0, 20)))
    means = torch.randn(classes, 1, 1, dtype=torch.float64, generator=generator) * apart
    scores = torch.randn(images, classes, h, w, dtype=torch.float64, generator=generator) * 5 + means
    return Case(up=up, scores=scores, offset=offset, size=(size[0], size[1]))
