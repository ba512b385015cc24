"""The Oxford VGG16 as the Keras release keeps it: an HDF5 file, TensorFlow's dimension order, Caffe's input.

Its kernels correlate, as torch's do, and its first layer reads BGR: nothing is flipped.
"""

import math
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcn.errors import InputError
from fcn.nets.fitting import fitted, layout
from fcn.shape import Backbone

# Keras layer -> torchvision layer. The other layers that the file names (input, pools, flatten) have no weights.
_LAYERS = {
    "block1_conv1": "features.0",
    "block1_conv2": "features.2",
    "block2_conv1": "features.5",
    "block2_conv2": "features.7",
    "block3_conv1": "features.10",
    "block3_conv2": "features.12",
    "block3_conv3": "features.14",
    "block4_conv1": "features.17",
    "block4_conv2": "features.19",
    "block4_conv3": "features.21",
    "block5_conv1": "features.24",
    "block5_conv2": "features.26",
    "block5_conv3": "features.28",
    "fc1": "classifier.0",
    "fc2": "classifier.3",
    "predictions": "classifier.6",
}
_MOST_VALUES = 25088 * 4096  # of fc1's kernel: a small file can say that it holds terabytes


def preprocessing(backbone: Backbone) -> str:
    """BGR, 0..255, mean subtracted."""
    del backbone
    return "caffe"


def load(path: Path, *, backbone: Backbone) -> dict[str, Tensor]:
    """The classifier's tensors; the release without its top has only the convolutions."""
    if backbone.architecture != "vgg16":
        raise InputError(f"weights of kind keras are the Oxford VGG16's, not those of a {backbone.architecture}")
    state = {}
    channels = 0
    for layer, (kernel, bias) in _arrays(path).items():
        name = _LAYERS[layer]
        if kernel.ndim == 4:
            channels = kernel.shape[3]
            weight = kernel.transpose(3, 2, 0, 1)  # H W I O -> O I H W
        elif layer == "fc1":
            weight = _channels_first(kernel, channels=channels, where=f"{path}: {layer}").T
        else:
            weight = kernel.T  # I O -> O I
        state[f"{name}.weight"] = torch.from_numpy(np.ascontiguousarray(weight))
        state[f"{name}.bias"] = torch.from_numpy(bias)
    wanted = layout(backbone, state=state)
    return fitted(state, shapes=wanted.shapes, may_lack=wanted.fully_connected, where=str(path))


def net(state: Mapping[str, Tensor], *, backbone: Backbone) -> None:
    """Not an FCN."""
    del state, backbone


def _channels_first(kernel: NDArray[np.float32], *, channels: int, where: str) -> NDArray[np.float32]:
    """Rows of the flattened map in H, W, C order -> C, H, W order, as torch flattens."""
    side = round((len(kernel) / max(channels, 1)) ** 0.5)
    if side * side * channels != len(kernel):
        raise InputError(
            f"{where} has {len(kernel)} rows, which are no square of {channels} channels; is the file VGG16's?"
        )
    return kernel.reshape(side, side, channels, -1).transpose(2, 0, 1, 3).reshape(len(kernel), -1)


def _arrays(path: Path) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Kernel and bias of every layer that has weights, in the file's order.

    The file itself names its layers and their weights, in the attributes `layer_names` and `weight_names`.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file" if not path.exists() else f"{path} is a folder; an .h5 file is wanted")
    try:
        with h5py.File(path, "r") as file:
            if "layer_names" not in file.attrs:
                raise InputError(
                    f"{path} is HDF5, but not a Keras weights file: it has no attribute layer_names "
                    f"(it holds {', '.join(list(file)[:4]) or 'nothing'})"
                )
            layers = {name: file[name] for name in _texts(file.attrs["layer_names"])}
            named = {name: _texts(group.attrs["weight_names"]) for name, group in layers.items()}
            if foreign := [name for name, weights in named.items() if weights and name not in _LAYERS]:
                raise InputError(
                    f"{path} has a layer {foreign[0]}, which VGG16 has not; its layers are {', '.join(_LAYERS)}"
                )
            return {
                name: _pair([layers[name][weight] for weight in weights], where=f"{path}: {name}")
                for name, weights in named.items()
                if weights
            }
    except InputError:
        raise
    except Exception as error:  # damaged bytes break h5py in many ways
        reason = " ".join(str(error).split())
        raise InputError(f"{path} can't be read as HDF5 in Keras' layout ({reason}); copy or fetch it again") from None


def _pair(datasets: list[h5py.Dataset], *, where: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    if [dataset.ndim for dataset in datasets] not in ([2, 1], [4, 1]) or any(dataset.size == 0 for dataset in datasets):
        found = ", ".join(" x ".join(map(str, dataset.shape)) for dataset in datasets)
        raise InputError(f"{where} holds arrays of shape {found}; a kernel of 2 or 4 dimensions and a bias are wanted")
    if not all(_is_plain(dataset) for dataset in datasets):
        raise InputError(f"{where} holds other numbers than VGG16 has; is the file whole, and VGG16's?")
    kernel, bias = (np.asarray(dataset[...], dtype=np.float32) for dataset in datasets)
    return kernel, bias


def _is_plain(dataset: h5py.Dataset) -> bool:
    """Whether these are floats of this file, and no more than VGG16 has, in pieces that are no larger."""
    values = max(dataset.size, math.prod(dataset.chunks or ()))
    return dataset.dtype.kind == "f" and values <= _MOST_VALUES and not dataset.external and not dataset.is_virtual


def _texts(names: NDArray[np.bytes_] | NDArray[np.str_]) -> list[str]:
    """Attribute strings, which h5py gives as bytes or as text."""
    return [name.decode() if isinstance(name, bytes) else str(name) for name in names]
