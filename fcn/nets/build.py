"""What a network starts from, and the network that a trained run's checkpoint holds."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fcn.errors import InputError
from fcn.nets import backbones
from fcn.nets.checkpoint import Checkpoint
from fcn.nets.fcn import FCN
from fcn.nets.preprocessing import AnyPreprocessing, Preprocessing, derived
from fcn.nets.surgery import seeing, transplant
from fcn.shape import CHANNELS, Net, fused, misfit

_AGAIN = "make or fetch it again"
_SHAPE_FIELDS = ("architecture", "width", "fc", "input_px")


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOver:
    """Names of tensors: which of the net's keep their random or zero start, and which stayed behind."""

    new: list[str]
    left: list[str]


def start(net: FCN, checkpoint: Checkpoint, *, where: str) -> HandOver:
    """Transplant `checkpoint` into `net`.

    A classifier's last layer stays behind. A net with a larger stride hands over all that it has: the new score
    layers start at zero, so that the finer net starts with its parent's predictions (CVPR section 4.2).
    Raises InputError where the two don't fit, or where something learned would be lost.
    """
    _check_fit(checkpoint, net.net, where=where)
    if checkpoint.net is not None:
        own = net.state_dict()
        moved = {name for name in checkpoint.state if _is_last_upsampling(name)}
        left = moved if checkpoint.net.stride != net.net.stride else set()  # it upsamples by the parent's stride
        handed = {name: tensor for name, tensor in checkpoint.state.items() if name in own and name not in left}
        return HandOver(new=transplant(net, handed), left=sorted(checkpoint.state.keys() - handed.keys()))
    if net.streams:
        raise InputError(
            f"{where} holds a classifier, and late fusion joins nets that are trained; start from an entry of fusions"
        )
    renamed = backbones.load(net.net.backbone.architecture).FULLY_CONNECTED
    trunk = net.trunk.state_dict()
    state, left = {}, set()
    for name, tensor in checkpoint.state.items():
        layer, _, kind = name.rpartition(".")
        target = f"{renamed.get(layer, layer)}.{kind}"
        if target in trunk:
            state[target] = seeing(tensor, net.net.inputs) if target == net.trunk.first_weight else tensor
        else:
            left.add(name)
    kept = [name for name in net.state_dict() if name.startswith("heads.")]
    return HandOver(new=[*(f"trunk.{name}" for name in transplant(net.trunk, state)), *kept], left=sorted(left))


def joined(first: Checkpoint, second: Checkpoint, *, name: str) -> Checkpoint:
    """The net of late fusion that starts with both of these, each with its own input.

    Raises InputError where one holds no net, or the two are not alike.
    """
    if first.net is None or second.net is None:
        raise InputError(f"fusions.{name}: one of the two files holds a classifier, no net; train both of its runs")
    try:
        net = fused(first.net, second.net)
    except InputError as error:
        raise InputError(f"fusions.{name}: the nets {error}") from None
    if first.targets != second.targets:
        raise InputError(f"fusions.{name}: the nets learned other classes; train both on the same dataset")
    streams = zip(net.inputs, (first, second), strict=True)
    state = {f"streams.{name}.{key}": tensor for name, each in streams for key, tensor in each.state.items()}
    return Checkpoint(
        backbone=net.backbone,
        net=net,
        targets=first.targets,
        preprocessing={**first.preprocessing, **second.preprocessing},
        state=state,
        provenance={"run": name, "profile": first.provenance.get("profile", "")},
    )


def preprocessing(net: Net, start_from: Checkpoint) -> dict[str, AnyPreprocessing]:
    """How each of a net's inputs is prepared, when it starts from a checkpoint: as there, or as that one's RGB."""
    known = start_from.preprocessing
    rgb = known.get("rgb")
    return {
        name: known[name] if name in known or not isinstance(rgb, Preprocessing) else derived(name, rgb)
        for name in net.inputs
    }


def trained(checkpoint: Checkpoint, *, plain: bool = False) -> FCN:
    """The network that a trained run's checkpoint holds, ready to predict, `plain` or by the faster ways.

    Raises InputError where it holds none, or other tensors than its net has.
    """
    where = f"the checkpoint of {checkpoint.provenance.get('run') or checkpoint.provenance.get('weights', 'a net')}"
    if checkpoint.net is None:
        raise InputError(f"{where} holds a classifier, not a net; those that were trained are in data/<profile>/nets/")
    _check_whole(checkpoint.state, checkpoint.net, where=where)
    with torch.random.fork_rng(devices=[]):  # its random start is overwritten: leave the caller's generator alone
        net = FCN(checkpoint.net, plain=plain)
    transplant(net, checkpoint.state)
    return net.eval()


def _is_last_upsampling(name: str) -> bool:
    return name.endswith(".upscore.weight")


def _check_fit(checkpoint: Checkpoint, net: Net, *, where: str) -> None:
    for field in _SHAPE_FIELDS:
        found, wanted = getattr(checkpoint.backbone, field), getattr(net.backbone, field)
        if found != wanted:
            raise InputError(
                f"{where} has a backbone with {field} {found}, the run wants {wanted}; "
                "start from weights of the run's own backbone"
            )
    # A foreign file of weights doesn't tell what its first layer sees, nor what its skips were scaled by: the run does.
    known, own, parent = checkpoint.preprocessing, "run" in checkpoint.provenance, checkpoint.net
    if parent is not None and not own and _channels(parent) == _channels(net):
        parent = replace(parent, inputs=net.inputs)
    if lacking := [name for name in net.inputs if name not in known and (own or "rgb" not in known)]:
        raise InputError(f"{where} has no preprocessing for {', '.join(lacking)}, which the run's net takes")
    if checkpoint.net is None or parent is None:
        return
    problem = misfit(net, parent, scaled=own)
    if problem is not None:
        raise InputError(f"{where} {problem}")
    _check_whole(checkpoint.state, checkpoint.net, where=where)


def _channels(net: Net) -> int:
    return sum(CHANNELS[name] for name in net.inputs)


def _check_whole(state: Mapping[str, Tensor], net: Net, *, where: str) -> None:
    """Raise InputError unless `state` has the tensors of `net`, no other, in their shapes."""
    try:
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            own = FCN(net).state_dict()
    except InputError:
        raise
    except Exception:  # whatever torch says of sizes that are too small, too large, or no numbers of a layer
        raise InputError(f"{where} describes a net that can't be built; {_AGAIN}") from None
    if lacking := own.keys() - state.keys():
        raise InputError(f"{where} lacks {_some(lacking)}, which its own net has; {_AGAIN}")
    if added := state.keys() - own.keys():
        raise InputError(f"{where} holds {_some(added)}, which its own net has not; {_AGAIN}")
    for name, tensor in state.items():
        if tensor.shape != own[name].shape:
            raise InputError(
                f"{where} holds {name} with shape {tuple(tensor.shape)}, its own net wants {tuple(own[name].shape)}; "
                f"{_AGAIN}"
            )


def _some(names: Set[str]) -> str:
    return min(names) if len(names) == 1 else f"{min(names)} and {len(names) - 1} more"
