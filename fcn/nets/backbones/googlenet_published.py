"""GoogLeNet with the kernels that its paper printed: 5x5 in the third branch, a 3x3 pool4. Table 1's structure."""

import torch
from torch import nn
from torchvision.models.googlenet import GoogLeNet, Inception

from fcn.nets.backbones import googlenet
from fcn.nets.backbones.googlenet import FULLY_CONNECTED, head, trunk

__all__ = ["FULLY_CONNECTED", "classifier", "head", "trunk"]


def classifier(*, width: float, fc: int, input_px: int, classes: int) -> nn.Module:
    """N 3 input_px input_px -> N classes. It has no fc6 or fc7: `fc` isn't used."""
    with torch.device("meta"):
        net = GoogLeNet(num_classes=classes, aux_logits=False, transform_input=False, init_weights=False, dropout=0.0)
        net.maxpool4 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        for block in net.children():
            if isinstance(block, Inception):
                conv = block.branch3[1].conv
                block.branch3[1].conv = nn.Conv2d(conv.in_channels, conv.out_channels, 5, padding=2, bias=False)
    return googlenet.finish(net, width=width, input_px=input_px, classes=classes)
