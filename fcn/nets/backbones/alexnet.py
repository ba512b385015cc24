"""AlexNet (Krizhevsky et al., 2012), in torchvision's ungrouped variant without local response normalisation."""

from typing import cast

import torch
from torch import nn
from torchvision.models.alexnet import AlexNet, alexnet

from fcn.nets.surgery import convolution, features_size, materialise, narrow
from fcn.nets.trunk import Trunk, convolutional_trunk

FULLY_CONNECTED = {"classifier.1": "fc6", "classifier.4": "fc7"}
_POOL1, _POOL2 = 2, 5


def classifier(*, width: float, fc: int, input_px: int, classes: int) -> nn.Module:
    """N 3 input_px input_px -> N classes."""
    with torch.device("meta"):
        net = alexnet()
        narrow(net.features, width=width)
    return finish(net, fc=fc, input_px=input_px, classes=classes)


def finish(net: AlexNet, *, fc: int, input_px: int, classes: int) -> nn.Module:
    """Fit the last layers of an AlexNet on "meta" to its first ones, and give it memory and weights."""
    with torch.device("meta"):
        channels, side = features_size(net.features, input_px=input_px)
        net.avgpool = nn.Identity()
        net.classifier[1] = nn.Linear(channels * side * side, fc)
        net.classifier[4] = nn.Linear(fc, fc)
        net.classifier[6] = nn.Linear(fc, classes)
    return materialise(net)


def trunk(classifier: nn.Module, *, dropout: float) -> Trunk:
    """conv1 .. fc7, with dropout after fc6 and fc7 as in Caffe; parameters are shared with `classifier`."""
    assert isinstance(classifier, AlexNet)
    features, layers = cast(nn.Sequential, classifier.features), classifier.classifier
    return convolutional_trunk(
        features,
        fc6=cast(nn.Linear, layers[1]),
        fc7=cast(nn.Linear, layers[4]),
        taps={8: _POOL1, 16: _POOL2},
        dropout=dropout,
    )


def head(classifier: nn.Module) -> nn.Sequential:
    """fc8 as a convolution."""
    assert isinstance(classifier, AlexNet)
    return nn.Sequential(convolution(cast(nn.Linear, classifier.classifier[6]), side=1))
