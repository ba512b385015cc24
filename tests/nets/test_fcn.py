"""The fully convolutional network answers every pixel of any image, in its place, and starts from nothing."""

import itertools
from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from fcn.nets import backbones
from fcn.nets.fcn import FCN
from fcn.shape import Backbone

Stride = Literal[32, 16, 8]
Pad = int | Literal["same"]
CLASSES = 7
STRIDES: tuple[Stride, ...] = (32, 16, 8)
PADS: tuple[Pad, ...] = (100, "same")
NETS = list(itertools.product(backbones.names(), STRIDES, PADS))


def fcn(
    architecture: str = "vgg16",
    stride: Stride = 8,
    *,
    pad: Pad = 100,
    skips: Literal["staged", "atonce", "atonce-unscaled"] = "staged",
    width: float = 1 / 32,
    upsampling: Literal["fixed", "intermediate", "all"] = "fixed",
) -> FCN:
    backbone = Backbone(architecture=architecture, width=width, fc=16, input_px=224, dropout=0.5)
    return FCN(
        backbone,
        classes=CLASSES,
        stride=stride,
        skips="none" if stride == 32 else skips,
        pad=pad,
        upsampling=upsampling,
    )


def scored(net: FCN, *, seed: int = 0) -> FCN:
    """The net with score layers that say something, ready to predict."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in net.named_parameters():
        if name.startswith("score_"):
            nn.init.normal_(parameter, std=0.3, generator=generator)
    return net.eval()


def photo(height: int, width: int, *, batch: int = 1) -> Tensor:
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(height + width))


@pytest.mark.parametrize(("architecture", "stride", "pad"), NETS)
def test_scores_have_the_images_size(architecture: str, stride: Stride, pad: Pad) -> None:
    """An image of any height and width gets as many scores as it has pixels."""
    with torch.device("meta"):
        net = fcn(architecture, stride, pad=pad)

    @settings(max_examples=8)
    @given(height=st.integers(1, 200), width=st.integers(1, 200), batch=st.integers(1, 2))
    def answers(height: int, width: int, batch: int) -> None:
        scores = net(torch.empty(batch, 3, height, width, device="meta"))
        assert scores.shape == (batch, CLASSES, height, width)

    answers()


@pytest.mark.parametrize("upsampling", ["fixed", "intermediate", "all"])
@pytest.mark.parametrize("pad", [100, "same"])
@pytest.mark.parametrize("architecture", backbones.names())
def test_real_numbers_come_out_at_awkward_sizes(
    architecture: str, pad: Pad, upsampling: Literal["fixed", "intermediate", "all"]
) -> None:
    """A net with memory answers one pixel, a thin strip and sizes that no stride divides, with finite scores."""
    net = scored(fcn(architecture, 8, pad=pad, upsampling=upsampling, width=1 / 64))
    with torch.inference_mode():
        for height, width in ((1, 1), (1, 97), (33, 2), (65, 41)):
            scores = net(photo(height, width))
            assert scores.shape == (1, CLASSES, height, width)
            assert bool(torch.isfinite(scores).all())


@pytest.mark.parametrize("upsampling", ["fixed", "intermediate", "all"])
@pytest.mark.parametrize("stride", [32, 16, 8])
def test_a_fresh_net_answers_zero(stride: Stride, upsampling: Literal["fixed", "intermediate", "all"]) -> None:
    """Score layers start at zero, so that a fresh net favours no class anywhere."""
    net = fcn("vgg16", stride, upsampling=upsampling).eval()
    with torch.inference_mode():
        assert not net(photo(40, 50)).any()
        assert net.trunk(photo(40, 50))[32].any()


def test_only_learned_upsampling_has_parameters() -> None:
    """Fixed nets learn no upsampling, "intermediate" the factors of 2, "all" the last one too (CVPR section 4.3)."""
    learned = {
        upsampling: {name for name, _ in fcn(upsampling=upsampling).named_parameters() if name.startswith("upscore")}
        for upsampling in ("fixed", "intermediate", "all")
    }
    skips = {"upscore_pool4.weight", "upscore_pool3.weight"}
    assert learned == {"fixed": set(), "intermediate": skips, "all": skips | {"upscore.weight"}}


@pytest.mark.parametrize("stride", [16, 8])
def test_at_once_scales_the_maps(stride: Stride) -> None:
    """At once, pool4 counts a hundredth and pool3 a ten-thousandth: weights as much larger give the staged net."""
    staged = scored(fcn("vgg16", stride))
    at_once = fcn("vgg16", stride, skips="atonce").eval()
    at_once.load_state_dict(staged.state_dict())
    images = photo(70, 50)
    with torch.inference_mode():
        assert not torch.allclose(at_once(images), staged(images))
        at_once.get_submodule("score_pool4").weight.mul_(100)  # type: ignore[operator]  # a tensor
        if stride == 8:
            at_once.get_submodule("score_pool3").weight.mul_(10_000)  # type: ignore[operator]  # a tensor
        torch.testing.assert_close(at_once(images), staged(images), rtol=1e-4, atol=1e-5)
    assert at_once.scales == ({16: 0.01} if stride == 16 else {16: 0.01, 8: 0.0001})


@pytest.mark.parametrize("stride", [16, 8])
def test_at_once_unscaled_is_the_staged_network(stride: Stride) -> None:
    """At once and unscaled, the same weights give the staged net's scores: only the training differs."""
    staged = scored(fcn("vgg16", stride))
    at_once = fcn("vgg16", stride, skips="atonce-unscaled").eval()
    at_once.load_state_dict(staged.state_dict())
    images = photo(70, 50)
    assert torch.equal(at_once.predict(images), staged.predict(images))


