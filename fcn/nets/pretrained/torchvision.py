"""torchvision's published ImageNet classifiers: whole state dicts of alexnet, vgg16, googlenet."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from fcn.nets import torch_file
from fcn.nets.fitting import fitted, layout
from fcn.shape import Backbone


def preprocessing(backbone: Backbone) -> str:
    """The published input: GoogLeNet's weights came from TensorFlow, with pixels from -1 to 1."""
    return "inception" if backbone.architecture.startswith("googlenet") else "imagenet"


def load(path: Path, *, backbone: Backbone) -> dict[str, Tensor]:
    """Every tensor of the classifier; GoogLeNet's two auxiliary classifiers, which no FCN uses, are left out."""
    state = {
        name: tensor for name, tensor in torch_file.state_dict(path).items() if not name.startswith(("aux1.", "aux2."))
    }
    return fitted(state, shapes=layout(backbone, state=state).shapes, may_lack=(), where=str(path))


def net(state: Mapping[str, Tensor], *, backbone: Backbone) -> None:
    """Not an FCN."""
    del state, backbone
