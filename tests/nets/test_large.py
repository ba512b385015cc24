"""A large picture by strips of rows: the same bits as the whole, whatever the size, the stride and the backbone."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from fcn.nets import large
from fcn.nets.fcn import FCN
from tests.nets.shapes import PADS, STRIDES, Pad, Stride
from tests.nets.test_reach import both, photos

NAMES = ("alexnet", "caffenet", "vgg16")


def whole(net: FCN, images: Tensor) -> dict[int, Tensor]:
    """The maps by stride, layer after layer. What convolutions pad is there before: torch pads widely another way."""
    maps = {}
    for name in net.trunk.order:
        layer = net.trunk.get_submodule(name)
        if isinstance(layer, nn.Conv2d):
            padded = nn.functional.pad(images, [int(layer.padding[0])] * 4)
            images = nn.functional.conv2d(padded, layer.weight, layer.bias, layer.stride, groups=layer.groups)
        else:
            images = layer(images)
        maps[name] = images
    return {32: images, **{stride: maps[name].clone() for stride, name in net.trunk.taps.items()}}


def by_strips(net: FCN, images: Tensor, *, pixels: int) -> dict[int, Tensor]:
    found: dict[int, list[Tensor]] = {}

    def take(stride: int, rows: Tensor) -> None:
        found.setdefault(stride, []).append(rows.clone())

    large.by_strips(net.trunk, images, take=take, pixels=pixels)
    return {stride: torch.cat(rows, 2) for stride, rows in found.items()}


def assert_same_bits(net: FCN, images: Tensor, *, pixels: int) -> None:
    wanted, found = whole(net, images), by_strips(net, images, pixels=pixels)
    assert found.keys() == wanted.keys()
    for stride, map_ in wanted.items():
        assert torch.equal(found[stride], map_), stride


@pytest.mark.parametrize("pad", PADS)
@pytest.mark.parametrize("architecture", NAMES)
@torch.inference_mode()
def test_strips_are_the_whole(architecture: str, pad: Pad) -> None:
    """Of strips of one row and of more, in float32, the maps of every backbone without branches are the whole's."""
    net = both(architecture=architecture, pad=pad)[1].float().eval()
    images = photos(net, 83, 131)["rgb"].float()
    assert large.can_be_cut(net.trunk)
    for rows in (1, 13, 83):
        assert_same_bits(net, images, pixels=rows * images.shape[3] * len(images))


@settings(max_examples=5)
@given(height=st.integers(1, 80), width=st.integers(1, 80), rows=st.integers(1, 40), bfloat16=st.booleans())
@torch.inference_mode()
def test_strips_are_the_whole_at_any_size(height: int, width: int, rows: int, bfloat16: bool) -> None:
    """So they are for whatever remainder a size leaves, and in bfloat16."""
    net = both()[1].float().eval()
    images = photos(net, height, width, batch=1)["rgb"].float()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
        assert_same_bits(net, images, pixels=rows * width)


@pytest.mark.parametrize("stride", STRIDES)
def test_scores_from_strips_are_the_plain_ones(stride: Stride, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every stride, head and input, to 1e-10 in float64; and in float32 every pixel's class is the plain one."""
    monkeypatch.setattr(large, "LARGE", 1000)
    plain, net = (net.eval() for net in both(stride, inputs=("rgb", "depth")))
    images = photos(net, 83, 131, batch=1)
    with torch.no_grad():
        wanted, found = plain.coarse_scores(images), net.coarse_scores(images)
    for target, scores in wanted.items():
        assert float((found[target] - scores).abs().max()) <= 1e-10 * float(scores.abs().max())
    images = {name: image.float() for name, image in images.items()}
    answers, others = net.float().predict(images), plain.float().predict(images)
    assert all(torch.equal(answer, others[target]) for target, answer in answers.items())


@pytest.mark.parametrize(("width", "cut"), [(1398, False), (1399, True)])
def test_a_picture_of_more_than_2_megapixels_is_cut(width: int, cut: bool) -> None:
    """Its pool4 is scored strip by strip, a smaller one's at once."""
    net = both()[1].float().eval()
    count = []
    net.get_submodule("heads.semantic.score_pool4").register_forward_hook(lambda *_: count.append(1))
    net.predict({"rgb": photos(net, 1500, width, batch=1)["rgb"].float()})
    assert (len(count) > 1) == cut


def test_all_pixels_of_a_batch_count() -> None:
    """Two pictures of a megapixel are not large, and one column more makes them so."""
    found = [large.is_large(torch.empty(2, 3, 1024, width, device="meta")) for width in (1024, 1025)]
    assert found == [False, True]


def test_only_rows_of_known_layers_are_cut() -> None:
    """GoogLeNet, which branches, and any net that drops units at random, are computed whole at every size."""
    assert not large.can_be_cut(both(architecture="googlenet")[1].eval().trunk)
    net = both()[1]
    assert (large.can_be_cut(net.train().trunk), large.can_be_cut(net.eval().trunk)) == (False, True)
