"""From a net's shape and a checkpoint to a network: what is handed over, what stays, what is refused."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from fcn.errors import InputError
from fcn.nets import backbones
from fcn.nets.build import start, trained
from fcn.nets.checkpoint import Checkpoint, load, save
from fcn.nets.fcn import FCN
from fcn.nets.preprocessing import preset
from fcn.shape import Backbone, Net, misfit
from tests.nets.shapes import LEARNED, Pad, Stride, Upsampled, scores, shape

CLASSES = 5
SCORES = ["heads.semantic.score_fr.weight", "heads.semantic.score_fr.bias"]


def small(architecture: str = "vgg16") -> Backbone:
    return Backbone(architecture=architecture, width=1 / 16, fc=12, input_px=224, dropout=0.5)


def small_net(
    stride: Stride = 32, *, upsampling: Upsampled = "fixed", pad: Pad = "same", architecture: str = "vgg16"
) -> Net:
    return shape(small(architecture), stride, classes=CLASSES, upsampling=upsampling, pad=pad)


def of_classifier(backbone: Backbone, state: dict[str, Tensor]) -> Checkpoint:
    return Checkpoint(
        backbone=backbone, net=None, targets={}, preprocessing={"rgb": preset("sample")}, state=state, provenance={}
    )


def of_net(net: FCN, *, provenance: Mapping[str, str] | None = None) -> Checkpoint:
    return Checkpoint(
        backbone=net.net.backbone,
        net=net.net,
        targets={},
        preprocessing={"rgb": preset("sample")},
        state=net.state_dict(),
        provenance=provenance or {"run": "a-run"},
    )


def taught(net: Net) -> FCN:
    """A net whose every tensor has moved away from its start."""
    made = FCN(net)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.05)
    return made


def photo() -> Tensor:
    return torch.randn(1, 3, 61, 75, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("architecture", backbones.names())
def test_a_classifier_hands_over_its_trunk(architecture: str) -> None:
    """The net's maps become the classifier's; its last layer stays behind, and the net answers zero."""
    backbone, module = small(architecture), backbones.load(architecture)
    classifier = module.classifier(width=backbone.width, fc=backbone.fc, input_px=224, classes=3)
    state = {name: tensor.clone() for name, tensor in classifier.state_dict().items()}
    net = FCN(small_net(architecture=architecture))
    handed = start(net, of_classifier(backbone, state), where="it")
    assert handed.new == SCORES
    last = "fc" if architecture.startswith("googlenet") else "classifier.6"
    assert handed.left == [f"{last}.bias", f"{last}.weight"]
    trunk = module.trunk(classifier, dropout=0.0).eval()
    trunk.pad("same")
    with torch.inference_mode():
        assert torch.equal(net.eval().trunk(photo())[32], trunk(photo())[32])
        assert not scores(net, photo()).any()


def test_depth_starts_with_the_mean_of_a_classifiers_filters() -> None:
    """Beside RGB, whose filters are the classifier's, depth has their mean over the channels."""
    weight = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    net = FCN(replace(small_net(), inputs=("rgb", "depth")))
    start(net, of_classifier(small(), {"features.0.weight": weight}), where="it")
    assert torch.equal(net.trunk.first.weight, torch.cat([weight, weight.mean(1, keepdim=True)], 1))


@pytest.mark.parametrize("architecture", ["alexnet", "vgg16"])
def test_convolutions_alone_leave_fc6_and_fc7_at_their_start(architecture: str) -> None:
    """From weights without fully connected layers, fc6 and fc7 keep their start, and are named."""
    backbone, module = small(architecture), backbones.load(architecture)
    classifier = module.classifier(width=backbone.width, fc=backbone.fc, input_px=224, classes=3)
    state = {name: tensor for name, tensor in classifier.state_dict().items() if name.startswith("features.")}
    net = FCN(small_net(architecture=architecture))
    before = net.trunk.get_submodule("fc6").state_dict()["weight"].clone()
    handed = start(net, of_classifier(backbone, state), where="it")
    fresh = ["trunk.fc6.weight", "trunk.fc6.bias", "trunk.fc7.weight", "trunk.fc7.bias"]
    assert handed.new == [*fresh, *SCORES]
    assert handed.left == []
    assert torch.equal(net.state_dict()["trunk.fc6.weight"], before)
    assert torch.equal(net.state_dict()["trunk.features.0.weight"], state["features.0.weight"])


