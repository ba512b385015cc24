"""GoogLeNet (Szegedy et al., 2014), as torchvision lays it out: batch normalised, 3x3 kernels for the published 5x5."""

from typing import cast

import torch
from torch import nn
from torchvision.models.googlenet import BasicConv2d, GoogLeNet, Inception

from fcn.nets.geometry import Geometry, beside, chain, geometry
from fcn.nets.surgery import convolution, features_size, materialise, narrow
from fcn.nets.trunk import Trunk

FULLY_CONNECTED: dict[str, str] = {}
_ORDER = (
    *("conv1", "maxpool1", "conv2", "conv3", "maxpool2", "inception3a", "inception3b", "maxpool3"),
    *("inception4a", "inception4b", "inception4c", "inception4d", "inception4e", "maxpool4"),
    *("inception5a", "inception5b"),
)
_TAPS = {8: "inception3b", 16: "inception4e"}


@geometry.register
def _(module: BasicConv2d) -> Geometry:
    return geometry(module.conv)


@geometry.register
def _(module: Inception) -> Geometry:
    return beside(chain(geometry(part) for part in _parts(branch)) for branch in module.children())


def _parts(branch: nn.Module) -> list[nn.Module]:
    return list(branch) if isinstance(branch, nn.Sequential) else [branch]


def classifier(*, width: float, fc: int, input_px: int, classes: int) -> nn.Module:
    """N 3 input_px input_px -> N classes. It has no fc6 or fc7: `fc` isn't used."""
    with torch.device("meta"):
        net = GoogLeNet(aux_logits=False, init_weights=False, dropout=0.0)
    return finish(net, width=width, input_px=input_px, classes=classes)


def finish(net: GoogLeNet, *, width: float, input_px: int, classes: int) -> nn.Module:
    """Narrow a GoogLeNet on "meta" and give it memory and weights."""
    narrow(net, width=width)
    net.avgpool, net.fc = nn.Identity(), nn.Identity()
    flat, _ = _flat_features(net, input_px=input_px)
    net.avgpool = nn.AdaptiveAvgPool2d((1, 1))
    net.fc = nn.Linear(flat, classes, device="meta")
    return materialise(net)


def _flat_features(net: GoogLeNet, *, input_px: int) -> tuple[int, int]:
    layers = nn.Sequential(*(getattr(net, name) for name in _ORDER))
    return features_size(layers, input_px=input_px)


def trunk(classifier: nn.Module, *, dropout: float) -> Trunk:
    """conv1 .. inception5b, then dropout; the final average pool is dropped, as in the paper's section 4.1."""
    assert isinstance(classifier, GoogLeNet)
    parts: dict[str, nn.Module] = {name: getattr(classifier, name) for name in _ORDER}
    parts["drop5"] = nn.Dropout(dropout)
    channels = {
        8: _width(classifier.inception3b),
        16: _width(classifier.inception4e),
        32: _width(classifier.inception5b),
    }
    return Trunk(parts, order=list(parts), taps=_TAPS, channels=channels, fc6=None)


def _width(inception: Inception) -> int:
    last = [cast(BasicConv2d, _parts(branch)[-1]).conv for branch in inception.children()]
    return sum(conv.out_channels for conv in last)


def head(classifier: nn.Module) -> nn.Sequential:
    """The 7x7 average pool and the last layer as a convolution."""
    assert isinstance(classifier, GoogLeNet)
    return nn.Sequential(nn.AvgPool2d(7, stride=1), convolution(cast(nn.Linear, classifier.fc), side=1))
