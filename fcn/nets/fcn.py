"""The fully convolutional network, for every backbone, stride and number of heads (CVPR section 4, figure 3)."""

from collections import defaultdict
from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from fcn.nets import backbones, large, strips
from fcn.nets.geometry import IMAGE, Geometry, crop_offset
from fcn.nets.trunk import Trunk
from fcn.nets.upsampling import Upsampling, precise, without_autocast
from fcn.shape import Net


class Head(nn.Module):
    """One target's scores: score layers over the trunk's maps, summed from coarse to fine, upsampled to the image.

    The trunk's last map is scored, upsampled by 2 and summed with the scored map of the next finer stride until the
    net's own is reached. Every crop offset is derived from the layers' geometry.
    """

    def __init__(self, trunk: Trunk, net: Net, *, classes: int) -> None:
        super().__init__()
        self.taps = net.taps
        self.scales: dict[int, float] = {tap: net.scales.get(tap, 1.0) for tap in net.taps}
        self.score_fr = _score_layer(trunk.channels[32], classes)
        self.offsets: dict[int, int] = {}
        grid = trunk.geometry(32)
        for tap in self.taps:
            name = _skip_name(tap)
            self.add_module(f"score_{name}", _score_layer(trunk.channels[tap], classes))
            finer = trunk.geometry(tap)
            up, grid = _aligned(grid, finer, classes=classes, factor=2, learned=net.upsampling != "fixed")
            self.add_module(f"upscore_{name}", up)
            self.offsets[tap] = crop_offset(finer, grid)
            grid = grid if self.offsets[tap] >= 0 else finer
        self.upscore, grid = _aligned(grid, IMAGE, classes=classes, factor=net.stride, learned=net.upsampling == "all")
        self.offsets[1] = crop_offset(grid, IMAGE)

    def coarse_scores(self, maps: Mapping[int, Tensor]) -> Tensor:
        """The trunk's maps by stride -> N K h w: the scores on the grid of the net's stride.

        In float32 or better: what a bfloat16 has of digits is too little to tell classes apart by.
        """
        return self.summed({stride: self.scored(stride, maps[stride]) for stride in (32, *self.taps)})

    def scored(self, stride: int, rows: Tensor) -> Tensor:
        """All or some rows of the trunk's map of a stride -> the scores of its units, by its own score layer."""
        with without_autocast(rows.device.type):
            score = self.score_fr if stride == 32 else self.get_submodule(f"score_{_skip_name(stride)}")
            scores: Tensor = score(precise(rows) * self.scales.get(stride, 1.0))
        return scores

    def summed(self, scored: Mapping[int, Tensor]) -> Tensor:
        """The scores of the maps by stride, from coarse to fine -> N K h w on the grid of the net's stride."""
        scores = scored[32]
        for tap in self.taps:
            up, finer = self.get_submodule(f"upscore_{_skip_name(tap)}"), scored[tap]
            assert isinstance(up, Upsampling)
            full, offset = up.full_size((scores.shape[2], scores.shape[3])), self.offsets[tap]
            below, above = max(offset, 0), max(-offset, 0)  # the map that starts first is cropped, and then the longer
            height = min(finer.shape[2] - below, full[0] - above)
            width = min(finer.shape[3] - below, full[1] - above)
            finer = finer[:, :, below : below + height, below : below + width]
            scores = up(scores, offset=above, size=(height, width)) + finer
        return scores

    def upsampled(self, scores: Tensor, size: tuple[int, int]) -> Tensor:
        """Coarse scores -> N K *size."""
        found: Tensor = self.upscore(scores, offset=self.offsets[1], size=size)
        return found

    def inside(self, scores: Tensor, size: tuple[int, int]) -> Tensor:
        """Those of coarse scores that have a part in an image of `size`; some lie wholly in its padding."""
        return strips.inside(self.upscore, scores, offset=self.offsets[1], size=size)

    def answers(self, scores: Tensor, size: tuple[int, int], *, plain: bool) -> Tensor:
        """Coarse scores -> N *size uint8: the class of every pixel, `plain` by way of its upsampled scores."""
        if plain or self.upscore.weight is not None:
            return self.upsampled(scores, size).argmax(1).to(torch.uint8)
        return strips.classes(self.upscore, precise(scores), offset=self.offsets[1], size=size)


