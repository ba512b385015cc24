"""GoogLeNet as its paper printed it: 5x5 kernels, a 3x3 pool4, local response normalisation, none of batches."""

import torch
from torch import nn
from torchvision.models.googlenet import BasicConv2d, GoogLeNet, Inception

from fcn.nets.backbones import googlenet
from fcn.nets.backbones.googlenet import FULLY_CONNECTED, head, trunk
from fcn.nets.local_response import local_response

__all__ = ["FULLY_CONNECTED", "classifier", "head", "trunk"]


def classifier(*, width: float, fc: int, input_px: int, classes: int) -> nn.Module:
    """N 3 input_px input_px -> N classes. It has no fc6 or fc7: `fc` isn't used."""
    with torch.device("meta"):
        net = GoogLeNet(aux_logits=False, init_weights=False, dropout=0.0)
        net.maxpool1 = nn.Sequential(net.maxpool1, local_response())
        net.maxpool2 = nn.Sequential(local_response(), net.maxpool2)
        net.maxpool4 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        fives = {block.branch3[1] for block in net.children() if isinstance(block, Inception)}
        for layer in net.modules():
            if isinstance(layer, BasicConv2d):
                conv, kernel = layer.conv, 5 if layer in fives else layer.conv.kernel_size[0]
                layer.conv = nn.Conv2d(conv.in_channels, conv.out_channels, kernel, conv.stride, padding=kernel // 2)
                layer.bn = nn.Identity()
    return googlenet.finish(net, width=width, input_px=input_px, classes=classes)
