"""GoogLeNet with the kernels that its paper printed: 5x5 in the third branch, a 3x3 pool4. Table 1's structure."""

from functools import partial

import torch
from torch import nn
from torchvision.models.googlenet import GoogLeNet, Inception

from fcn.nets.backbones import googlenet
from fcn.nets.backbones.googlenet import FULLY_CONNECTED, head, trunk

__all__ = ["FULLY_CONNECTED", "classifier", "head", "trunk"]


class _Inception(Inception):
    """An inception block whose third branch has the published 5x5 kernel."""

    def __init__(self, *channels: int, conv_block: partial[nn.Module] | None = None) -> None:
        super().__init__(*channels, conv_block=conv_block)
        conv = self.branch3[1].conv
        self.branch3[1].conv = nn.Conv2d(conv.in_channels, conv.out_channels, 5, padding=2, bias=False)


def classifier(*, width: float, fc: int, input_px: int, classes: int) -> nn.Module:
    """N 3 input_px input_px -> N classes. It has no fc6 or fc7: `fc` isn't used."""
    from torchvision.models.googlenet import BasicConv2d, InceptionAux

    with torch.device("meta"):
        net = GoogLeNet(
            num_classes=classes,
            aux_logits=False,
            transform_input=False,
            init_weights=False,
            dropout=0.0,
            blocks=[BasicConv2d, _Inception, InceptionAux],
        )
        net.maxpool4 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        return googlenet.finish(net, width=width, input_px=input_px, classes=classes)
