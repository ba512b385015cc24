"""The fully convolutional network answers every pixel of any image, in its place, and starts from nothing."""

import itertools
from dataclasses import replace
from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from fcn.nets import backbones
from fcn.nets.fcn import FCN, is_score_layer
from fcn.shape import Backbone, Net
from tests.nets.shapes import LEARNED, PADS, STRIDES, Pad, Stride, Upsampled, predict, scores, shape

CLASSES = 7
AT_ONCE: dict[Stride, dict[Literal[16, 8], float]] = {16: {16: 0.01}, 8: {16: 0.01, 8: 0.0001}}
NETS = list(itertools.product(backbones.names(), STRIDES, PADS))


def fcn(
    architecture: str = "vgg16",
    stride: Stride = 8,
    *,
    pad: Pad = 100,
    scaled: bool = False,
    width: float = 1 / 32,
    upsampling: Upsampled = "fixed",
) -> FCN:
    backbone = Backbone(architecture=architecture, width=width, fc=16, input_px=224, dropout=0.5)
    scales = AT_ONCE[stride] if scaled else None
    torch.manual_seed(0)
    return FCN(shape(backbone, stride, classes=CLASSES, pad=pad, upsampling=upsampling, scales=scales))


def scored(net: FCN, *, seed: int = 0) -> FCN:
    """The net with score layers that say something, ready to predict."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in net.named_parameters():
        if is_score_layer(name):
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
        found = scores(net, torch.empty(batch, 3, height, width, device="meta"))
        assert found.shape == (batch, CLASSES, height, width)

    answers()


@pytest.mark.parametrize("upsampling", LEARNED)
@pytest.mark.parametrize("pad", PADS)
@pytest.mark.parametrize("architecture", backbones.names())
def test_real_numbers_come_out_at_awkward_sizes(architecture: str, pad: Pad, upsampling: Upsampled) -> None:
    """A net with memory answers one pixel, a thin strip and sizes that no stride divides, with finite scores."""
    net = scored(fcn(architecture, 8, pad=pad, upsampling=upsampling, width=1 / 64))
    with torch.inference_mode():
        for height, width in ((1, 1), (1, 97), (33, 2), (65, 41)):
            found = scores(net, photo(height, width))
            assert found.shape == (1, CLASSES, height, width)
            assert bool(torch.isfinite(found).all())


@pytest.mark.parametrize("upsampling", LEARNED)
@pytest.mark.parametrize("stride", STRIDES)
def test_a_fresh_net_answers_zero(stride: Stride, upsampling: Upsampled) -> None:
    """Score layers start at zero, so that a fresh net favours no class anywhere."""
    net = fcn("vgg16", stride, upsampling=upsampling).eval()
    with torch.inference_mode():
        assert not scores(net, photo(40, 50)).any()
        assert net.trunk(photo(40, 50))[32].any()


def test_only_learned_upsampling_has_parameters() -> None:
    """Fixed nets learn no upsampling, "intermediate" the factors of 2, "all" the last one too (CVPR section 4.3)."""
    learned = {
        upsampling: {name for name, _ in fcn(upsampling=upsampling).named_parameters() if ".upscore" in name}
        for upsampling in LEARNED
    }
    skips = {"heads.semantic.upscore_pool4.weight", "heads.semantic.upscore_pool3.weight"}
    assert learned == {"fixed": set(), "intermediate": skips, "all": skips | {"heads.semantic.upscore.weight"}}


@pytest.mark.parametrize("stride", [16, 8])
def test_scales_multiply_the_maps(stride: Stride) -> None:
    """With the release's scales pool4 counts a hundredth and pool3 a ten-thousandth: larger weights undo them."""
    staged = scored(fcn("vgg16", stride))
    at_once = fcn("vgg16", stride, scaled=True).eval()
    at_once.load_state_dict(staged.state_dict())
    images = photo(70, 50)
    with torch.inference_mode():
        assert not torch.allclose(scores(at_once, images), scores(staged, images))
        head = at_once.head("semantic")
        head.get_submodule("score_pool4").weight.mul_(100)  # type: ignore[operator]  # a tensor
        if stride == 8:
            head.get_submodule("score_pool3").weight.mul_(10_000)  # type: ignore[operator]  # a tensor
        torch.testing.assert_close(scores(at_once, images), scores(staged, images), rtol=1e-4, atol=1e-5)
    assert head.scales == AT_ONCE[stride]
    assert set(staged.head("semantic").scales.values()) == {1.0}