def test_from_nothing_everything_is_fresh() -> None:
    """A checkpoint without tensors leaves the whole net at its start."""
    net = FCN(small_net(8))
    handed = start(net, of_classifier(small(), {}), where="it")
    assert handed.new == list(net.state_dict())
    assert handed.left == []


@pytest.mark.parametrize(("parent", "child", "skip"), [(32, 16, "pool4"), (16, 8, "pool3")])
@pytest.mark.parametrize("upsampling", LEARNED)
def test_a_parent_hands_over_all_that_it_has(parent: Stride, child: Stride, skip: str, upsampling: Upsampled) -> None:
    """All of a parent's tensors arrive but its last upsampling, whose factor is another; the new skip is fresh."""
    donor = taught(small_net(parent, upsampling=upsampling))
    net = FCN(small_net(child, upsampling=upsampling))
    last = "heads.semantic.upscore.weight"
    bilinear = net.state_dict().get(last, torch.zeros(0)).clone()
    handed = start(net, of_net(donor), where="it")
    new = {f"heads.semantic.score_{skip}.weight", f"heads.semantic.score_{skip}.bias"}
    new |= set() if upsampling == "fixed" else {f"heads.semantic.upscore_{skip}.weight"}
    new |= {last} if upsampling == "all" else set()
    assert set(handed.new) == new
    assert handed.left == ([last] if upsampling == "all" else [])
    own = net.state_dict()
    for name, tensor in donor.state_dict().items():
        if name != last:
            assert torch.equal(own[name], tensor), name
    assert torch.equal(own.get(last, torch.zeros(0)), bilinear)
    assert not own[f"heads.semantic.score_{skip}.weight"].any()


def test_a_net_of_the_same_stride_is_taken_whole() -> None:
    """Training that goes on from a net of its own kind starts as that net, learned upsampling included."""
    net = small_net(16, upsampling="all")
    donor, made = taught(net), FCN(net)
    handed = start(made, of_net(donor), where="it")
    assert (handed.new, handed.left) == ([], [])
    assert all(torch.equal(tensor, donor.state_dict()[name]) for name, tensor in made.state_dict().items())


def test_a_net_takes_over_every_head_of_its_parent() -> None:
    """A finer net of two heads starts with both heads' layers, and may have a third that starts at zero."""
    heads = {"semantic": CLASSES, "geometric": 3}
    donor = taught(replace(small_net(32), heads=heads))
    net = FCN(replace(small_net(16), heads={**heads, "depth": 2}))
    handed = start(net, of_net(donor), where="it")
    own = net.state_dict()
    assert all(torch.equal(own[name], tensor) for name, tensor in donor.state_dict().items())
    assert {name.split(".")[1] for name in handed.new if "score_fr" in name} == {"depth"}
    assert {name.split(".")[1] for name in handed.new if "score_pool4" in name} == {*heads, "depth"}


