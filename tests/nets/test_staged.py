"""A finer net starts where its parent stopped: the same scores, upsampled in two steps (CVPR section 4.2)."""

import pytest
import torch
from torch import Tensor

from fcn.nets import backbones
from fcn.nets.fcn import FCN
from fcn.nets.surgery import transplant
from fcn.nets.upsampling import Upsampling
from fcn.shape import Backbone
from tests.nets.shapes import PADS, Pad, Stride, coarse_scores, predict, scores, shape

CLASSES = 21
STEPS: tuple[tuple[Stride, Stride], ...] = ((32, 16), (16, 8))
SKIP = {16: "pool4", 8: "pool3"}


def fcn(architecture: str, stride: Stride, pad: Pad) -> FCN:
    backbone = Backbone(architecture=architecture, width=1 / 32, fc=64, input_px=224, dropout=0.5)
    return FCN(shape(backbone, stride, classes=CLASSES, pad=pad)).eval()


def photo() -> Tensor:
    """Patches of colour, so that scores differ from place to place."""
    generator = torch.Generator().manual_seed(0)
    patches = 2 * torch.randn(1, 3, 4, 5, generator=generator)
    noise = torch.randn(1, 3, 256, 320, generator=generator)
    return patches.repeat_interleave(64, 2).repeat_interleave(64, 3) + 0.3 * noise


def parent_and_child(architecture: str, parent: Stride, child: Stride, pad: Pad) -> tuple[FCN, FCN]:
    """A net that sees many classes in the photo, and the finer one with its weights."""
    torch.manual_seed(3)
    coarse, fine = fcn(architecture, parent, pad), fcn(architecture, child, pad)
    with torch.inference_mode():
        maps = coarse.trunk(photo())
        for name, stride in (("score_fr", 32), ("score_pool4", 16))[: 1 if parent == 32 else 2]:
            layer = coarse.head("semantic").get_submodule(name)
            assert isinstance(layer, torch.nn.Conv2d)
            torch.nn.init.normal_(layer.weight, std=1 / float(maps[stride].norm(dim=1).mean()))
            layer.bias = torch.nn.Parameter(-layer(maps[stride]).mean((0, 2, 3)))
    missing = transplant(fine, coarse.state_dict())
    skip = f"heads.semantic.score_{SKIP[child]}"
    assert missing == [f"{skip}.weight", f"{skip}.bias"]
    return coarse, fine


def two_steps(distance: Tensor, *, kernel: int) -> Tensor:
    """What a unit weighs at a distance in units, upsampled by 2 with `kernel`, and then linearly between those.

    A kernel of 3 keeps the units and their middles: linear interpolation again. One of 4 knows the tent at 1/4, 3/4
    and 5/4 units from its peak, and draws its lines between these.
    """
    away = distance.abs()
    if kernel == 3:
        return (1 - away).clamp(min=0)
    return torch.where(away <= 0.75, (1 - away).clamp(max=0.75), (0.25 - (away - 0.75) / 2).clamp(min=0))


@pytest.mark.parametrize("pad", PADS)
@pytest.mark.parametrize(("parent", "child"), STEPS)
@pytest.mark.parametrize("architecture", backbones.names())
def test_coarse_scores_are_the_parents_upsampled_by_two(
    architecture: str, parent: Stride, child: Stride, pad: Pad
) -> None:
    """At step 0 the finer net's coarse scores are its parent's, upsampled by 2, to the bit."""
    coarse, fine = parent_and_child(architecture, parent, child, pad)
    up = fine.head("semantic").get_submodule(f"upscore_{SKIP[child]}")
    assert isinstance(up, Upsampling)
    assert up.factor == 2
    with torch.inference_mode():
        coarsely, found = coarse_scores(coarse, photo()), coarse_scores(fine, photo())
    start = max(-fine.head("semantic").offsets[child], 0)
    wanted = up(coarsely, offset=start, size=(found.shape[2], found.shape[3]))
    assert wanted.std() > 0.1
    assert torch.equal(found, wanted)


@pytest.mark.parametrize("pad", PADS)
@pytest.mark.parametrize(("parent", "child"), STEPS)
@pytest.mark.parametrize("architecture", backbones.names())
def test_the_finer_nets_scores_are_what_theory_gives(
    architecture: str, parent: Stride, child: Stride, pad: Pad
) -> None:
    """At step 0, a unit's size from the border, scores are the parent's coarse ones interpolated in two steps."""
    coarse, fine = parent_and_child(architecture, parent, child, pad)
    up = fine.head("semantic").get_submodule(f"upscore_{SKIP[child]}")
    assert isinstance(up, Upsampling)
    with torch.inference_mode():
        coarsely, found = coarse_scores(coarse, photo()).double(), scores(fine, photo()).double()
    head = coarse.head("semantic")
    first_px = (head.upscore.kernel - 1) / 2 - head.offsets[1]  # where the parent's unit 0 lies on the image
    weights = []
    for axis in (2, 3):
        places = (torch.arange(found.shape[axis], dtype=torch.float64) - first_px) / parent
        weights.append(two_steps(places[:, None] - torch.arange(coarsely.shape[axis]), kernel=up.kernel))
    wanted = weights[0] @ coarsely @ weights[1].T
    inside = (..., slice(parent, -parent), slice(parent, -parent))
    torch.testing.assert_close(found[inside], wanted[inside], rtol=0, atol=1e-5 * float(wanted.abs().max()))


@pytest.mark.parametrize("pad", PADS)
@pytest.mark.parametrize(("parent", "child"), STEPS)
@pytest.mark.parametrize("architecture", backbones.names())
def test_the_finer_net_predicts_what_its_parent_did(architecture: str, parent: Stride, child: Stride, pad: Pad) -> None:
    """At step 0 the classes are the parent's on nine pixels of ten, of a map as restless as random weights make it."""
    coarse, fine = parent_and_child(architecture, parent, child, pad)
    wanted, found = predict(coarse, photo()), predict(fine, photo())
    classes = torch.bincount(wanted.flatten().long(), minlength=CLASSES)
    assert int((classes > wanted.numel() // 100).sum()) >= 5, "a picture of few classes proves little"
    assert float((wanted == found).double().mean()) > 0.9


@pytest.mark.parametrize("pad", PADS)
@pytest.mark.parametrize(("parent", "child"), STEPS)
@pytest.mark.parametrize("architecture", ["alexnet", "googlenet_published"])
def test_odd_kernels_agree_everywhere(architecture: str, parent: Stride, child: Stride, pad: Pad) -> None:
    """With grids that fall onto each other, two steps of linear interpolation are one: the scores are the parent's."""
    coarse, fine = parent_and_child(architecture, parent, child, pad)
    with torch.inference_mode():
        wanted, found = scores(coarse, photo()), scores(fine, photo())
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5 * float(wanted.abs().max()))
