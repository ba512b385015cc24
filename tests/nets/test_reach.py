"""The exact crop and fc6 as a matrix product give what the plain network gives: scores, answers and gradients."""

import ast
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from fcn.nets.fcn import FCN
from fcn.nets.fully_connected import as_product, pays_as_product
from fcn.nets.reach import cropped
from fcn.nets.trunk import Trunk
from fcn.shape import CHANNELS, Backbone, Net
from tests.nets.shapes import PADS, STRIDES, TAPS, Pad, Stride

ROOT = Path(__file__).resolve().parents[2]
SIZES = ((1, 1), (1, 7), (33, 250), (97, 131))


def both(
    stride: Stride = 8,
    *,
    architecture: str = "vgg16",
    inputs: tuple[str, ...] = ("rgb",),
    pad: Pad = 100,
) -> tuple[FCN, FCN]:
    """The same net twice, plain and not, in float64, with biases and score layers that say something."""
    backbone = Backbone(architecture=architecture, width=1 / 16, fc=16, input_px=224, dropout=0.0)
    heads = {"semantic": 5, "geometric": 3}
    net = Net(backbone=backbone, inputs=inputs, heads=heads, taps=TAPS[stride], pad=pad, upsampling="fixed")
    torch.manual_seed(0)
    plain, fast = FCN(net, plain=True), FCN(net)
    for parameter in plain.parameters():
        if parameter.ndim == 1 or not parameter.any():
            nn.init.normal_(parameter, std=0.3)
    fast.load_state_dict(plain.state_dict())
    cpu = torch.device("cpu")
    return plain.double().on(cpu), fast.double().on(cpu)


def photos(net: FCN, height: int, width: int, *, batch: int = 2) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1000 * height + width)
    return {
        name: torch.randn(batch, CHANNELS[name], height, width, dtype=torch.float64, generator=generator)
        for name in net.net.inputs
    }