# What a net of a parent's shape can start, and what it can't: the child's shape, the parent's, and what is said.
Change = dict[str, Any]
REFUSED: dict[str, tuple[tuple[Stride, Change], tuple[Stride, Change], str]] = {
    "another class count": (
        (16, {}),
        (32, {"heads": {"semantic": 21}}),
        "has 21 classes for 'semantic', the run's net 5 classes; start from what was trained on the same classes, ",
    ),
    "a head less": (
        (16, {}),
        (32, {"heads": {"semantic": 5, "geometric": 3}}),
        "has 3 classes for 'geometric', the run's net no head 'geometric'; start from what was trained on the same ",
    ),
    "other inputs": ((16, {}), (32, {"inputs": ("rgb", "depth")}), "takes rgb, depth, the run's net rgb; both"),
    "a finer parent": (
        (32, {}),
        (16, {}),
        "has a stride of 16 px, the run's net 32: its finer skips would be lost; start from a net of the same stride",
    ),
    "the finest parent": ((16, {}), (8, {}), "has a stride of 8 px, the run's net 16: its finer skips would be lost"),
    "same to 100": ((16, {"pad": 100}), (32, {}), "was trained with pad same, the run's net has 100; write pad: same"),
    "100 to same": ((16, {}), (32, {"pad": 100}), "was trained with pad 100, the run's net has same; write pad: 100"),
    "staged to at once": (
        (8, {"scales": {16: 0.01, 8: 0.0001}}),
        (16, {}),
        "scales the skip of stride 16 by 1, the run's net by 0.01; use the same scales",
    ),
    "at once to staged": (
        (8, {}),
        (8, {"scales": {16: 0.01, 8: 0.0001}}),
        "scales the skip of stride 16 by 0.01, the run's net by 1; use the same scales",
    ),
    "another scale of the finest": (
        (8, {"scales": {8: 0.5}}),
        (8, {"scales": {8: 0.25}}),
        "scales the skip of stride 8 by 0.25, the run's net by 0.5; use the same scales",
    ),
    "all to intermediate": (
        (16, {"upsampling": "intermediate"}),
        (16, {"upsampling": "all"}),
        r"has learned its upsampling (all), which a net with upsampling intermediate would lose; write upsampling: all",
    ),
    "all to fixed, of 32s": (
        (32, {}),
        (32, {"upsampling": "all"}),
        "has learned its upsampling (all), which a net with upsampling fixed would lose",
    ),
    "all to fixed, finer": (
        (16, {}),
        (32, {"upsampling": "all"}),
        "has learned its upsampling (all), which a net with upsampling fixed would lose",
    ),
    "intermediate to fixed": (
        (8, {}),
        (16, {"upsampling": "intermediate"}),
        "has learned its upsampling (intermediate), which a net with upsampling fixed would lose",
    ),
}
ACCEPTED: dict[str, tuple[tuple[Stride, Change], tuple[Stride, Change]]] = {
    "32s to 16s": ((16, {}), (32, {})),
    "16s to 8s": ((8, {}), (16, {})),
    "32s to 8s": ((8, {}), (32, {})),
    "the same shape": ((16, {}), (16, {})),
    "pad 100 throughout": ((16, {"pad": 100}), (32, {"pad": 100})),
    "learned throughout": ((8, {"upsampling": "all"}), (16, {"upsampling": "all"})),
    "fixed to learned": ((16, {"upsampling": "all"}), (32, {})),
    "intermediate to all": ((8, {"upsampling": "all"}), (16, {"upsampling": "intermediate"})),
    "intermediate of 32s, which has none": ((16, {}), (32, {"upsampling": "intermediate"})),
    "scales of new skips": ((8, {"scales": {16: 0.01, 8: 0.0001}}), (32, {})),
    "the same scales": ((8, {"scales": {16: 0.01, 8: 0.0001}}), (16, {"scales": {16: 0.01}})),
    "a scale that is 1": ((8, {"scales": {16: 1.0}}), (16, {})),
    "a head more": ((16, {"heads": {"semantic": 5, "geometric": 3}}), (32, {})),
}


def made(stride: Stride, changes: Change) -> Net:
    return replace(small_net(stride), **changes)


@pytest.mark.parametrize(("child", "parent", "sentence"), REFUSED.values(), ids=REFUSED)
def test_a_hand_over_that_would_lose_something_is_refused(
    child: tuple[Stride, Change], parent: tuple[Stride, Change], sentence: str
) -> None:
    """`misfit` says what would be lost and what to write instead; `start` refuses with it, and changes nothing."""
    problem = misfit(made(*child), made(*parent))
    assert problem is not None
    assert sentence in problem
    net, donor = FCN(made(*child)), of_net(taught(made(*parent)))
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with pytest.raises(InputError) as caught:
        start(net, donor, where="nets/parent.pt")
    assert str(caught.value) == f"nets/parent.pt {problem}"
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


@pytest.mark.parametrize(("child", "parent"), ACCEPTED.values(), ids=ACCEPTED)
def test_a_hand_over_that_loses_nothing_is_accepted(
    child: tuple[Stride, Change], parent: tuple[Stride, Change]
) -> None:
    """`misfit` has nothing to say, and `start` takes over every tensor but a last upsampling of another stride."""
    assert misfit(made(*child), made(*parent)) is None
    net, donor = FCN(made(*child)), taught(made(*parent))
    handed = start(net, of_net(donor), where="it")
    own = net.state_dict()
    for name, tensor in donor.state_dict().items():
        if child[0] != parent[0] and name.endswith(".upscore.weight"):
            assert name in handed.left
        else:
            assert torch.equal(own[name], tensor), name
            assert name not in handed.new


