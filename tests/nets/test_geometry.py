"""Geometry is derived, and right: the numbers that were printed, and what gradients show of networks as they are."""

from fractions import Fraction
from typing import cast

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from fcn.nets import backbones
from fcn.nets.fcn import FCN
from fcn.nets.geometry import IMAGE, Geometry, beside, chain, crop_offset, geometry, upsampling, window
from fcn.nets.structure import structure
from fcn.nets.trunk import Trunk
from fcn.nets.upsampling import Upsampling
from fcn.shape import Backbone
from tests.nets.shapes import PADS, STRIDES, Pad, Stride, scores, shape


def fcn(architecture: str, stride: Stride, *, pad: Pad = 100, width: float = 1.0, fc: int = 4096) -> FCN:
    backbone = Backbone(architecture=architecture, width=width, fc=fc, input_px=224, dropout=0.0)
    return FCN(shape(backbone, stride, classes=21, pad=pad))


def full_size(architecture: str, stride: Stride = 32) -> FCN:
    with torch.device("meta"):
        return fcn(architecture, stride)


def with_average_pool(architecture: str) -> Geometry:
    """The classifier's whole geometry: the trunk, and what comes after it."""
    module = backbones.load(architecture)
    with torch.device("meta"):
        classifier = module.classifier(width=1, fc=4096, input_px=224, classes=21)
        return module.trunk(classifier, dropout=0.5).geometry(32).then(geometry(module.head(classifier)))


@pytest.mark.parametrize(
    ("architecture", "stride", "offsets", "kernels"),
    [
        ("vgg16", 32, {1: 19}, [64]),
        ("vgg16", 16, {16: 5, 1: 27}, [4, 32]),
        ("vgg16", 8, {16: 5, 8: 9, 1: 31}, [4, 4, 16]),
        ("alexnet", 32, {1: 18}, [63]),
        ("caffenet", 32, {1: 18}, [63]),
    ],
)
def test_the_crops_are_the_reference_releases(
    architecture: str, stride: Stride, offsets: dict[int, int], kernels: list[int]
) -> None:
    """With a padding of 100 the derived crops and kernels are those that the reference release typed."""
    net = full_size(architecture, stride)
    assert net.head("semantic").offsets == offsets
    assert [layer.kernel for layer in net.modules() if isinstance(layer, Upsampling)] == kernels


@pytest.mark.parametrize(
    ("architecture", "receptive_field", "depth", "millions"),
    [("alexnet", 355, 8, 57), ("caffenet", 355, 8, 57), ("vgg16", 404, 16, 134), ("googlenet_published", 715, 22, 6)],
)
def test_table_1_of_the_cvpr_paper(architecture: str, receptive_field: int, depth: int, millions: int) -> None:
    """Receptive field, layers with parameters, parameters and stride are those of CVPR Table 1."""
    net = full_size(architecture)
    trunk = net.trunk.geometry(32)
    assert trunk.receptive_field_px == receptive_field
    assert trunk.then(geometry(net.head("semantic").score_fr)).depth == depth
    assert trunk.stride_px == 32
    assert round(sum(parameter.numel() for parameter in net.parameters()) / 1e6) == millions


def test_vgg16_has_the_parameters_that_add_up_by_hand() -> None:
    """FCN-32s of VGG16 with 21 classes has 134,346,581 parameters, layer by layer."""
    net = full_size("vgg16")
    by_layer = {name: sum(p.numel() for p in part.parameters()) for name, part in net.trunk.named_children()}
    assert {name: count for name, count in by_layer.items() if count} == {
        "features": 14_714_688,
        "fc6": 102_764_544,
        "fc7": 16_781_312,
    }
    assert sum(p.numel() for p in net.head("semantic").score_fr.parameters()) == 86_037
    assert sum(p.numel() for p in net.parameters()) == 134_346_581
    assert structure("vgg16")["parameters_M"] == 134.346581


