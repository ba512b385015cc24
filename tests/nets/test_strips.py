"""The class of every pixel, found from coarse scores in strips of rows, is that of the highest upsampled score."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fcn.nets import strips
from fcn.nets.upsampling import Upsampling
from tests.nets.shapes import STRIDES, Upsampled, predict
from tests.nets.test_fcn import fcn, photo, scored
from tests.nets.upsamplings import Case, cases


@settings(max_examples=40)
@given(case=cases(), flat=st.sampled_from((False, False, False, True)))
def test_classes_are_those_of_the_highest_scores(case: Case, flat: bool) -> None:
    """Every pixel has the class of its highest upsampled score, and of equal ones the first, as in a new net."""
    scores = torch.zeros_like(case.scores) if flat else case.scores
    found = strips.classes(case.up, scores, offset=case.offset, size=case.size)
    assert found.dtype == torch.uint8
    assert torch.equal(found.long(), case.upsampled(scores).argmax(1))


@settings(max_examples=20)
@given(case=cases())
def test_in_float32_only_ties_may_fall_otherwise(case: Case) -> None:
    """In float32, too, wherever the highest score is above the next by more than the last digits."""
    scores = case.scores.float()
    upsampled = case.upsampled(scores)
    highest = upsampled.topk(min(2, upsampled.shape[1]), dim=1).values
    clear = highest[:, 0] - highest[:, -1] > 1e-5 * scores.abs().max() if len(highest[0]) > 1 else highest[:, 0] == 0
    found = strips.classes(case.up, scores, offset=case.offset, size=case.size)
    assert torch.equal(found.long()[clear], upsampled.argmax(1)[clear])


def test_a_class_that_is_highest_nowhere_but_between_units_is_found() -> None:
    """A class that no unit has as its highest wins between two units that are for one other class each."""
    scores = torch.tensor([[9.0, -9.0], [-9.0, 9.0], [5.0, 5.0], [-20.0, 3.0]], dtype=torch.float64)[None, :, None]
    up = Upsampling(4, factor=8, kernel=16, learned=False)
    found = strips.classes(up, scores, offset=4, size=(8, 16))
    assert set(found.flatten().tolist()) == {0, 1, 2}


def test_what_lies_inside_has_all_that_the_image_is_made_of() -> None:
    """Scores outside of what `inside` leaves have no part in the image, and every one that it leaves has."""
    for factor, kernel, offset, size in ((8, 16, 31, (5, 17)), (32, 63, 19, (40, 1)), (16, 32, 0, (16, 33))):
        up = Upsampling(1, factor=factor, kernel=kernel, learned=False)
        scores = torch.ones(1, 1, 7, 6, dtype=torch.float64, requires_grad=True)
        (part,) = torch.autograd.grad(up(scores, offset=offset, size=size).sum(), scores)
        within = strips.inside(up, part, offset=offset, size=size)
        assert within.sum() == part.sum()
        assert bool(within.any(2).all())
        assert bool(within.any(3).all())


@pytest.mark.parametrize("upsampling", ["fixed", "all"])
def test_a_net_answers_alike_plain_or_not(upsampling: Upsampled) -> None:
    """`plain` nets, and those whose upsampling is learned, answer by way of all pixels' scores, and others the same."""
    for stride in STRIDES:
        net, images = scored(fcn(stride=stride, upsampling=upsampling)).double(), photo(41, 67, batch=2).double()
        coarse = torch.randn_like(net.coarse_scores({"rgb": images})["semantic"])
        quick, plainly = (net.head("semantic").answers(coarse, (41, 67), plain=plain) for plain in (False, True))
        assert torch.equal(quick, plainly)
        assert len(set(quick.flatten().tolist())) > 1
        answers = predict(net, images)
        net.plain = True
        assert torch.equal(predict(net, images), answers)
