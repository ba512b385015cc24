"""From a run's line of params, or from a checkpoint, to a network."""

from typing import Literal, cast

import torch

from fcn.config import Backbone, Run
from fcn.nets import backbones
from fcn.nets.checkpoint import Checkpoint, matching
from fcn.nets.fcn import FCN
from fcn.nets.surgery import transplant


def build(run: Run, *, backbone: Backbone, classes: int) -> FCN:
    """The run's network, at its random start."""
    return FCN(backbone, classes=classes, stride=run.stride, skips=run.skips, pad=run.pad, upsampling=run.upsampling)


def start(net: FCN, checkpoint: Checkpoint, *, run: Run, backbone: Backbone, where: str) -> list[str]:
    """Transplant `checkpoint` into the run's net; the names of the tensors that keep their start are returned.

    A classifier's last layer stays behind. A net with a larger stride hands over all that it has: the new score
    layers start at zero, so that the finer net starts with its parent's predictions (CVPR section 4.2).
    """
    classes = net.score_fr.out_channels
    matching(checkpoint, backbone=backbone, classes=classes, upsampling=run.upsampling, where=where)
    if checkpoint.kind == "fcn":
        own = net.state_dict()
        handed = {name: tensor for name, tensor in checkpoint.state.items() if name in own}
        if checkpoint.net is not None and checkpoint.net["stride"] != run.stride:
            handed.pop("upscore.weight", None)  # it upsamples by the parent's stride
        return transplant(net, handed)
    renamed = backbones.load(backbone.architecture).FULLY_CONNECTED
    trunk = net.trunk.state_dict()
    state = {}
    for name, tensor in checkpoint.state.items():
        layer, _, kind = name.rpartition(".")
        target = f"{renamed.get(layer, layer)}.{kind}"
        if target in trunk:
            state[target] = tensor
    return [f"trunk.{name}" for name in transplant(net.trunk, state)]


def trained(checkpoint: Checkpoint) -> FCN:
    """The network that a trained run's checkpoint holds, ready to predict."""
    assert checkpoint.kind == "fcn"
    assert checkpoint.net is not None
    settings = checkpoint.net
    pad = settings["pad"]
    with torch.random.fork_rng(devices=[]):  # its random start is overwritten: leave the caller's generator alone
        net = FCN(
            checkpoint.backbone,
            classes=checkpoint.classes,
            stride=cast(Literal[32, 16, 8], settings["stride"]),
            skips=cast(Literal["none", "staged", "atonce", "atonce-unscaled"], settings["skips"]),
            pad=pad if isinstance(pad, int) else "same",
            upsampling=cast(Literal["fixed", "intermediate", "all"], settings["upsampling"]),
        )
    missing = transplant(net, checkpoint.state)
    assert not missing, missing
    return net.eval()
