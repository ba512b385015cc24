"""The authors' released FCNs: their layers under this project's names, whatever file has them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from fcn.errors import InputError
from fcn.nets.fcn import FCN
from fcn.nets.fitting import fitted
from fcn.nets.upsampling import bilinear_kernel
from fcn.shape import TAPS, Backbone, Net

CONVOLUTIONS: Mapping[str, Mapping[str, str]] = {
    "vgg16": {
        "conv1_1": "features.0",
        "conv1_2": "features.2",
        "conv2_1": "features.5",
        "conv2_2": "features.7",
        "conv3_1": "features.10",
        "conv3_2": "features.12",
        "conv3_3": "features.14",
        "conv4_1": "features.17",
        "conv4_2": "features.19",
        "conv4_3": "features.21",
        "conv5_1": "features.24",
        "conv5_2": "features.26",
        "conv5_3": "features.28",
    },
    "caffenet": {
        "conv1": "features.0",
        "conv2": "features.3",
        "conv3": "features.6",
        "conv4": "features.8",
        "conv5": "features.10",
    },
}
"""Layers of Caffe's classifiers, and of the FCNs that were made of them, by the backbone's architecture."""

# A head's layers, theirs -> ours. An upsampling layer of theirs is called after what it makes, one of ours after the
# skip that its output is summed with: their upscore_pool4 is our upscore_pool3.
_HEAD = {
    "score_fr": "score_fr",
    "score_pool4": "score_pool4",
    "score_pool3": "score_pool3",
    "upscore2": "upscore_pool4",
    "upscore_pool4": "upscore_pool3",
    "upscore": "upscore",
    "upscore16": "upscore",
    "upscore8": "upscore",
}
# The one net of two trunks has these behind the names of a trunk's layers and its score_fr, and upsamples once.
_STREAMS = {"color": "rgb", "hha": "hha"}
_TARGETS = {"": "semantic", "_sem": "semantic", "_geo": "geometric"}  # SIFT Flow's nets have two heads
_LAST = "upscore.weight"
# Released files keep the deconvolutions that they trained with, in float32.
_BILINEAR_TOLERANCE = 1e-4

Upsampled = Literal["fixed", "intermediate", "all"]


def converted(found: Mapping[str, Tensor], *, backbone: Backbone, where: str) -> dict[str, Tensor]:
    """Every tensor of an FCN, by our names. Bilinear deconvolutions are dropped: this project's are so by construction.

    `found` has theirs, such as conv1_1.weight, or conv1_1color.weight where there is a trunk for each of two inputs.
    Raises InputError for a layer that their nets have not, one that is missing, and one of another shape.
    """
    state: dict[str, Tensor] = {}
    for stream, theirs in _streams(found).items():
        place = f"{where}, in its layers of {stream}," if stream else where
        ours = _of_one_trunk(theirs, backbone=backbone, where=place)
        if stream and any(_is_upsampling(name) for name in ours):
            raise InputError(
                f"{place} has an upscore that isn't bilinear; two trunks share one that is, as the authors'"
            )
        state |= {f"streams.{_STREAMS[stream]}.{name}" if stream else name: tensor for name, tensor in ours.items()}
    return state


def _streams(found: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Their layers by trunk, without what tells the trunks apart; "" is the trunk of a net that has one."""
    parts: dict[str, dict[str, Tensor]] = {}
    for key, tensor in found.items():
        layer, _, part = key.rpartition(".")
        stream = next((name for name in _STREAMS if layer.endswith(name)), "")
        parts.setdefault(stream, {})[f"{layer.removesuffix(stream)}.{part}"] = tensor
    if parts.keys() <= {""}:
        return parts
    shared = parts.get("", {})
    return {stream: parts.get(stream, {}) | shared for stream in _STREAMS}


