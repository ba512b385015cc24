"""FCN-VGG16 checkpoints in the key names of wkentaro/pytorch-fcn, the authors' released nets among them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from fcn.errors import InputError
from fcn.nets import torch_file
from fcn.nets.fcn import FCN
from fcn.nets.fitting import fitted
from fcn.nets.upsampling import bilinear_kernel
from fcn.shape import Backbone, Net

# Their layer -> ours. An upsampling layer of theirs is called after what it makes, one of ours after the skip that its
# output is summed with: their upscore_pool4 is our upscore_pool3.
_LAYERS = {
    "conv1_1": "trunk.features.0",
    "conv1_2": "trunk.features.2",
    "conv2_1": "trunk.features.5",
    "conv2_2": "trunk.features.7",
    "conv3_1": "trunk.features.10",
    "conv3_2": "trunk.features.12",
    "conv3_3": "trunk.features.14",
    "conv4_1": "trunk.features.17",
    "conv4_2": "trunk.features.19",
    "conv4_3": "trunk.features.21",
    "conv5_1": "trunk.features.24",
    "conv5_2": "trunk.features.26",
    "conv5_3": "trunk.features.28",
    "fc6": "trunk.fc6",
    "fc7": "trunk.fc7",
    "score_fr": "heads.semantic.score_fr",
    "score_pool4": "heads.semantic.score_pool4",
    "score_pool3": "heads.semantic.score_pool3",
    "upscore2": "heads.semantic.upscore_pool4",
    "upscore_pool4": "heads.semantic.upscore_pool3",
    "upscore": "heads.semantic.upscore",
    "upscore16": "heads.semantic.upscore",
    "upscore8": "heads.semantic.upscore",
}
_HEAD = "heads.semantic"
_LAST_UPSAMPLING = f"{_HEAD}.upscore.weight"
_TAPS: dict[int, tuple[Literal[16, 8], ...]] = {32: (), 16: (16,), 8: (16, 8)}
# Released files keep the deconvolutions that they trained with, in float32.
_BILINEAR_TOLERANCE = 1e-4


def preprocessing(backbone: Backbone) -> str:
    """BGR, 0..255, mean subtracted."""
    del backbone
    return "caffe"


def load(path: Path, *, backbone: Backbone) -> dict[str, Tensor]:
    """Every tensor of the FCN. Bilinear deconvolutions are dropped: this project's are so by construction."""
    if backbone.architecture != "vgg16":
        raise InputError(
            f"weights of kind pytorch_fcn are those of an FCN-VGG16, not of an FCN-{backbone.architecture}"
        )
    found = torch_file.state_dict(path)
    if unknown := next((key for key in found if key.rpartition(".")[0] not in _LAYERS), None):
        raise InputError(
            f"{path} holds {unknown}, which pytorch-fcn's networks have not; theirs are {', '.join(_LAYERS)}"
        )
    if not {"score_fr.weight", "fc6.weight"} <= set(found):
        raise InputError(f"{path} lacks score_fr.weight or fc6.weight; it is a part of an FCN, the whole is wanted")
    if (scores := found["score_fr.weight"]).ndim != 4 or len(scores) not in range(2, 256):
        raise InputError(
            f"{path} has score_fr.weight of shape {tuple(scores.shape)}; K C 1 1 of 2 to 255 classes is wanted"
        )
    state = {_our_name(key): tensor for key, tensor in found.items()}
    with torch.device("meta"):
        shapes = {
            name: x.shape for name, x in FCN(_net(state, backbone=backbone, upsampling="all")).state_dict().items()
        }
    upsampling = {name for name in shapes if _is_upsampling(name)}
    whole = fitted(state, shapes=shapes, may_lack=upsampling, where=str(path))
    kept = {"fixed": set(), "intermediate": upsampling - {_LAST_UPSAMPLING}, "all": upsampling}[_upsampling(state)]
    return {name: tensor for name, tensor in whole.items() if name not in upsampling or name in kept}


def net(state: Mapping[str, Tensor], *, backbone: Backbone) -> Net:
    """Skips and upsampling as the keys tell.

    Staged and at-once nets have the same keys: what the skips are scaled by is the run's to say.
    """
    return _net(state, backbone=backbone, upsampling=_upsampling(state))


def _net(
    state: Mapping[str, Tensor], *, backbone: Backbone, upsampling: Literal["fixed", "intermediate", "all"]
) -> Net:
    classes = len(state[f"{_HEAD}.score_fr.weight"])
    return Net(
        backbone=backbone,
        inputs=("rgb",),
        heads={"semantic": classes},
        taps=_TAPS[_stride(state)],
        pad=100,
        upsampling=upsampling,
    )


def _is_upsampling(name: str) -> bool:
    return name.split(".")[-2].startswith("upscore")


def _our_name(key: str) -> str:
    layer, _, part = key.rpartition(".")
    return f"{_LAYERS[layer]}.{part}"


def _stride(state: Mapping[str, Tensor]) -> Literal[32, 16, 8]:
    if f"{_HEAD}.score_pool3.weight" in state:
        return 8
    return 16 if f"{_HEAD}.score_pool4.weight" in state else 32


def _upsampling(state: Mapping[str, Tensor]) -> Literal["fixed", "intermediate", "all"]:
    """Which deconvolutions have moved away from bilinear interpolation."""
    moved = [name for name, tensor in state.items() if _is_upsampling(name) and not _is_bilinear(tensor)]
    if _LAST_UPSAMPLING in moved:
        return "all"
    return "intermediate" if moved else "fixed"


def _is_bilinear(weight: Tensor) -> bool:
    """Whether a K K k k deconvolution interpolates every class by itself."""
    if weight.ndim != 4 or weight.shape[0] != weight.shape[1] or weight.shape[2] != weight.shape[3]:
        return False
    tent = bilinear_kernel(weight.shape[2])
    wanted = torch.eye(len(weight), dtype=torch.float64)[:, :, None, None] * torch.outer(tent, tent)
    return bool((weight.double() - wanted).abs().max() <= _BILINEAR_TOLERANCE)
