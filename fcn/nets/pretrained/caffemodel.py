"""Caffe's own files: VGG16, CaffeNet and GoogLeNet of its model zoo, and the FCNs that the authors released."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from fcn.errors import InputError
from fcn.nets import caffe_file, released
from fcn.nets.fitting import fitted, layout
from fcn.shape import Backbone, Net

_BRANCHES = {
    "1x1": "branch1",
    "3x3_reduce": "branch2.0",
    "3x3": "branch2.1",
    "5x5_reduce": "branch3.0",
    "5x5": "branch3.1",
    "pool_proj": "branch4.1",
}
# Caffe's layer -> torchvision's, as VGG_ILSVRC_16_layers, bvlc_reference_caffenet and bvlc_googlenet call theirs.
_CLASSIFIERS: Mapping[str, Mapping[str, str]] = {
    "vgg16": {
        **released.CONVOLUTIONS["vgg16"],
        "fc6": "classifier.0",
        "fc7": "classifier.3",
        "fc8": "classifier.6",
    },
    "caffenet": {
        **released.CONVOLUTIONS["caffenet"],
        "fc6": "classifier.1",
        "fc7": "classifier.4",
        "fc8": "classifier.6",
    },
    "googlenet_published": {
        "conv1/7x7_s2": "conv1.conv",
        "conv2/3x3_reduce": "conv2.conv",
        "conv2/3x3": "conv3.conv",
        **{
            f"inception_{block}/{theirs}": f"inception{block}.{ours}.conv"
            for block in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")
            for theirs, ours in _BRANCHES.items()
        },
        "loss3/classifier": "fc",
    },
}
_AUXILIARY = ("loss1/", "loss2/")  # GoogLeNet's two other classifiers, which no FCN uses
# The net that was trained at once scales its skips in layers of their own, which its training never changed. A run
# says so in its net's `scales`.
_SCALES = {"scale_pool4": 0.01, "scale_pool3": 0.0001}


def preprocessing(backbone: Backbone) -> str:
    """BGR, 0..255, mean subtracted."""
    del backbone
    return "caffe"


def load(path: Path, *, backbone: Backbone) -> dict[str, Tensor]:
    """Every tensor of the classifier or, where the file scores pixels, of the FCN."""
    if backbone.architecture not in _CLASSIFIERS:
        raise InputError(
            f"weights of kind caffemodel are those of {', '.join(_CLASSIFIERS)}, not of a {backbone.architecture}"
        )
    found = _tensors(path)
    if backbone.architecture in released.CONVOLUTIONS and any(name.startswith(("score_", "upscore")) for name in found):
        return released.converted(_without_scales(found, where=str(path)), backbone=backbone, where=str(path))
    names = _CLASSIFIERS[backbone.architecture]
    state = {}
    for key, tensor in found.items():
        layer, _, part = key.rpartition(".")
        if layer in names:
            state[f"{names[layer]}.{part}"] = tensor
        elif not layer.startswith(_AUXILIARY):
            first, second, *_, last = names
            raise InputError(
                f"{path} has a layer {layer}, which Caffe's {backbone.architecture} has not; its layers are "
                f"{first}, {second} ... {last}"
            )
    return fitted(state, shapes=layout(backbone, state=state).shapes, may_lack=(), where=str(path))


def net(state: Mapping[str, Tensor], *, backbone: Backbone) -> Net | None:
    """The FCN, where it is one."""
    whole = any(name.startswith(("trunk.", "streams.")) for name in state)
    return released.net(state, backbone=backbone) if whole else None


def _tensors(path: Path) -> dict[str, Tensor]:
    """A layer's first blob as NAME.weight, its second as NAME.bias.

    Files of 2014 put ones before the dimensions of a matrix and of a vector, until there are four.
    """
    found = {}
    for layer, blobs in caffe_file.layers(path).items():
        if len(blobs) > 2:
            raise InputError(f"{path}: layer {layer} has {len(blobs)} blobs; a kernel and a bias are wanted")
        weight = blobs[0]
        found[f"{layer}.weight"] = weight[0, 0] if weight.ndim == 4 and weight.shape[:2] == (1, 1) else weight
        found |= {f"{layer}.bias": bias.reshape(-1) for bias in blobs[1:]}
    return found


def _without_scales(found: Mapping[str, Tensor], *, where: str) -> dict[str, Tensor]:
    """What is left when the layers that scale a skip are taken out. Raises InputError where they do it otherwise."""
    for layer, scale in _SCALES.items():
        given = found.get(f"{layer}.weight")
        if given is not None and not bool(((given.double() - scale).abs() <= 1e-6 * scale).all()):
            raise InputError(
                f"{where} scales by other numbers than {scale} in {layer}, as none of the authors' nets does"
            )
    return {key: tensor for key, tensor in found.items() if key.rpartition(".")[0] not in _SCALES}
