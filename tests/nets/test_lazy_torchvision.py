"""torchvision's networks without the rest of it: fcn/nets/lazy_torchvision.py."""

import subprocess
import sys

from tests.training.processes import environment

SCRIPT = """
import sys
import torch
from fcn.nets import backbones
from fcn.nets.fcn import FCN
from fcn.shape import Backbone, Net

for name in ("vgg16", "alexnet"):  # torch makes the shapes of GoogLeNet's batch normalisation with TorchDynamo
    backbone = Backbone(architecture=name, width=0.0625, fc=8, input_px=96, dropout=0.0)
    net = Net(backbone=backbone, inputs=("rgb",), heads={"semantic": 2}, taps=(), pad="same", upsampling="fixed")
    FCN(net).eval().predict({"rgb": torch.zeros(1, 3, 32, 32)})
assert not {"torch._dynamo", "torchvision.ops"} & sys.modules.keys()
from torchvision.models.segmentation import fcn_resnet50
from torchvision.models.vgg import VGG
import torchvision

assert torchvision.models.vgg.VGG is VGG
assert isinstance(torchvision.models.vgg16(init_weights=False), VGG)
assert torchvision.models.alexnet(num_classes=2) and torchvision.models.googlenet  # functions, by the names of modules
assert torchvision.ops.nms and torchvision.models.resnet18 and torchvision.__version__
"""


def test_a_network_imports_no_more_than_it_needs() -> None:
    """A net that is built and asked leaves TorchDynamo out; who imports torchvision afterwards has it whole, once."""
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment(), capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
