"""FCN-VGG16 checkpoints in the key names of wkentaro/pytorch-fcn, the authors' released nets among them."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from fcn.errors import InputError
from fcn.nets import released, torch_file
from fcn.shape import Backbone, Net


def preprocessing(backbone: Backbone) -> str:
    """BGR, 0..255, mean subtracted."""
    del backbone
    return "caffe"


def load(path: Path, *, backbone: Backbone) -> dict[str, Tensor]:
    """Every tensor of the FCN, but for bilinear deconvolutions; their names are those of the released nets."""
    if backbone.architecture != "vgg16":
        raise InputError(
            f"weights of kind pytorch_fcn are those of an FCN-VGG16, not of an FCN-{backbone.architecture}"
        )
    return released.converted(torch_file.state_dict(path), backbone=backbone, where=str(path))


def net(state: Mapping[str, Tensor], *, backbone: Backbone) -> Net:
    """Skips and upsampling as the names tell; what the skips are scaled by is the run's to say."""
    return released.net(state, backbone=backbone)
