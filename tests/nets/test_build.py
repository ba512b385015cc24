"""From a line of params and a checkpoint to a network: what is handed over, what stays, what is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import Tensor

from fcn.entries import ListRef, Run
from fcn.errors import InputError
from fcn.nets import backbones
from fcn.nets.build import build, start, trained
from fcn.nets.checkpoint import Checkpoint, load, save
from fcn.nets.fcn import FCN
from fcn.nets.preprocessing import preset
from fcn.shape import Backbone

CLASSES = 5
SKIPS: dict[int, Literal["none", "staged"]] = {32: "none", 16: "staged", 8: "staged"}
Stride = Literal[32, 16, 8]
Upsampled = Literal["fixed", "intermediate", "all"]


def small(architecture: str = "vgg16") -> Backbone:
    return Backbone(architecture=architecture, width=1 / 16, fc=12, input_px=224, dropout=0.5)


def run(stride: Stride = 32, *, upsampling: Upsampled = "fixed", pad: Literal[100, "same"] = "same") -> Run:
    images = ListRef(source="sbd", list="train")
    return Run(
        regime="cvpr",
        train=images,
        val=images,
        backbone="small",
        stride=stride,
        skips=SKIPS[stride],
        pad=pad,
        upsampling=upsampling,
        trained="all",
        init="weights/some",
        solver="some",
    )


def of_classifier(backbone: Backbone, state: dict[str, Tensor]) -> Checkpoint:
    return Checkpoint(
        kind="classifier",
        backbone=backbone,
        classes=3,
        net=None,
        preprocessing=preset("sample"),
        state=state,
        provenance={},
    )


def of_net(net: FCN, settings: Run, backbone: Backbone) -> Checkpoint:
    return Checkpoint(
        kind="fcn",
        backbone=backbone,
        classes=CLASSES,
        net={name: getattr(settings, name) for name in ("stride", "skips", "pad", "upsampling")},
        preprocessing=preset("sample"),
        state=net.state_dict(),
        provenance={},
    )


def taught(settings: Run, backbone: Backbone) -> FCN:
    """A net whose every tensor has moved away from its start."""
    net = build(settings, backbone=backbone, classes=CLASSES)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.05)
    return net


def photo() -> Tensor:
    return torch.randn(1, 3, 61, 75, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("architecture", backbones.names())
def test_a_classifier_hands_over_its_trunk(architecture: str) -> None:
    """The net's maps become the classifier's; its last layer stays behind, and the net answers zero."""
    backbone, module = small(architecture), backbones.load(architecture)
    classifier = module.classifier(width=backbone.width, fc=backbone.fc, input_px=224, classes=3)
    state = {name: tensor.clone() for name, tensor in classifier.state_dict().items()}
    net = build(run(), backbone=backbone, classes=CLASSES)
    fresh = start(net, of_classifier(backbone, state), run=run(), backbone=backbone, where="it")
    assert fresh == []
    trunk = module.trunk(classifier, dropout=0.0).eval()
    trunk.pad("same")
    with torch.inference_mode():
        assert torch.equal(net.eval().trunk(photo())[32], trunk(photo())[32])
        assert not net(photo()).any()


@pytest.mark.parametrize("architecture", ["alexnet", "vgg16"])
def test_convolutions_alone_leave_fc6_and_fc7_at_their_start(architecture: str) -> None:
    """From weights without fully connected layers, fc6 and fc7 keep their start, and are named."""
    backbone, module = small(architecture), backbones.load(architecture)
    classifier = module.classifier(width=backbone.width, fc=backbone.fc, input_px=224, classes=3)
    state = {name: tensor for name, tensor in classifier.state_dict().items() if name.startswith("features.")}
    net = build(run(), backbone=backbone, classes=CLASSES)
    before = net.trunk.get_submodule("fc6").state_dict()["weight"].clone()
    fresh = start(net, of_classifier(backbone, state), run=run(), backbone=backbone, where="it")
    assert fresh == ["trunk.fc6.weight", "trunk.fc6.bias", "trunk.fc7.weight", "trunk.fc7.bias"]
    assert torch.equal(net.state_dict()["trunk.fc6.weight"], before)
    assert torch.equal(net.state_dict()["trunk.features.0.weight"], state["features.0.weight"])


def test_from_nothing_everything_is_fresh() -> None:
    """A checkpoint without tensors leaves the whole trunk at its start."""
    net = build(run(), backbone=small(), classes=CLASSES)
    fresh = start(net, of_classifier(small(), {}), run=run(), backbone=small(), where="it")
    assert fresh == [f"trunk.{name}" for name in net.trunk.state_dict()]


@pytest.mark.parametrize(("parent", "child", "skip"), [(32, 16, "pool4"), (16, 8, "pool3")])
@pytest.mark.parametrize("upsampling", ["fixed", "intermediate", "all"])
def test_a_parent_hands_over_all_that_it_has(parent: Stride, child: Stride, skip: str, upsampling: Upsampled) -> None:
    """All of a parent's tensors arrive but its last upsampling, whose factor is another; the new skip is fresh."""
    coarse, fine = run(parent, upsampling=upsampling), run(child, upsampling=upsampling)
    donor, net = taught(coarse, small()), build(fine, backbone=small(), classes=CLASSES)
    bilinear = net.state_dict().get("upscore.weight", torch.zeros(0)).clone()
    fresh = start(net, of_net(donor, coarse, small()), run=fine, backbone=small(), where="it")
    new = {f"score_{skip}.weight", f"score_{skip}.bias"}
    new |= set() if upsampling == "fixed" else {f"upscore_{skip}.weight"}
    new |= {"upscore.weight"} if upsampling == "all" else set()
    assert set(fresh) == new
    own = net.state_dict()
    for name, tensor in donor.state_dict().items():
        if name != "upscore.weight":
            assert torch.equal(own[name], tensor), name
    assert torch.equal(own.get("upscore.weight", torch.zeros(0)), bilinear)
    assert not own[f"score_{skip}.weight"].any()