def test_the_receptive_fields_of_the_skips() -> None:
    """VGG16's pool4 sees 100 px, its pool3 44 px, and units lie 16 and 8 px apart."""
    trunk = full_size("vgg16").trunk
    assert [trunk.geometry(tap).receptive_field_px for tap in (16, 8)] == [100, 44]
    assert [int(trunk.geometry(tap).stride_px) for tap in (16, 8)] == [16, 8]


@pytest.mark.parametrize(
    ("architecture", "receptive_field"), [("alexnet", 355), ("vgg16", 404), ("googlenet_published", 907)]
)
def test_googlenets_907_px_hold_its_last_average_pool(architecture: str, receptive_field: int) -> None:
    """Counted with what the classifier does after the trunk, GoogLeNet sees 907 px; the others see no more."""
    assert with_average_pool(architecture).receptive_field_px == receptive_field


def linear(net: nn.Module) -> None:
    """Make a net a positive linear map of its input with the same windows: its gradients show them whole.

    A maximum would hide all but one pixel of its window, so that averages take its place.
    """
    for parent in list(net.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.MaxPool2d):
                k, s, p = (cast(int, value) for value in (child.kernel_size, child.stride, child.padding))
                setattr(parent, name, nn.AvgPool2d(k, s, p, ceil_mode=child.ceil_mode))
            elif isinstance(child, nn.Conv2d):
                nn.init.constant_(child.weight, 1 / child.weight[0].numel())
    net.double().eval()


def seen(of: Tensor, image: Tensor) -> tuple[int, int, int, int]:
    """First and last row, first and last column of the image that the number `of` depends on."""
    (gradient,) = torch.autograd.grad(of, image, retain_graph=True)
    rows, columns = (gradient.abs().sum((0, 1, other)).nonzero() for other in (3, 2))
    return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])


def narrow_trunk(architecture: str) -> Trunk:
    module = backbones.load(architecture)
    return module.trunk(module.classifier(width=1 / 64, fc=2, input_px=224, classes=2), dropout=0.0)