def test_scales_that_a_foreign_file_does_not_tell_are_the_runs_to_say() -> None:
    """Released nets don't tell whether their skips are scaled: a run may say so, of its own nets it may not."""
    donor, net = taught(small_net(8)), FCN(made(8, {"scales": {16: 0.01, 8: 0.0001}}))
    assert misfit(net.net, donor.net, scaled=False) is None
    foreign = of_net(donor, provenance={"weights": "fcn8s-released", "kind": "pytorch_fcn"})
    assert start(net, foreign, where="it").new == []
    with pytest.raises(InputError, match=r"scales the skip of stride 16 by 1, the run's net by 0\.01"):
        start(net, of_net(donor), where="it")


def test_another_backbone_is_refused() -> None:
    """A checkpoint, of a net or of a classifier, of another backbone is refused by the field that differs."""
    net = FCN(small_net(16))
    donor = of_net(taught(small_net()))
    for field, value in (("width", 0.5), ("architecture", "alexnet"), ("fc", 9), ("input_px", 96)):
        other: Any = {field: value}
        for checkpoint in (donor, of_classifier(small(), {})):
            foreign = replace(checkpoint, backbone=replace(small(), **other))
            with pytest.raises(InputError) as caught:
                start(net, foreign, where="it")
            wanted = getattr(small(), field)
            assert str(caught.value).startswith(f"it has a backbone with {field} {value}, the run wants {wanted}; ")


def test_dropout_is_no_shape() -> None:
    """Weights that were trained with another dropout are taken: it has no tensors."""
    donor = of_net(taught(small_net()))
    other = replace(donor, backbone=replace(small(), dropout=0.0))
    assert start(FCN(small_net(16)), other, where="it").left == []


@pytest.mark.parametrize("kind", ["fcn", "classifier"])
def test_a_tensor_of_another_shape_is_refused(kind: str) -> None:
    """A checkpoint whose tensor doesn't have the shape that its description promises is refused by name."""
    net = FCN(small_net())
    if kind == "fcn":
        donor = of_net(taught(small_net()))
        donor.state["trunk.fc7.weight"] = torch.zeros(12, 13, 1, 1)
    else:
        donor = of_classifier(small(), {"classifier.3.weight": torch.zeros(12, 13)})
    with pytest.raises(InputError, match=r"fc7\.weight with shape \(12, 13.*wants \(12, 12, 1, 1\)"):
        start(net, donor, where="it")


@pytest.mark.parametrize("architecture", backbones.names())
@pytest.mark.parametrize(
    ("stride", "upsampling", "pad"), [(32, "fixed", 100), (16, "intermediate", "same"), (8, "all", 100)]
)
def test_a_trained_net_comes_back_from_its_file(
    tmp_path: Path, architecture: str, stride: Stride, upsampling: Upsampled, pad: Literal[100, "same"]
) -> None:
    """Saved and loaded, a net gives the same scores to the bit, and its making leaves torch's generator alone."""
    donor = taught(small_net(stride, upsampling=upsampling, pad=pad, architecture=architecture)).eval()
    save(of_net(donor), tmp_path / "net.pt")
    before = torch.get_rng_state()
    net = trained(load(tmp_path / "net.pt"))
    assert torch.equal(torch.get_rng_state(), before)
    assert net.net == donor.net
    assert not net.training
    with torch.inference_mode():
        wanted = scores(donor, photo())
        assert wanted.std() > 0
        assert torch.equal(scores(net, photo()), wanted)


def test_a_net_is_a_function_of_the_seed() -> None:
    """Two nets built after the same seed are equal, after another they are not."""
    nets = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        nets.append(FCN(small_net(8)).state_dict())
    assert all(torch.equal(tensor, nets[1][name]) for name, tensor in nets[0].items())
    assert not torch.equal(nets[0]["trunk.features.0.weight"], nets[2]["trunk.features.0.weight"])
