"""CaffeNet, Caffe's reference AlexNet: two groups, pools before local response normalisation, 227 px without padding.

Layers that torchvision's AlexNet has as well are called as there; a normalisation lies in one place with its pool.
"""

import torch
from torch import nn
from torchvision.models.alexnet import alexnet

from fcn.nets.backbones.alexnet import FULLY_CONNECTED, finish, head, trunk
from fcn.nets.local_response import local_response

__all__ = ["FULLY_CONNECTED", "classifier", "head", "trunk"]


def classifier(*, width: float, fc: int, input_px: int, classes: int) -> nn.Module:
    """N 3 input_px input_px -> N classes."""
    with torch.device("meta"):
        net = alexnet()
        net.features = _features(width)
    return finish(net, fc=fc, input_px=input_px, classes=classes)


def _features(width: float) -> nn.Sequential:
    """conv1 .. pool5; every layer's channels are even, for the groups of the next."""
    c1, c2, c3, c4, c5 = (2 * max(1, round(channels * width / 2)) for channels in (96, 256, 384, 384, 256))
    return nn.Sequential(
        nn.Conv2d(3, c1, 11, stride=4),
        nn.ReLU(inplace=True),
        nn.Sequential(_pool(), local_response()),
        nn.Conv2d(c1, c2, 5, padding=2, groups=2),
        nn.ReLU(inplace=True),
        nn.Sequential(_pool(), local_response()),
        nn.Conv2d(c2, c3, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(c3, c4, 3, padding=1, groups=2),
        nn.ReLU(inplace=True),
        nn.Conv2d(c4, c5, 3, padding=1, groups=2),
        nn.ReLU(inplace=True),
        _pool(),
    )


def _pool() -> nn.MaxPool2d:
    return nn.MaxPool2d(3, stride=2, ceil_mode=True)  # Caffe rounds pooled sizes up
