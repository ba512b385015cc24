"""AlexNet (Krizhevsky et al., 2012), in torchvision's ungrouped variant without local response normalisation."""

import torch
from torch import nn
from torchvision.models import alexnet

from fcn.nets.surgery import convolution, features_size, materialise, narrow
from fcn.nets.trunk import Trunk

FULLY_CONNECTED = {"classifier.1": "fc6", "classifier.4": "fc7"}
_POOL1, _POOL2 = "features.2", "features.5"


def classifier(*, width: float, fc: int, input_px: int, classes: int) -> nn.Module:
    """N 3 input_px input_px -> N classes."""
    with torch.device("meta"):
        net = alexnet()
        narrow(net.features, width=width)
        channels, side = features_size(net.features, input_px=input_px)
        net.avgpool = nn.Identity()
        net.classifier[1] = nn.Linear(channels * side * side, fc)
        net.classifier[4] = nn.Linear(fc, fc)
        net.classifier[6] = nn.Linear(fc, classes)
    return materialise(net)


def trunk(classifier: nn.Module, *, dropout: float) -> Trunk:
    """conv1 .. fc7, with dropout after fc6 and fc7 as in Caffe; parameters are shared with `classifier`."""
    features, layers = classifier.features, classifier.classifier
    channels = features[10].out_channels
    side = round((layers[1].in_features / channels) ** 0.5)
    parts = {
        "features": features,
        "fc6": convolution(layers[1], side=side),
        "relu6": nn.ReLU(inplace=True),
        "drop6": nn.Dropout(dropout),
        "fc7": convolution(layers[4], side=1),
        "relu7": nn.ReLU(inplace=True),
        "drop7": nn.Dropout(dropout),
    }
    order = [f"features.{index}" for index in range(len(features))] + list(parts)[1:]
    taps = {8: _POOL1, 16: _POOL2}
    widths = {8: features[0].out_channels, 16: features[3].out_channels, 32: layers[4].out_features}
    return Trunk(parts, order=order, taps=taps, channels=widths, fc6="fc6")


def head(classifier: nn.Module) -> nn.Sequential:
    """fc8 as a convolution."""
    return nn.Sequential(convolution(classifier.classifier[6], side=1))
