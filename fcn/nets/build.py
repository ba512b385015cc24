"""What a network starts from, and the network that a trained run's checkpoint holds."""

from dataclasses import dataclass

import torch

from fcn.config import misfit
from fcn.errors import InputError
from fcn.nets import backbones
from fcn.nets.checkpoint import Checkpoint
from fcn.nets.fcn import FCN
from fcn.nets.surgery import transplant
from fcn.shape import Net

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
    renamed = backbones.load(net.net.backbone.architecture).FULLY_CONNECTED
    trunk = net.trunk.state_dict()
    state, left = {}, set()
    for name, tensor in checkpoint.state.items():
        layer, _, kind = name.rpartition(".")
        target = f"{renamed.get(layer, layer)}.{kind}"
        if target in trunk:
            state[target] = tensor
        else:
            left.add(name)
    kept = [name for name in net.state_dict() if name.startswith("heads.")]
    return HandOver(new=[*(f"trunk.{name}" for name in transplant(net.trunk, state)), *kept], left=sorted(left))


def trained(checkpoint: Checkpoint) -> FCN:
    """The network that a trained run's checkpoint holds, ready to predict."""
    assert checkpoint.net is not None
    with torch.random.fork_rng(devices=[]):  # its random start is overwritten: leave the caller's generator alone
        net = FCN(checkpoint.net)
    missing = transplant(net, checkpoint.state)
    assert not missing, missing
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
    if checkpoint.net is None:
        return
    # A foreign file of weights doesn't tell what its skips were scaled by: that is the run's to say.
    problem = misfit(net, checkpoint.net, scaled="run" in checkpoint.provenance)
    if problem is not None:
        raise InputError(f"{where} {problem}")
