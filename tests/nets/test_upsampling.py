"""Upsampling is bilinear, equals the transposed convolution that it stands for, and stays exact under autocast."""

from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from fcn.nets.upsampling import Upsampling, bilinear_kernel

FACTORS = (2, 8, 16, 32)


def tent(size: int) -> list[Fraction]:
    """The weight of a unit on each of the pixels around it: it falls linearly and is gone at the next unit."""
    factor = Fraction((size + 1) // 2)
    from_the_middle = [Fraction(2 * tap - (size - 1), 2) for tap in range(size)]
    return [1 - abs(distance) / factor for distance in from_the_middle]


def transposed(scores: Tensor, *, factor: int, kernel: int) -> Tensor:
    """The C x C transposed convolution with bilinear kernels on its diagonal."""
    taps = torch.tensor([float(weight) for weight in tent(kernel)], dtype=scores.dtype)
    weight = torch.eye(scores.shape[1], dtype=scores.dtype)[:, :, None, None] * taps[:, None] * taps
    return F.conv_transpose2d(scores, weight, stride=factor)


@pytest.mark.parametrize("size", range(1, 66))
def test_the_kernel_is_a_tent(size: int) -> None:
    """Tap i of k weighs 1 - |i - (k - 1) / 2| / f, with f half of k, rounded up."""
    assert bilinear_kernel(size).tolist() == pytest.approx([float(weight) for weight in tent(size)], abs=1e-15)


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("odd", [False, True])
def test_a_plane_stays_a_plane(factor: int, odd: bool) -> None:
    """Scores that lie on a plane are upsampled onto the same plane, but for a border of one unit."""
    kernel = 2 * factor - odd
    rows, columns = torch.arange(5, dtype=torch.float64)[:, None], torch.arange(4, dtype=torch.float64)
    up = Upsampling(1, factor=factor, kernel=kernel, learned=False)
    full = up.full_size((5, 4))
    found = up((3 * rows - 2 * columns + 7)[None, None], offset=0, size=full)[0, 0]
    y, x = ((torch.arange(length, dtype=torch.float64) - (kernel - 1) / 2) / factor for length in full)
    inside = ((y >= 0) & (y <= 4))[:, None] & ((x >= 0) & (x <= 3))
    assert inside.any()
    torch.testing.assert_close(found[inside], (3 * y[:, None] - 2 * x + 7)[inside], rtol=0, atol=1e-12)


@settings(max_examples=60)
@given(data=st.data(), factor=st.sampled_from(FACTORS), odd=st.booleans(), learned=st.booleans())
def test_it_equals_the_transposed_convolution(data: st.DataObject, factor: int, odd: bool, learned: bool) -> None:
    """Fixed or learned from its start, any crop has the values and gradients of the diagonal transposed convolution."""
    kernel = 2 * factor - odd
    classes, h, w = (data.draw(st.integers(1, 4)) for _ in range(3))
    up = Upsampling(classes, factor=factor, kernel=kernel, learned=learned).double()
    full = up.full_size((h, w))
    offset = data.draw(st.integers(0, min(full) - 1))
    size = data.draw(st.integers(1, full[0] - offset)), data.draw(st.integers(1, full[1] - offset))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    scores = torch.randn(2, classes, h, w, dtype=torch.float64, generator=generator, requires_grad=True)
    found = up(scores, offset=offset, size=size)
    wanted = transposed(scores, factor=factor, kernel=kernel)
    assert wanted.shape[2:] == full
    wanted = wanted[:, :, offset : offset + size[0], offset : offset + size[1]]
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)
    upstream = torch.randn(found.shape, dtype=torch.float64, generator=generator)
    gradients = [torch.autograd.grad((of * upstream).sum(), scores)[0] for of in (found, wanted)]
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-10)


def test_fixed_has_nothing_to_learn_and_learned_starts_there() -> None:
    """Fixed upsampling has no parameters; learned upsampling has one per pair of classes and tap, zero off diagonal."""
    fixed, learned = (Upsampling(3, factor=2, kernel=4, learned=learned) for learned in (False, True))
    assert list(fixed.parameters()) == []
    assert fixed.state_dict() == {}
    weight = learned.weight
    assert weight is not None
    assert weight.requires_grad
    assert weight.shape == (3, 3, 4, 4)
    assert torch.equal(weight.sum((2, 3)), 4 * torch.eye(3))


def test_learned_weights_act_between_classes() -> None:
    """A weight from class 0 to class 1 moves class 1's scores by what class 0 says."""
    up = Upsampling(2, factor=2, kernel=4, learned=True)
    scores = torch.tensor([[[[5.0]], [[0.0]]]])
    assert up.weight is not None
    with torch.no_grad():
        up.weight[0, 1] = 0.5
    assert torch.equal(up(scores, offset=0, size=(4, 4))[0, 1], torch.full((4, 4), 2.5))


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autocast_takes_no_precision(learned: bool, dtype: torch.dtype) -> None:
    """Under bfloat16 autocast scores are upsampled in float32, to the bit as without it."""
    up = Upsampling(3, factor=8, kernel=16, learned=learned)
    scores = torch.randn(1, 3, 4, 5, generator=torch.Generator().manual_seed(0)).to(dtype)
    plain = up(scores.float(), offset=3, size=(20, 30))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = up(scores, offset=3, size=(20, 30))
    assert found.dtype == torch.float32
    assert torch.equal(found, plain)


@pytest.mark.parametrize("learned", [False, True])
def test_a_crop_beyond_the_end_is_refused(learned: bool) -> None:
    """Pixels that the upsampled scores don't reach are an error in either direction, not a smaller map."""
    up = Upsampling(1, factor=2, kernel=4, learned=learned)
    scores = torch.zeros(1, 1, 3, 3)
    assert up(scores, offset=2, size=(6, 6)).shape == (1, 1, 6, 6)
    for size in ((7, 6), (6, 7)):
        with pytest.raises(ValueError, match="not"):
            up(scores, offset=2, size=size)


def test_a_prediction_leaves_training_alone() -> None:
    """Upsampling has gradients of a size that was first seen in inference mode."""
    up = Upsampling(1, factor=2, kernel=4, learned=False)
    scores = torch.ones(1, 1, 37, 41, requires_grad=True)
    with torch.inference_mode():
        up(scores, offset=1, size=(60, 70))
    up(scores, offset=1, size=(60, 70)).sum().backward()
    assert scores.grad is not None
    assert float(scores.grad[0, 0, 10, 10]) == 4.0
