"""A local state dict in torchvision's names, whole or without its fully connected layers, in any float type."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from fcn.nets import torch_file
from fcn.nets.fitting import fitted, layout
from fcn.shape import Backbone


def preprocessing(backbone: Backbone) -> None:
    """The file doesn't tell: params.yaml does."""
    del backbone


def load(path: Path, *, backbone: Backbone) -> dict[str, Tensor]:
    """Every convolution, and those fully connected layers that are there."""
    state = torch_file.state_dict(path)
    wanted = layout(backbone, state=state)
    return fitted(state, shapes=wanted.shapes, may_lack=wanted.fully_connected, where=str(path))


def net(state: Mapping[str, Tensor], *, backbone: Backbone) -> None:
    """Not an FCN."""
    del state, backbone