def test_a_scale_alone_scales_its_own_map() -> None:
    """A net may scale one of its skips: the other's map counts as it is."""
    backbone = Backbone(architecture="vgg16", width=1 / 32, fc=16, input_px=224, dropout=0.5)
    net = FCN(shape(backbone, 8, classes=CLASSES, scales={8: 0.5}))
    assert net.head("semantic").scales == {16: 1.0, 8: 0.5}


@pytest.mark.parametrize("pad", PADS)
@pytest.mark.parametrize("architecture", backbones.names())
def test_an_image_that_moves_takes_its_scores_along(architecture: str, pad: Pad) -> None:
    """Where no border is in sight, an image that moves by the stride of 32 px moves its scores by as much."""
    net = scored(fcn(architecture, 8, pad=pad, width=1 / 64))
    reach = net.trunk.geometry(32).receptive_field_px // 2 + 56  # upsampling by 2, 2 and 8 looks 56 px far
    side = 2 * reach + 32 + 16
    scene = photo(side + 32, side + 32)
    with torch.inference_mode():
        here, there = scores(net, scene[:, :, 32:, :side]), scores(net, scene[:, :, :side, 32:])
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
        together, alone = scores(net, images), torch.cat([scores(net, image[None]) for image in images])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5 * float(alone.abs().max()))


@pytest.mark.parametrize("architecture", backbones.names())
def test_every_tensor_has_a_gradient(architecture: str) -> None:
    """A loss on the scores reaches every parameter, skips and learned upsampling included."""
    net = scored(fcn(architecture, 8, upsampling="all")).train()
    torch.autograd.backward((scores(net, photo(48, 48)) ** 2).mean())
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
    scores(net, photo(64, 64))
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.named_buffers())
    assert not any(layer.training for layer in net.eval().modules())
    assert not any(layer.training for layer in norms)
    assert all(layer.training for layer in net.train().modules() if isinstance(layer, nn.Dropout))
    assert not any(layer.training for layer in norms)


def test_a_prediction_is_a_class_for_every_pixel() -> None:
    """`predict` gives uint8 of the images' size: the class whose score is the highest."""
    net = scored(fcn("vgg16", 16))
    images = photo(45, 70, batch=2)
    found = predict(net, images)
    assert found.dtype == torch.uint8
    assert found.shape == (2, 45, 70)
    assert torch.equal(found.long(), scores(net, images).argmax(1))
    assert bool((found != found[0, 0, 0]).any())


def test_predicting_leaves_training_alone() -> None:
    """A net that predicted an image can be trained on one of the same size."""
    net = scored(fcn("vgg16", 8))
    predict(net, photo(44, 52))
    torch.autograd.backward(scores(net, photo(44, 52)).sum())
    gradient = net.head("semantic").score_fr.weight.grad
    assert gradient is not None
    assert gradient.any()


def test_the_memory_order_changes_nothing() -> None:
    """On a device, with channels last, the net scores as it did."""
    net = scored(fcn("vgg16", 8))
    images = photo(44, 52)
    with torch.inference_mode():
        wanted = scores(net, images)
        found = scores(net.on(torch.device("cpu")), images.contiguous(memory_format=torch.channels_last))
    assert net.trunk.first.weight.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5 * float(wanted.abs().max()))


def two_headed(**heads: int) -> FCN:
    backbone = Backbone(architecture="vgg16", width=1 / 32, fc=16, input_px=224, dropout=0.0)
    net = Net(backbone=backbone, inputs=("rgb",), heads=heads, taps=(16, 8), pad="same", upsampling="intermediate")
    return scored(FCN(net))


