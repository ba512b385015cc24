"""Which tensors a backbone's classifier has, and whether given ones fit it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fcn.errors import InputError
from fcn.nets import backbones
from fcn.shape import Backbone

_IMAGENET_CLASSES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The tensors of a classifier: names and shapes in the network's order."""

    shapes: dict[str, torch.Size]
    fully_connected: frozenset[str]
    last: str


def layout(backbone: Backbone, *, state: Mapping[str, Tensor] | None = None) -> Layout:
    """The layout of the backbone's classifier, with as many classes as `state` has in its last layer."""
    with torch.device("meta"):
        net = backbones.load(backbone.architecture).classifier(
            width=backbone.width, fc=backbone.fc, input_px=backbone.input_px, classes=_IMAGENET_CLASSES
        )
    linear = [name for name, layer in net.named_modules() if isinstance(layer, nn.Linear)]
    shapes = {name: tensor.shape for name, tensor in net.state_dict().items()}
    last = linear[-1]
    classes = classes_of(state or {}, last=last) or _IMAGENET_CLASSES
    for name in (f"{last}.weight", f"{last}.bias"):
        shapes[name] = torch.Size((classes, *shapes[name][1:]))
    owned = frozenset(name for name in shapes if name.rpartition(".")[0] in linear)
    return Layout(shapes=shapes, fully_connected=owned, last=last)


def classes_of(state: Mapping[str, Tensor], *, last: str) -> int:
    """How many classes the layer called `last` tells apart; 0 where `state` doesn't hold it."""
    weight = state.get(f"{last}.weight")
    return 0 if weight is None or weight.ndim == 0 else len(weight)


def fitted(
    state: Mapping[str, Tensor], *, shapes: Mapping[str, torch.Size], may_lack: Collection[str], where: str
) -> dict[str, Tensor]:
    """`state` in the order of `shapes`, as float32.

    Raises InputError for a tensor that the network hasn't, one that it has in another shape, one that is missing and
    not in `may_lack`, and one with NaN or infinity.
    """
    if unknown := next((name for name in state if name not in shapes), None):
        named = [name for name in shapes if not _is_counter(name)]
        raise InputError(
            f"{where} holds {unknown}, which this network has not: its tensors are {named[0]}, {named[1]} ... "
            f"{named[-1]}; check the entry's backbone and kind"
        )
    for name, tensor in state.items():
        if tensor.shape != shapes[name]:
            raise InputError(
                f"{where} holds {name} with shape {_shape(tensor.shape)}, this network wants {_shape(shapes[name])}; "
                "check the backbone's architecture, width, fc and input_px"
            )
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise InputError(f"{where} holds NaN or infinity in {name}; these weights are of no use")
    if missing := [name for name in shapes if name not in state and name not in may_lack and not _is_counter(name)]:
        raise InputError(
            f"{where} lacks {missing[0]}, of shape {_shape(shapes[missing[0]])}{_more(len(missing) - 1)}; "
            "a file that is cut off is copied or fetched again, another network's needs its own backbone"
        )
    ordered = {name: state[name] for name in shapes if name in state}
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in ordered.items()}


def _is_counter(name: str) -> bool:
    """Whether it counts the batches of a normalisation; torch itself lets state dicts lack it."""
    return name.endswith("num_batches_tracked")


def _shape(shape: torch.Size) -> str:
    return " x ".join(map(str, shape)) or "one number"


def _more(count: int) -> str:
    return f" and {count} more" if count else ""