def _of_one_trunk(found: Mapping[str, Tensor], *, backbone: Backbone, where: str) -> dict[str, Tensor]:
    names = _names(backbone.architecture)
    if unknown := next((key for key in found if key.rpartition(".")[0] not in names), None):
        told = ", ".join([*CONVOLUTIONS[backbone.architecture], "fc6", "fc7", *_HEAD])
        raise InputError(
            f"{where} holds {unknown}, which the authors' FCNs on a {backbone.architecture} have not; "
            f"theirs are {told}, a head's also with _sem or _geo behind, a trunk's with color or hha"
        )
    scores = [key for key in found if key.startswith("score_fr") and key.endswith(".weight")]
    if not scores or "fc6.weight" not in found:
        raise InputError(f"{where} lacks score_fr.weight or fc6.weight; it is a part of an FCN, the whole is wanted")
    for key in scores:
        if found[key].ndim != 4 or len(found[key]) not in range(2, 256):
            raise InputError(
                f"{where} has {key} of shape {tuple(found[key].shape)}; K C 1 1 of 2 to 255 classes is wanted"
            )
    state = {_our_name(key, names): tensor for key, tensor in found.items()}
    with torch.device("meta"):
        shapes = {
            name: x.shape for name, x in FCN(_net(state, backbone=backbone, upsampling="all")).state_dict().items()
        }
    upsampling = {name for name in shapes if _is_upsampling(name)}
    kind, last = _upsampling(state), {name for name in upsampling if name.endswith(_LAST)}
    whole = fitted(state, shapes=shapes, may_lack=upsampling if kind == "fixed" else (), where=where)
    kept = {"fixed": set[str](), "intermediate": upsampling - last, "all": upsampling}[kind]
    return {name: tensor for name, tensor in whole.items() if name not in upsampling or name in kept}


def net(state: Mapping[str, Tensor], *, backbone: Backbone) -> Net:
    """Heads, skips, trunks and upsampling as the names of `state`, our own, tell.

    Staged and at-once nets have the same names: what the skips are scaled by is the run's to say.
    """
    first = f"streams.{next(iter(_STREAMS.values()))}."
    of_first = {name.removeprefix(first): tensor for name, tensor in state.items() if name.startswith(first)}
    if of_first:
        return replace(net(of_first, backbone=backbone), inputs=tuple(_STREAMS.values()), fusion="late")
    return _net(state, backbone=backbone, upsampling=_upsampling(state))


def _net(state: Mapping[str, Tensor], *, backbone: Backbone, upsampling: Upsampled) -> Net:
    scores = {name.split(".")[1]: len(state[name]) for name in state if name.endswith("score_fr.weight")}
    return Net(
        backbone=backbone,
        inputs=("rgb",),
        heads={target: scores[target] for target in _TARGETS.values() if target in scores},
        taps=TAPS[_stride(state)],
        pad=100,
        upsampling=upsampling,
    )


def _names(architecture: str) -> dict[str, str]:
    """Their layers -> ours."""
    trunk = {theirs: f"trunk.{ours}" for theirs, ours in CONVOLUTIONS[architecture].items()}
    heads = {
        f"{theirs}{ending}": f"heads.{target}.{ours}"
        for ending, target in _TARGETS.items()
        for theirs, ours in _HEAD.items()
    }
    return {**trunk, "fc6": "trunk.fc6", "fc7": "trunk.fc7", **heads}


def _our_name(key: str, names: Mapping[str, str]) -> str:
    layer, _, part = key.rpartition(".")
    return f"{names[layer]}.{part}"


def _is_upsampling(name: str) -> bool:
    return name.split(".")[-2].startswith("upscore")


def _stride(state: Mapping[str, Tensor]) -> Literal[32, 16, 8]:
    if any(name.endswith("score_pool3.weight") for name in state):
        return 8
    return 16 if any(name.endswith("score_pool4.weight") for name in state) else 32


def _upsampling(state: Mapping[str, Tensor]) -> Upsampled:
    """Which deconvolutions have moved away from bilinear interpolation."""
    moved = [name for name, tensor in state.items() if _is_upsampling(name) and not _is_bilinear(tensor)]
    if any(name.endswith(_LAST) for name in moved):
        return "all"
    return "intermediate" if moved else "fixed"


def _is_bilinear(weight: Tensor) -> bool:
    """Whether a K K k k deconvolution interpolates every class by itself."""
    tent = bilinear_kernel(weight.shape[2])
    wanted = torch.eye(len(weight), dtype=torch.float64)[:, :, None, None] * torch.outer(tent, tent)
    return bool((weight.double() - wanted).abs().max() <= _BILINEAR_TOLERANCE)