def gradients(net: FCN, images: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Scores by target, and by parameter the gradient of a random weighting of all scores."""
    net.zero_grad()
    found = net(images)
    generator = torch.Generator().manual_seed(1)
    weights = {name: torch.randn(scores.shape, generator=generator).to(scores) for name, scores in found.items()}
    torch.autograd.backward([(scores * weights[name]).sum() for name, scores in found.items()])
    kept = {name: parameter.grad for name, parameter in net.named_parameters()}
    return {k: v.detach() for k, v in found.items()}, {k: v for k, v in kept.items() if v is not None}


def assert_equal(net: FCN, plain: FCN, height: int, width: int, *, batch: int = 2) -> None:
    images = photos(net, height, width, batch=batch)
    wanted, found = gradients(plain, images), gradients(net, images)
    assert found[1].keys() == wanted[1].keys() == dict(net.named_parameters()).keys()
    for ours, theirs in zip(found, wanted, strict=True):
        for name, tensor in theirs.items():
            assert float((ours[name] - tensor).abs().max()) <= 1e-10 * float(tensor.abs().max()), name


def crops(trunk: Trunk, images: Tensor) -> bool:
    """Whether the trunk computes less than all for such images."""
    return bool(cropped({name: trunk.get_submodule(name) for name in trunk.order}, images, read=()))


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_the_crop_is_exact(height: int, width: int) -> None:
    """Scores of every head and gradients of every parameter are the plain ones to 1e-10, at sizes of every kind."""
    plain, fast = both()
    assert crops(fast.trunk, photos(fast, height, width)["rgb"])
    assert_equal(fast, plain, height, width)


@pytest.mark.parametrize("stride", STRIDES[:2])
def test_the_crop_is_exact_at_other_strides(stride: Stride) -> None:
    """So they are for FCN-32s and FCN-16s, on four channels of colour and depth."""
    plain, fast = both(stride, inputs=("rgb", "depth"))
    assert_equal(fast, plain, 40, 59)


@settings(max_examples=5)
@given(height=st.integers(1, 80), width=st.integers(1, 80))
def test_the_crop_is_exact_at_any_size(height: int, width: int) -> None:
    """So they are for whatever remainder a size leaves by the strides."""
    plain, fast = both()
    assert_equal(fast, plain, height, width, batch=1)


@pytest.mark.parametrize("architecture", ["alexnet", "caffenet", "googlenet"])
def test_other_backbones_are_exact(architecture: str) -> None:
    """Other windows, strides, groups and normalisations give the plain numbers too, cropped or not."""
    plain, fast = both(architecture=architecture)
    assert crops(fast.trunk, photos(fast, 61, 34)["rgb"]) == (architecture != "googlenet")
    assert_equal(fast, plain, 61, 34)


@pytest.mark.parametrize("pad", PADS)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_answers_are_the_plain_ones(pad: Pad, precision: str) -> None:
    """In float32 the class of every pixel is the plain one; in bfloat16, of 99 in 100."""
    plain, fast = (net.float().eval() for net in both(pad=pad))
    images = {"rgb": photos(fast, 97, 131)["rgb"].float()}
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bfloat16"):
        wanted, found = plain.predict(images), fast.predict(images)
    for target, answer in wanted.items():
        agreement = float((answer == found[target]).float().mean())
        assert agreement == 1 if precision == "float32" else agreement > 0.99


def test_bfloat16_trains() -> None:
    """Under autocast gradients are float32, in the memory order of their weights, and near the plain ones."""
    plain, fast = (net.float() for net in both())
    images = {"rgb": photos(fast, 33, 50)["rgb"].float()}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        (_, wanted), (_, found) = gradients(plain, images), gradients(fast, images)
    for name, parameter in fast.named_parameters():
        assert found[name].dtype == torch.float32
        assert found[name].stride() == parameter.stride()
        assert float((found[name] - wanted[name]).norm()) <= 0.05 * float(wanted[name].norm())


def test_a_large_image_is_computed_whole() -> None:
    """Where the border is a small part of the map the crop saves too little, and the network is the plain one."""
    small = both()[0].net
    with torch.device("meta"):
        net = FCN(small)
        assert not crops(net.trunk, torch.empty(1, 3, 3000, 4000))
        assert crops(net.trunk, torch.empty(1, 3, 375, 500))


@pytest.mark.parametrize(("kernel", "padding"), [(7, 0), (3, 1), (1, 0)])
def test_a_convolution_is_a_product(kernel: int, padding: int) -> None:
    """As a matrix product, a convolution gives the same map and gradients, these in its weight's memory order."""
    layer = nn.Conv2d(6, 32, kernel, padding=padding).double().to(memory_format=torch.channels_last)
    images = torch.randn(2, 6, 9, 8, dtype=torch.float64, requires_grad=True)
    assert pays_as_product(layer, images) == (kernel == 7)
    results = []
    ways: list[Callable[[Tensor], Tensor]] = [layer, lambda given: as_product(layer, given)]
    for way in ways:
        found = way(images)
        of = [images, *layer.parameters()]
        weighted = (found * torch.arange(found.numel()).view_as(found)).sum()
        results.append([found.detach(), *torch.autograd.grad(weighted, of)])
    for wanted, ours in zip(*results, strict=True):
        torch.testing.assert_close(ours, wanted, rtol=1e-10, atol=1e-8)
    assert results[1][2].stride() == layer.weight.stride()


def test_a_product_pays_for_no_more_patches_than_kernels() -> None:
    """Of the batch's 2 x 2 x 3 places 12 kernels make a product, 11 a convolution; so do those in another order."""
    images = torch.empty(2, 6, 6, 7)
    for channels in (11, 12):
        layer = nn.Conv2d(6, channels, 7, padding=1)
        assert not pays_as_product(layer, images)
        assert pays_as_product(layer.to(memory_format=torch.channels_last), images) == (channels == 12)


def test_the_plain_net_applies_every_layer_to_the_whole_map() -> None:
    """A net that is wanted plain calls every layer on all of its map; another one doesn't."""
    for plain, net in zip((True, False), both(), strict=True):
        sizes: list[torch.Size] = []
        conv1_2 = net.trunk.get_submodule("features.2")
        conv1_2.register_forward_hook(lambda _, given, __, sizes=sizes: sizes.append(given[0].shape[2:]))
        net(photos(net, 20, 30))
        assert (torch.Size((218, 228)) in sizes) == plain


def test_one_word_of_the_environment_makes_every_net_plain() -> None:
    """Wherever a stage, a command or MLflow's model makes a net that computes, it hands it what FCN_PLAIN says."""
    for path in sorted(path for room in ("stages", "commands", "publishing") for path in ROOT.glob(f"fcn/{room}/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"FCN", "trained", "Predictor.load", "Answers"}:
                handed = {word.arg: ast.unparse(word.value) for word in node.keywords}
                assert handed.get("plain") == "wants_it_plain()", (path.name, node.lineno)
