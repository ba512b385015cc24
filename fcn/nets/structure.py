"""What a full-size network is made of, as the papers' tables print it, derived from its layers."""

import torch

from fcn.nets import backbones
from fcn.nets.fcn import FCN
from fcn.nets.geometry import geometry
from fcn.shape import Backbone, Net


def structure(architecture: str) -> dict[str, float]:
    """Depth, parameters in millions, receptive field and stride of the full-size FCN-32s, derived from its layers.

    The receptive field reaches through what the classifier does after the trunk: GoogLeNet's 907 px hold its last
    average pool, which the FCN itself leaves out.
    """
    module = backbones.load(architecture)
    with torch.device("meta"):
        classifier = module.classifier(width=1.0, fc=4096, input_px=224, classes=21)
        whole = module.trunk(classifier, dropout=0.5).geometry(32).then(geometry(module.head(classifier)))
        backbone = Backbone(architecture=architecture, width=1.0, fc=4096, input_px=224, dropout=0.5)
        net = Net(backbone=backbone, inputs=("rgb",), heads={"semantic": 21}, taps=(), pad=100, upsampling="fixed")
        parameters = sum(parameter.numel() for parameter in FCN(net).parameters())
    return {
        "conv_layers": float(whole.depth),
        "parameters_M": parameters / 1e6,
        "rf_size": float(whole.receptive_field_px),
        "max_stride": float(whole.stride_px),
    }
