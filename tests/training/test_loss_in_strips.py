"""The loss taken in strips of rows, and its gradient, are those of the scores of all pixels."""

import types
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fcn.datasets.labels import VOID
from fcn.training import losses
from fcn.training.losses import mean
from fcn.training.losses._in_strips import summed_in_strips
from tests.nets.upsamplings import Case, cases
from tests.training import pictures
from tests.training.test_loss import gradients


@settings(max_examples=40)
@given(case=cases(), void=st.sampled_from((0.0, 0.3, 1.0)), seed=st.integers(0, 99))
def test_loss_and_gradient_equal_those_of_all_pixels(case: Case, void: float, seed: int) -> None:
    """To 1e-12 in float64, whatever is void, with labels of int64 or uint8, also under autocast."""
    generator = torch.Generator().manual_seed(seed)
    shape = (len(case.scores), *case.size)
    labels = torch.randint(case.scores.shape[1], shape, generator=generator)
    labels[torch.rand(shape, generator=generator) < void] = VOID
    scores = case.scores.requires_grad_()
    wanted = mean.summed(case.upsampled(scores), labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = summed_in_strips(case.up, scores, labels.to(torch.uint8), offset=case.offset)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    ours, plain = (torch.autograd.grad(loss / 7, scores)[0] for loss in (found, wanted))
    torch.testing.assert_close(ours, plain, rtol=1e-12, atol=1e-12 * float(plain.abs().max()) + 1e-12)


def test_scores_far_apart_overflow_nothing() -> None:
    """Scores of thousands give the loss and the gradient of their differences, no NaN and no infinity."""
    net, labels = pictures.net(), torch.tensor([[[0] * 40, [1] * 40]])
    head, scores = net.head("semantic"), torch.zeros(1, pictures.CLASSES, 9, 9)
    scores[:, 1] = 5000
    scores[:, 2:] = -5000
    scores.requires_grad_()
    results = []
    for plain in (False, True):
        loss = losses.summed_over_pixels(mean, head, scores, labels, plain=plain)
        results.append((loss, *torch.autograd.grad(loss, scores)))
    (found, gradient), (wanted, its_gradient) = results
    assert float(found.detach()) > 40 * 1000
    assert bool(gradient.isfinite().all())
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(gradient, its_gradient)


@pytest.mark.parametrize("loss", losses.names())
def test_a_step_is_the_same_plain_or_not(tmp_path: Path, loss: str) -> None:
    """A pass in two pieces of pictures of different sizes leaves the same loss and gradients with `plain` nets.

    These alone upsample all scores.
    """
    made = pictures.batches(pictures.write(tmp_path, [(32, 48), (40, 33)]), batch=2)[0]
    doubled = {name: image.double() for name, image in made[0].items()}, made[1]
    results: list[tuple[Tensor, list[Tensor | None]]] = []
    for plain in (False, True):
        net = pictures.net(stride=8).double()
        net.plain = plain
        upsampled: list[int] = []
        net.head("semantic").upscore.register_forward_hook(lambda *_, upsampled=upsampled: upsampled.append(1))
        found, _, _ = gradients(net, [doubled], pictures.recipe(batch=2, loss=loss), split=2)
        assert len(upsampled) == (2 if plain else 0)
        results.append((found, [parameter.grad for parameter in net.parameters()]))
    torch.testing.assert_close(results[0], results[1], rtol=1e-9, atol=1e-12, check_dtype=True)


def test_a_step_shows_its_last_pictures_cells() -> None:
    """Those that have a part in a picture of 4 x 9 cells, and none of its padding."""
    images, labels = torch.randn(1, 3, 32, 72), torch.zeros(1, 32, 72, dtype=torch.uint8)
    _, _, scores = gradients(
        pictures.net(stride=8), [({"rgb": images}, {"semantic": labels})], pictures.recipe(batch=1)
    )
    assert scores.shape[2:] == (4, 9)


def test_a_last_upsampling_that_is_learned_is_no_interpolation() -> None:
    """Its weights, wherever training has brought them, have part in the loss, and a gradient of their own."""
    net, labels = pictures.net(upsampling="all"), torch.zeros(1, 40, 40, dtype=torch.int64)
    head, scores = net.head("semantic"), torch.randn(1, pictures.CLASSES, 5, 5)
    weight = head.upscore.weight
    assert weight is not None
    torch.nn.init.normal_(weight, std=0.1)
    found, wanted = (losses.summed_over_pixels(mean, head, scores, labels, plain=plain) for plain in (False, True))
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=0)
    assert bool(torch.autograd.grad(found, weight)[0].any())


def test_a_loss_of_ones_own_needs_no_more_than_its_formula() -> None:
    """A module with `summed` and `normaliser` alone is given the scores of all pixels."""
    net, seen = pictures.net(), []

    def summed(scores: Tensor, labels: Tensor) -> Tensor:
        seen.append(scores.shape)
        return mean.summed(scores, labels) * 2

    own = types.SimpleNamespace(summed=summed, normaliser=mean.normaliser)
    labels = torch.ones(1, 2, 40, dtype=torch.uint8)
    scores = torch.randn(1, pictures.CLASSES, 9, 9, generator=torch.Generator().manual_seed(0))
    twice = losses.summed_over_pixels(own, net.head("semantic"), scores, labels, plain=False)
    once = losses.summed_over_pixels(mean, net.head("semantic"), scores, labels, plain=False)
    assert seen == [(1, pictures.CLASSES, 2, 40)]
    torch.testing.assert_close(twice, once * 2)
