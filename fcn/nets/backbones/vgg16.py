"""VGG16 (Simonyan and Zisserman, 2014), as torchvision lays it out."""

import torch
from torch import nn
from torchvision.models import vgg16

from fcn.nets.surgery import convolution, features_size, materialise, narrow
from fcn.nets.trunk import Trunk

FULLY_CONNECTED = {"classifier.0": "fc6", "classifier.3": "fc7"}
_POOL3, _POOL4 = "features.16", "features.23"


def classifier(*, width: float, fc: int, input_px: int, classes: int) -> nn.Module:
    """N 3 input_px input_px -> N classes."""
    with torch.device("meta"):
        net = vgg16()
        narrow(net.features, width=width)
        channels, side = features_size(net.features, input_px=input_px)
        net.avgpool = nn.Identity()
        net.classifier[0] = nn.Linear(channels * side * side, fc)
        net.classifier[3] = nn.Linear(fc, fc)
        net.classifier[6] = nn.Linear(fc, classes)
    return materialise(net)


def trunk(classifier: nn.Module, *, dropout: float) -> Trunk:
    """conv1_1 .. fc7; parameters are shared with `classifier`."""
    features, layers = classifier.features, classifier.classifier
    channels = features[28].out_channels
    side = round((layers[0].in_features / channels) ** 0.5)
    parts = {
        "features": features,
        "fc6": convolution(layers[0], side=side),
        "relu6": nn.ReLU(inplace=True),
        "drop6": nn.Dropout(dropout),
        "fc7": convolution(layers[3], side=1),
        "relu7": nn.ReLU(inplace=True),
        "drop7": nn.Dropout(dropout),
    }
    order = [f"features.{index}" for index in range(len(features))] + list(parts)[1:]
    taps = {8: _POOL3, 16: _POOL4}
    widths = {8: features[14].out_channels, 16: features[21].out_channels, 32: layers[3].out_features}
    return Trunk(parts, order=order, taps=taps, channels=widths, fc6="fc6")


def head(classifier: nn.Module) -> nn.Sequential:
    """fc8 as a convolution."""
    return nn.Sequential(convolution(classifier.classifier[6], side=1))
