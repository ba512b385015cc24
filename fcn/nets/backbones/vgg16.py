"""VGG16 (Simonyan and Zisserman, 2014), as torchvision lays it out."""

from typing import cast

import torch
from torch import nn
from torchvision.models.vgg import VGG, vgg16

from fcn.nets.surgery import convolution, features_size, materialise, narrow
from fcn.nets.trunk import Trunk, convolutional_trunk

FULLY_CONNECTED = {"classifier.0": "fc6", "classifier.3": "fc7"}
_POOL3, _POOL4 = 16, 23


def classifier(*, width: float, fc: int, input_px: int, classes: int) -> nn.Module:
    """N 3 input_px input_px -> N classes."""
    with torch.device("meta"):
        net = vgg16(init_weights=False)  # materialise draws
        narrow(net.features, width=width)
        channels, side = features_size(net.features, input_px=input_px)
        net.avgpool = nn.Identity()
        net.classifier[0] = nn.Linear(channels * side * side, fc)
        net.classifier[3] = nn.Linear(fc, fc)
        net.classifier[6] = nn.Linear(fc, classes)
    return materialise(net)


def trunk(classifier: nn.Module, *, dropout: float) -> Trunk:
    """conv1_1 .. fc7; parameters are shared with `classifier`."""
    assert isinstance(classifier, VGG)
    features, layers = cast(nn.Sequential, classifier.features), classifier.classifier
    return convolutional_trunk(
        features,
        fc6=cast(nn.Linear, layers[0]),
        fc7=cast(nn.Linear, layers[3]),
        taps={8: _POOL3, 16: _POOL4},
        dropout=dropout,
    )


def head(classifier: nn.Module) -> nn.Sequential:
    """fc8 as a convolution."""
    assert isinstance(classifier, VGG)
    return nn.Sequential(convolution(cast(nn.Linear, classifier.classifier[6]), side=1))