@pytest.mark.parametrize("pad", PADS)
@pytest.mark.parametrize("architecture", backbones.names())
def test_gradients_see_the_derived_windows(architecture: str, pad: Pad) -> None:
    """The pixels that a unit's gradient reaches are those that its derived centre and receptive field span."""
    trunk = narrow_trunk(architecture)
    trunk.pad(pad)
    linear(trunk)
    end = trunk.geometry(32)
    side = end.receptive_field_px + 3 * 32
    image = torch.ones(1, 3, side, side, dtype=torch.float64, requires_grad=True)
    maps = trunk(image)
    for stride in STRIDES:
        grid = trunk.geometry(stride)
        radius = Fraction(grid.receptive_field_px - 1, 2)
        first = -((grid.centre_px - radius) // grid.stride_px)  # the first unit whose window lies inside the image
        wanted = []
        for index in (first, first + 1):
            centre = grid.centre_px + index * grid.stride_px
            wanted += [centre - radius, centre + radius]
        assert list(seen(maps[stride][0, :, first, first + 1].sum(), image)) == wanted, f"stride {stride}"


def test_the_average_pool_widens_the_view_as_derived() -> None:
    """Under its 7x7 average pool the published GoogLeNet's gradient reaches 907 px in both directions."""
    trunk = narrow_trunk("googlenet_published")
    linear(trunk)
    image = torch.ones(1, 3, 1001, 1001, dtype=torch.float64, requires_grad=True)
    pooled = nn.AvgPool2d(7, stride=1)(trunk(image)[32])
    middle = pooled.shape[2] // 2
    top, bottom, left, right = seen(pooled[0, :, middle, middle].sum(), image)
    assert (bottom - top + 1, right - left + 1) == (907, 907)


@pytest.mark.parametrize("pad", PADS)
@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("architecture", backbones.names())
def test_an_output_pixel_looks_at_itself(architecture: str, stride: Stride, pad: Pad) -> None:
    """What an output pixel's scores depend on is centred on that very pixel, so that every crop offset is right."""
    net = fcn(architecture, stride, pad=pad, width=1 / 64, fc=2)
    linear(net)
    side = net.trunk.geometry(32).receptive_field_px + 2 * 64
    image = torch.ones(1, 3, side, side, dtype=torch.float64, requires_grad=True)
    found = scores(net, image)
    row, column = side // 2 + 1, side // 2 - 6
    (gradient,) = torch.autograd.grad(found[0, 0, row, column], image)
    weights, places = gradient.sum((0, 1)), torch.arange(side, dtype=torch.float64)
    centre = [float((weights.sum(other) * places).sum() / weights.sum()) for other in (1, 0)]
    assert centre == pytest.approx([row, column], abs=1e-6)


windows = st.builds(
    lambda kernel, stride, padding: window(kernel, stride, padding),
    st.integers(1, 11),
    st.integers(1, 4),
    st.integers(0, 5),
)


@given(first=windows, second=windows, third=windows)
def test_layers_compose_in_any_grouping(first: Geometry, second: Geometry, third: Geometry) -> None:
    """Composition is associative, and the image is its neutral element."""
    assert first.then(second).then(third) == first.then(second.then(third)) == chain([first, second, third])
    assert IMAGE.then(first) == first == first.then(IMAGE)


@given(k=st.integers(1, 11), s=st.integers(1, 4), above=st.integers(1, 11), stride=st.integers(1, 4))
def test_two_layers_make_one_of_the_papers_kernel_and_stride(k: int, s: int, above: int, stride: int) -> None:
    """Kernels k, k' and strides s, s' make one layer of kernel k + (k' - 1) s and stride s s' (CVPR section 3)."""
    assert window(k, s, 0).then(window(above, stride, 0)) == window(k + (above - 1) * s, s * stride, 0)


@given(grid=windows, factor=st.integers(1, 32))
def test_upsampling_undoes_a_window_of_its_kernel(grid: Geometry, factor: int) -> None:
    """A window of kernel k and stride f, and a transposed one over it, leave the grid where it was."""
    for kernel in (2 * factor, 2 * factor - 1):
        back = grid.then(window(kernel, factor, 0)).then(upsampling(kernel, factor))
        assert (back.centre_px, back.stride_px) == (grid.centre_px, grid.stride_px)


@given(grid=windows, units=st.integers(-50, 50))
def test_a_crop_offset_counts_units(grid: Geometry, units: int) -> None:
    """A grid that starts n units later is n units into the other, and the other way round -n."""
    later = Geometry(stride_px=grid.stride_px, centre_px=grid.centre_px + units * grid.stride_px)
    assert crop_offset(grid, later) == units == -crop_offset(later, grid)


def test_grids_that_no_crop_aligns_are_refused() -> None:
    """Half a unit between two grids, or two strides, are an error and not a rounded crop."""
    half = Geometry(stride_px=Fraction(2), centre_px=Fraction(1))
    with pytest.raises(ValueError, match="1/2 units apart"):
        crop_offset(Geometry(stride_px=Fraction(2)), half)
    with pytest.raises(ValueError, match="strides of 1 and 2 px"):
        crop_offset(IMAGE, half)


def test_branches_that_disagree_are_a_bug() -> None:
    """Branches that are concatenated lie on one grid; the widest and the deepest count."""
    wide, deep = window(5, 2, 1, depth=1), window(3, 2, 0, depth=2)
    both = Geometry(receptive_field_px=5, stride_px=Fraction(2), centre_px=Fraction(1), depth=2)
    assert beside([wide, deep]) == both
    with pytest.raises(AssertionError):
        beside([wide, window(3, 2, 1)])


def test_a_pools_window_may_be_a_pair() -> None:
    """A pool that says height and width has the geometry of one that says a side."""
    assert geometry(nn.MaxPool2d((3, 3), (2, 2), (1, 1))) == geometry(nn.MaxPool2d(3, 2, 1)) == window(3, 2, 1)


def test_an_unknown_layer_is_named() -> None:
    """A layer whose geometry nobody registered is refused by name, not taken for one that does nothing."""
    with pytest.raises(TypeError, match="geometry of Softmax2d is unknown"):
        geometry(nn.Softmax2d())