@pytest.mark.parametrize("pad", [100, "same"])
@pytest.mark.parametrize("architecture", backbones.names())
def test_an_image_that_moves_takes_its_scores_along(architecture: str, pad: Pad) -> None:
    """Where no border is in sight, an image that moves by the stride of 32 px moves its scores by as much."""
    net = scored(fcn(architecture, 8, pad=pad, width=1 / 64))
    reach = net.trunk.geometry(32).receptive_field_px // 2 + 56  # upsampling by 2, 2 and 8 looks 56 px far
    side = 2 * reach + 32 + 16
    scene = photo(side + 32, side + 32)
    with torch.inference_mode():
        here, there = net(scene[:, :, 32:, :side]), net(scene[:, :, :side, 32:])
    inside = slice(reach, side - 32 - reach)
    moved = slice(inside.start + 32, inside.stop + 32)
    wanted = here[:, :, inside, moved]
    assert wanted.std() > 0
    tolerance = 1e-4 * float(wanted.abs().max())
    torch.testing.assert_close(there[:, :, moved, inside], wanted, rtol=1e-4, atol=tolerance)


@pytest.mark.parametrize("architecture", backbones.names())
def test_images_of_a_batch_do_not_meet(architecture: str) -> None:
    """An image has the same scores alone and beside others."""
    net = scored(fcn(architecture, 8))
    images = photo(40, 60, batch=3)
    with torch.inference_mode():
        together, alone = net(images), torch.cat([net(image[None]) for image in images])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5 * float(alone.abs().max()))


@pytest.mark.parametrize("architecture", backbones.names())
def test_every_tensor_has_a_gradient(architecture: str) -> None:
    """A loss on the scores reaches every parameter, skips and learned upsampling included."""
    net = scored(fcn(architecture, 8, upsampling="all")).train()
    (net(photo(48, 48)) ** 2).mean().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert bool(torch.isfinite(parameter.grad).all()), name


def test_batch_normalisation_keeps_the_classifiers_statistics() -> None:
    """New or in training mode, dropout acts, and batch normalisation stays as the classifier left it."""
    net = fcn("googlenet")
    before = {name: tensor.clone() for name, tensor in net.named_buffers()}
    norms = [layer for layer in net.modules() if isinstance(layer, nn.BatchNorm2d)]
    drops = [layer for layer in net.modules() if isinstance(layer, nn.Dropout)]
    assert norms
    assert drops
    assert not any(layer.training for layer in norms)
    assert all(layer.training for layer in drops)
    net(photo(64, 64))
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.named_buffers())
    assert not any(layer.training for layer in net.eval().modules())
    assert not any(layer.training for layer in norms)
    assert all(layer.training for layer in net.train().modules() if isinstance(layer, nn.Dropout))
    assert not any(layer.training for layer in norms)


def test_a_prediction_is_a_class_for_every_pixel() -> None:
    """`predict` gives uint8 of the images' size: the class whose score is the highest."""
    net = scored(fcn("vgg16", 16))
    images = photo(45, 70, batch=2)
    found = net.predict(images)
    assert found.dtype == torch.uint8
    assert found.shape == (2, 45, 70)
    assert torch.equal(found.long(), net(images).argmax(1))
    assert bool((found != found[0, 0, 0]).any())


def test_predicting_leaves_training_alone() -> None:
    """A net that predicted an image can be trained on one of the same size."""
    net = scored(fcn("vgg16", 8))
    net.predict(photo(44, 52))
    net(photo(44, 52)).sum().backward()
    assert net.score_fr.weight.grad is not None
    assert net.score_fr.weight.grad.any()


def test_the_memory_order_changes_nothing() -> None:
    """On a device, with channels last, the net scores as it did."""
    net = scored(fcn("vgg16", 8))
    images = photo(44, 52)
    with torch.inference_mode():
        wanted = net(images)
        found = net.on(torch.device("cpu"))(images.contiguous(memory_format=torch.channels_last))
    assert net.trunk.first.weight.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5 * float(wanted.abs().max()))
