"""torchfcn, the peer (wkentaro/pytorch-fcn): its modules, its nets with weights that ours have too."""

import importlib
import importlib.util
import sys
import types
from typing import Any

import torch
from torch import Tensor, nn

from fcn.nets import released
from fcn.nets.fcn import FCN
from fcn.nets.pretrained import pytorch_fcn
from fcn.shape import Backbone

VGG16 = Backbone(architecture="vgg16", width=1, fc=4096, input_px=224, dropout=0.5)
CLASSES = 21


def torchfcn(name: str) -> types.ModuleType:
    """The module torchfcn.NAME, such as `models`, `trainer`, `datasets.voc`. Raises ModuleNotFoundError.

    The package's own `__init__` wants scikit-image for its trainer's pictures. So its place is taken by an empty
    package with the same search path, and scikit-image's, where it isn't installed, by an empty one. `import fcn` in
    these modules finds ours, of which they would only use `data` and `utils`, in downloads and pictures.
    """
    spec = importlib.util.find_spec("torchfcn") if "torchfcn" not in sys.modules else None
    if spec is not None and spec.submodule_search_locations is not None:
        package = types.ModuleType("torchfcn")
        package.__path__ = list(spec.submodule_search_locations)
        sys.modules["torchfcn"] = package
    if name == "trainer" and "skimage" not in sys.modules and importlib.util.find_spec("skimage") is None:
        for stub in ("skimage", "skimage.io"):
            sys.modules[stub] = types.ModuleType(stub)
    return importlib.import_module(f"torchfcn.{name}")


def net(name: str) -> Any:
    """Torchfcn's net called so, FCN8s or FCN32s, at random as He et al. draw, score layers too."""
    found = getattr(torchfcn("models"), name)(CLASSES)
    generator = torch.Generator().manual_seed(0)
    for layer in found.modules():
        if isinstance(layer, nn.Conv2d):
            bound = (6 / layer.weight[0].numel()) ** 0.5
            nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
    return found


def ours(theirs: nn.Module) -> FCN:
    """Our net of the same weights, which are its own."""
    state: dict[str, Tensor] = released.converted(theirs.state_dict(), backbone=VGG16, where="torchfcn")
    with torch.device("meta"):
        found = FCN(pytorch_fcn.net(state, backbone=VGG16))
    found.load_state_dict({key: tensor.clone() for key, tensor in state.items()}, assign=True)
    return found


def upsampling(stride: int) -> nn.ConvTranspose2d:
    """The last layer of its net of this stride: bilinear, a dense kernel from each class to each."""
    layer = nn.ConvTranspose2d(CLASSES, CLASSES, 2 * stride, stride=stride, bias=False)
    weight = torchfcn("models").fcn32s.get_upsampling_weight(CLASSES, CLASSES, 2 * stride)
    layer.load_state_dict({"weight": weight})
    return layer


def loss(scores: Tensor, labels: Tensor) -> Tensor:
    """Its trainer's loss of N K H W scores, N H W int64 labels of which -1 is void: the sum over the pixels."""
    found: Tensor = torchfcn("trainer").cross_entropy2d(scores, labels, size_average=False)
    return found


def sgd(theirs: nn.Module) -> torch.optim.SGD:
    """The optimizer of its example on VOC: biases at twice the rate and without decay; upsampling is left out."""
    convolutions = [layer for layer in theirs.modules() if isinstance(layer, nn.Conv2d)]
    weights = [layer.weight for layer in convolutions]
    biases = [layer.bias for layer in convolutions if layer.bias is not None]
    groups: list[dict[str, Any]] = [{"params": weights}, {"params": biases, "lr": 2e-10, "weight_decay": 0.0}]
    return torch.optim.SGD(groups, lr=1e-10, momentum=0.99, weight_decay=0.0005)