def test_every_head_scores_its_own_classes() -> None:
    """Two heads on one trunk give scores of the image's size each, one of 4 classes and one of 3."""
    net, images = two_headed(semantic=4, geometric=3), {"rgb": photo(40, 50)}
    with torch.inference_mode():
        found, coarse, answers = net(images), net.coarse_scores(images), net.predict(images)
    assert list(found) == list(coarse) == list(answers) == ["semantic", "geometric"]
    for target, classes in (("semantic", 4), ("geometric", 3)):
        assert found[target].shape == (1, classes, 40, 50)
        assert coarse[target].shape[1] == classes
        assert torch.equal(answers[target].long(), found[target].argmax(1))


def test_a_head_beside_another_scores_as_alone() -> None:
    """A head's scores depend on the trunk and its own layers, not on which heads stand beside it."""
    both, alone = two_headed(semantic=4, geometric=3), two_headed(geometric=3)
    own = {name: tensor for name, tensor in both.state_dict().items() if not name.startswith("heads.semantic.")}
    alone.load_state_dict(own)
    images = {"rgb": photo(40, 50)}
    with torch.inference_mode():
        assert torch.equal(alone(images)["geometric"], both(images)["geometric"])


def test_inputs_are_taken_by_their_names() -> None:
    """A net takes what it has among its inputs, and leaves the others alone."""
    net, image = scored(fcn("vgg16", 16)), photo(40, 50)
    with torch.inference_mode():
        found = net({"depth": torch.full((1, 1, 40, 50), torch.nan), "rgb": image})
        assert torch.equal(found["semantic"], scores(net, image))
    with pytest.raises(KeyError, match="rgb"):
        net({"depth": image})


def test_inputs_lie_side_by_side() -> None:
    """Fused early, several inputs are the channels of one trunk, in the order in which the net names them."""
    net, image = scored(fcn("vgg16", 16)), photo(40, 50)
    wider = FCN(replace(net.net, inputs=("depth", "rgb"))).eval()
    state, first = net.state_dict(), f"trunk.{net.trunk.first_weight}"
    wider.load_state_dict(state | {first: torch.cat([torch.zeros(len(state[first]), 1, 3, 3), state[first]], 1)})
    with torch.inference_mode():
        found = wider({"rgb": image, "depth": image[:, :1]})
        assert torch.equal(found["semantic"], scores(net, image))


@pytest.mark.parametrize("stride", STRIDES)
def test_late_fusion_is_the_mean_of_the_scores(stride: Stride) -> None:
    """Fused late, each input has its trunk and score layers; the coarse scores are averaged, and upsampled once."""
    rgb, hha = (scored(fcn("vgg16", stride)) for _ in range(2))
    late = FCN(replace(rgb.net, inputs=("rgb", "hha"), fusion="late")).eval()
    streams = (("rgb", rgb), ("hha", hha))
    late.load_state_dict({f"streams.{of}.{key}": item for of, net in streams for key, item in net.state_dict().items()})
    images = {"rgb": photo(40, 50), "hha": photo(40, 50).flip(3)}
    with torch.inference_mode():
        found = late(images)["semantic"]
        each = [rgb({"rgb": images["rgb"]})["semantic"], hha({"rgb": images["hha"]})["semantic"]]
        torch.testing.assert_close(found, (each[0] + each[1]) / 2, rtol=1e-4, atol=1e-4 * float(found.abs().max()))
        assert torch.equal(late.predict(images)["semantic"].long(), found.argmax(1))
    assert {name.split(".")[0] for name in late.state_dict()} == {"streams"}
    assert all(is_score_layer(name) for name, _ in late.named_parameters() if ".score_" in name)


@pytest.mark.parametrize("stride", STRIDES)
def test_scores_are_float32_under_autocast(stride: Stride) -> None:
    """A trunk in bfloat16 has its maps scored and summed in float32, to the bit as without autocast."""
    net = scored(fcn(stride=stride, pad="same", scaled=stride != 32, upsampling="all"))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        maps = net.trunk(photo(64, 64))
        found = net.head("semantic").coarse_scores(maps)
    assert maps[32].dtype == torch.bfloat16
    assert found.dtype == torch.float32
    assert torch.equal(found, net.head("semantic").coarse_scores({key: item.float() for key, item in maps.items()}))
