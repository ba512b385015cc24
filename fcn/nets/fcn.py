"""The fully convolutional network, for every backbone and stride (CVPR section 4, figure 3)."""

from typing import Literal

import torch
from torch import Tensor, nn

from fcn.config import Backbone
from fcn.nets import backbones
from fcn.nets.geometry import IMAGE, Geometry, crop_offset
from fcn.nets.upsampling import Upsampling

# What the at-once nets multiply pool4 and pool3 by before they score them (reference release, voc-fcn8s-atonce).
AT_ONCE_SCALES = {16: 0.01, 8: 0.0001}


class FCN(nn.Module):
    """N 3 H W images -> N K H W scores, at any H and W.

    The trunk's last map is scored, upsampled by 2 and summed with the scored map of the next finer stride until
    `stride` is reached, then upsampled to the image. Every crop offset is derived from the layers' geometry.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        classes: int,
        stride: Literal[32, 16, 8],
        skips: Literal["none", "staged", "atonce", "atonce-unscaled"],
        pad: int | Literal["same"],
        upsampling: Literal["fixed", "intermediate", "all"],
    ) -> None:
        super().__init__()
        architecture = backbones.load(backbone.architecture)
        classifier = architecture.classifier(
            width=backbone.width, fc=backbone.fc, input_px=backbone.input_px, classes=2
        )
        self.trunk = architecture.trunk(classifier, dropout=backbone.dropout)
        self.trunk.pad(pad)
        self.score_fr = _score_layer(self.trunk.channels[32], classes)
        self.skip_strides = [tap for tap in (16, 8) if tap >= stride]
        self.scales = {tap: AT_ONCE_SCALES[tap] if skips == "atonce" else 1.0 for tap in self.skip_strides}
        self.offsets: dict[int, int] = {}
        grid = self.trunk.geometry(32)
        for tap in self.skip_strides:
            name = _skip_name(tap)
            self.add_module(f"score_{name}", _score_layer(self.trunk.channels[tap], classes))
            finer = self.trunk.geometry(tap)
            up, grid = _aligned(grid, finer, classes=classes, factor=2, learned=upsampling != "fixed")
            self.add_module(f"upscore_{name}", up)
            self.offsets[tap] = crop_offset(finer, grid)
            grid = grid if self.offsets[tap] >= 0 else finer
        self.upscore, grid = _aligned(grid, IMAGE, classes=classes, factor=stride, learned=upsampling == "all")
        self.offsets[1] = crop_offset(grid, IMAGE)
        self.train()  # as every new module is, but for its batch normalisation

    def train(self, mode: bool = True) -> "FCN":
        """Switch dropout; batch normalisation, where a backbone has it, keeps the classifier's statistics."""
        super().train(mode)
        for layer in self.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.eval()
        return self

    def coarse_scores(self, images: Tensor) -> Tensor:
        """N 3 H W -> N K h w: the scores on the grid of the net's stride, before the last upsampling."""
        maps = self.trunk(images)
        scores: Tensor = self.score_fr(maps[32])
        for tap in self.skip_strides:
            name = _skip_name(tap)
            up, score = self.get_submodule(f"upscore_{name}"), self.get_submodule(f"score_{name}")
            assert isinstance(up, Upsampling)
            finer: Tensor = score(maps[tap] * self.scales[tap])
            full, offset = up.full_size((scores.shape[2], scores.shape[3])), self.offsets[tap]
            below, above = max(offset, 0), max(-offset, 0)  # the map that starts first is cropped, and then the longer
            height = min(finer.shape[2] - below, full[0] - above)
            width = min(finer.shape[3] - below, full[1] - above)
            finer = finer[:, :, below : below + height, below : below + width]
            scores = up(scores, offset=above, size=(height, width)) + finer
        return scores

    def forward(self, images: Tensor) -> Tensor:
        """N 3 H W -> N K H W."""
        scores: Tensor = self.upscore(
            self.coarse_scores(images), offset=self.offsets[1], size=(images.shape[2], images.shape[3])
        )
        return scores

    def on(self, device: torch.device) -> "FCN":
        """The same network on `device`, its convolutions in the memory order that is fastest there."""
        return self.to(device=device).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def predict(self, images: Tensor) -> Tensor:
        """N 3 H W -> N H W uint8: the class of every pixel."""
        scores: Tensor = self(images)
        return scores.argmax(1).to(torch.uint8)


def _skip_name(tap: int) -> str:
    return {16: "pool4", 8: "pool3"}[tap]


def _score_layer(channels: int, classes: int) -> nn.Conv2d:
    """A 1x1 convolution that starts at zero: random starts are no better and no faster (CVPR section 4.1)."""
    layer = nn.Conv2d(channels, classes, 1)
    nn.init.zeros_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


def _aligned(
    coarse: Geometry, fine: Geometry, *, classes: int, factor: int, learned: bool
) -> tuple[Upsampling, Geometry]:
    """The upsampling whose output falls onto the grid of `fine`: kernel 2f, or 2f - 1 where that is half a unit off."""
    for kernel in (2 * factor, 2 * factor - 1):
        up = Upsampling(classes, factor=factor, kernel=kernel, learned=learned)
        grid = coarse.then(up.geometry)
        if ((fine.centre_px - grid.centre_px) / grid.stride_px).denominator == 1:
            return up, grid
    raise ValueError(f"no bilinear kernel of factor {factor} aligns a grid at {coarse.centre_px} with {fine.centre_px}")
