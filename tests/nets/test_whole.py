"""A checkpoint's tensors are those of its own net, or it is refused: as a parent, and to predict with."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from fcn.errors import InputError
from fcn.nets.build import start, trained
from fcn.nets.checkpoint import Checkpoint
from fcn.nets.fcn import FCN
from fcn.nets.preprocessing import preset
from fcn.shape import Backbone
from tests.nets.shapes import shape

BACKBONE = Backbone(architecture="vgg16", width=1 / 32, fc=4, input_px=64, dropout=0.5)
PARENT, CHILD = shape(BACKBONE, 32, classes=3), shape(BACKBONE, 16, classes=3)
BIAS = "heads.semantic.score_fr.bias"


def made() -> Checkpoint:
    return Checkpoint(
        backbone=BACKBONE,
        net=PARENT,
        targets={},
        preprocessing={"rgb": preset("sample")},
        state=FCN(PARENT).state_dict(),
        provenance={"run": "a-run"},
    )


def lacking(state: dict[str, Tensor]) -> None:
    del state[BIAS]


def lacking_two(state: dict[str, Tensor]) -> None:
    del state[BIAS], state["trunk.fc7.bias"]


def adding(state: dict[str, Tensor]) -> None:
    state["heads.semantic.score_pool4.bias"] = torch.zeros(3)


def reshaping(state: dict[str, Tensor]) -> None:
    state["trunk.fc7.weight"] = state["trunk.fc7.weight"].flatten(1)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lacking, rf"lacks {BIAS}, which its own net has; make or fetch it again$"),
        (lacking_two, rf"lacks {BIAS} and 1 more, which its own net has; make or fetch it again$"),
        (adding, r"holds heads\.semantic\.score_pool4\.bias, which its own net has not; make or fetch it again$"),
        (reshaping, r"holds trunk\.fc7\.weight with shape \(4, 4\), its own net wants \(4, 4, 1, 1\); make"),
    ],
)
def test_tensors_that_are_not_the_net_s_are_refused(damage: Callable[[dict[str, Tensor]], None], sentence: str) -> None:
    """A tensor too few, too many or of another shape is named; a net that was to start from it stays as it was."""
    checkpoint = made()
    damage(checkpoint.state)
    with pytest.raises(InputError, match=f"^the checkpoint of a-run {sentence}"):
        trained(checkpoint)
    net = FCN(CHILD)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with pytest.raises(InputError, match=f"^nets/a-run.pt {sentence}"):
        start(net, checkpoint, where="nets/a-run.pt")
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


@pytest.mark.parametrize("field", [{"fc": 10**9}, {"width": 1e300}, {"input_px": 10**9}, {"input_px": 1}])
def test_a_net_that_can_t_be_is_refused(field: dict[str, Any]) -> None:
    """Sizes that no memory has, or that leave nothing to convolve, give one sentence and ask for no memory."""
    net = replace(PARENT, backbone=replace(BACKBONE, **field))
    with pytest.raises(
        InputError, match=r"^the checkpoint of a-run (describes a net that can't be built|holds trunk\.fc6)"
    ):
        trained(replace(made(), net=net, backbone=net.backbone))


def test_looking_leaves_torch_s_generator_alone() -> None:
    """What is drawn after a start doesn't depend on what was looked at before it."""
    checkpoint, net = made(), FCN(CHILD)
    before = torch.get_rng_state()
    start(net, checkpoint, where="it")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("provenance", "name"), [({"weights": "vgg16-sample"}, "vgg16-sample"), ({}, "a net")])
def test_a_classifier_is_no_net(provenance: dict[str, str], name: str) -> None:
    """Weights that no run has trained predict nothing, and are named, where they have a name."""
    with pytest.raises(InputError, match=rf"^the checkpoint of {name} holds a classifier, not a net; those that"):
        trained(replace(made(), net=None, provenance=provenance))


@pytest.mark.parametrize("net", [PARENT, None])
def test_an_input_without_preprocessing_is_refused(net: object) -> None:
    """A net starts neither from a net nor from a classifier that doesn't say how its inputs are prepared."""
    checkpoint = made()
    if net is None:
        checkpoint = replace(checkpoint, net=None, state={}, provenance={})
    child = FCN(replace(CHILD, inputs=("rgb", "depth")))
    with pytest.raises(InputError, match=r"^it has no preprocessing for rgb, depth, which the run's net takes$"):
        start(child, replace(checkpoint, preprocessing={}), where="it")


def test_what_a_foreign_net_sees_is_the_runs_to_say() -> None:
    """A released net on three channels starts one that takes HHA, if all else is alike."""
    foreign, hha = replace(made(), provenance={"weights": "it"}), replace(PARENT, inputs=("hha",))
    assert start(FCN(hha), foreign, where="it").new == []
    with pytest.raises(InputError, match="has 3 classes for 'semantic', the run's net 9 classes"):
        start(FCN(replace(hha, heads={"semantic": 9})), foreign, where="it")


def test_late_fusion_starts_from_nets_alone() -> None:
    """A classifier has no trunk for each of several inputs: it is refused, with what to start from."""
    net = FCN(replace(PARENT, inputs=("rgb", "hha"), fusion="late"))
    with pytest.raises(InputError, match=r"^it holds a classifier, and late .*; start from an entry of fusions$"):
        start(net, replace(made(), net=None, state={}, provenance={}), where="it")