class FCN(nn.Module):
    """Images by input, N C H W -> scores by target, N K H W, at any H and W.

    `plain`, it computes everything as it is defined, which the faster ways are held to.
    """

    def __init__(self, net: Net, *, plain: bool = False) -> None:
        super().__init__()
        self.net, self.plain = net, plain
        self.streams = nn.ModuleDict({name: FCN(stream, plain=plain) for name, stream in net.streams.items()})
        if not self.streams:
            backbone = net.backbone
            architecture = backbones.load(backbone.architecture)
            classifier = architecture.classifier(
                width=backbone.width, fc=backbone.fc, input_px=backbone.input_px, classes=2
            )
            self.trunk = architecture.trunk(classifier, dropout=backbone.dropout)
            self.trunk.see(net.inputs)
            self.trunk.pad(net.pad)
            self.heads = nn.ModuleDict(
                {target: Head(self.trunk, net, classes=classes) for target, classes in net.heads.items()}
            )
        self.train()  # as every new module is, but for its batch normalisation

    def train(self, mode: bool = True) -> "FCN":
        """Switch dropout; batch normalisation, where a backbone has it, keeps the classifier's statistics."""
        super().train(mode)
        for layer in self.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.eval()
        return self

    def _streams(self) -> "list[FCN]":
        """The nets whose scores are averaged: itself, where it has one trunk."""
        return [cast(FCN, stream) for stream in self.streams.values()] or [self]

    def head(self, target: str) -> Head:
        """The head of one target; of several trunks' the first's, and all upsample alike."""
        return cast(Head, self._streams()[0].heads[target])

    def coarse_scores(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Scores on the grid of the net's stride, before the last upsampling: N C H W by input -> N K h w by target."""
        found = [stream._of_one_trunk(inputs) for stream in self._streams()]
        if len(found) == 1:
            return found[0]
        return {target: torch.stack([scores[target] for scores in found]).mean(0) for target in self.net.heads}

    def _of_one_trunk(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        chosen = [inputs[name] for name in self.net.inputs]
        images = chosen[0] if len(chosen) == 1 else torch.cat(chosen, 1)
        if not (self.plain or torch.is_grad_enabled()) and large.is_large(images) and large.can_be_cut(self.trunk):
            return self._by_strips(images)
        maps = self.trunk(images, plain=self.plain)
        return {target: self.head(target).coarse_scores(maps) for target in self.net.heads}

    def _by_strips(self, images: Tensor) -> dict[str, Tensor]:
        """The same from strips of rows, which are scored as they come."""
        scored: dict[tuple[str, int], list[Tensor]] = defaultdict(list)

        def take(stride: int, rows: Tensor) -> None:
            for target in self.net.heads:
                if stride in (32, *self.net.taps):
                    scored[target, stride].append(self.head(target).scored(stride, rows))

        large.by_strips(self.trunk, images, take=take)
        maps = {key: torch.cat(strips, 2) for key, strips in scored.items()}
        return {
            target: self.head(target).summed({stride: maps[target, stride] for stride in (32, *self.net.taps)})
            for target in self.net.heads
        }

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """N C H W by input -> N K H W by target."""
        height, width = inputs[self.net.inputs[0]].shape[2:]
        coarse = self.coarse_scores(inputs)
        return {target: self.head(target).upsampled(scores, (height, width)) for target, scores in coarse.items()}

    def on(self, device: torch.device) -> "FCN":
        """The same network on `device`, its convolutions in the memory order that is fastest there."""
        return self.to(device=device).to(memory_format=torch.channels_last)

    def in_bfloat16(self) -> "FCN":
        """The same network for predictions under autocast, which so has no kernels to convert each time."""
        for stream in self._streams():
            for layer in stream.trunk.modules():
                if isinstance(layer, nn.Conv2d):
                    layer.to(torch.bfloat16)
        return self

    @torch.inference_mode()
    def predict(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """N C H W by input -> N H W uint8 by target: the class of every pixel."""
        height, width = inputs[self.net.inputs[0]].shape[2:]
        coarse = self.coarse_scores(inputs)
        return {
            target: self.head(target).answers(scores, (height, width), plain=self.plain)
            for target, scores in coarse.items()
        }


def is_score_layer(parameter: str) -> bool:
    """Whether a parameter, by its name in an FCN, belongs to a score layer."""
    return parameter.split(".")[-2].startswith("score_")


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