def test_a_net_of_the_same_stride_is_taken_whole() -> None:
    """Training that goes on from a net of its own kind starts as that net, learned upsampling included."""
    settings = run(16, upsampling="all")
    donor, net = taught(settings, small()), build(settings, backbone=small(), classes=CLASSES)
    assert start(net, of_net(donor, settings, small()), run=settings, backbone=small(), where="it") == []
    assert all(torch.equal(tensor, donor.state_dict()[name]) for name, tensor in net.state_dict().items())


def test_another_class_count_is_refused() -> None:
    """A parent with other classes is refused, with both counts and the way out, and changes nothing."""
    donor = replace(of_net(taught(run(), small()), run(), small()), classes=21)
    net = build(run(16), backbone=small(), classes=CLASSES)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with pytest.raises(InputError, match="nets/parent has 21 classes, the run wants 5; start from weights/NAME"):
        start(net, donor, run=run(16), backbone=small(), where="nets/parent")
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


def test_another_backbone_is_refused() -> None:
    """A checkpoint of another width or architecture is refused by the field that differs."""
    donor = of_net(taught(run(), small()), run(), small())
    net = build(run(16), backbone=small(), classes=CLASSES)
    for other, sentence in (
        (replace(donor, backbone=replace(small(), width=0.5)), r"width 0\.5, the run wants 0\.0625"),
        (replace(donor, backbone=small("alexnet")), "architecture alexnet, the run wants vgg16"),
    ):
        with pytest.raises(InputError, match=sentence):
            start(net, other, run=run(16), backbone=small(), where="it")


@pytest.mark.parametrize("kind", ["fcn", "classifier"])
def test_a_tensor_of_another_shape_is_refused(kind: str) -> None:
    """A checkpoint whose tensor doesn't have the shape that its description promises is refused by name."""
    net = build(run(), backbone=small(), classes=CLASSES)
    if kind == "fcn":
        donor = of_net(taught(run(), small()), run(), small())
        donor.state["trunk.fc7.weight"] = torch.zeros(12, 13, 1, 1)
    else:
        donor = of_classifier(small(), {"classifier.3.weight": torch.zeros(12, 13)})
    with pytest.raises(InputError, match=r"fc7\.weight with shape \(12, 13.*wants \(12, 12, 1, 1\)"):
        start(net, donor, run=run(), backbone=small(), where="it")


@pytest.mark.parametrize("architecture", backbones.names())
@pytest.mark.parametrize(
    ("stride", "upsampling", "pad"), [(32, "fixed", 100), (16, "intermediate", "same"), (8, "all", 100)]
)
def test_a_trained_net_comes_back_from_its_file(
    tmp_path: Path, architecture: str, stride: Stride, upsampling: Upsampled, pad: Literal[100, "same"]
) -> None:
    """Saved and loaded, a net gives the same scores to the bit, and its making leaves torch's generator alone."""
    settings = run(stride, upsampling=upsampling, pad=pad)
    donor = taught(settings, small(architecture)).eval()
    save(of_net(donor, settings, small(architecture)), tmp_path / "net.pt")
    before = torch.get_rng_state()
    net = trained(load(tmp_path / "net.pt"))
    assert torch.equal(torch.get_rng_state(), before)
    assert not net.training
    with torch.inference_mode():
        wanted = donor(photo())
        assert wanted.std() > 0
        assert torch.equal(net(photo()), wanted)


def test_a_net_is_a_function_of_the_seed() -> None:
    """Two nets built after the same seed are equal, after another they are not."""
    nets = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        nets.append(build(run(8), backbone=small(), classes=CLASSES).state_dict())
    assert all(torch.equal(tensor, nets[1][name]) for name, tensor in nets[0].items())
    assert not torch.equal(nets[0]["trunk.features.0.weight"], nets[2]["trunk.features.0.weight"])
