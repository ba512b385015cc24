"""Forward times are measured trial by trial, and leave the net as it was."""

import math

import pytest
import torch

from fcn.nets.fcn import FCN
from fcn.scoring.timing import seconds_per_image, summary
from fcn.shape import Backbone
from tests.nets.shapes import Stride, scores, shape

CPU = torch.device("cpu")


def fcn(stride: Stride) -> FCN:
    backbone = Backbone(architecture="vgg16", width=1 / 64, fc=4, input_px=224, dropout=0.0)
    net = FCN(shape(backbone, stride, classes=3))
    torch.nn.init.normal_(net.head("semantic").score_fr.weight)
    return net


@pytest.mark.parametrize("trials", [1, 4])
def test_every_trial_has_its_time(trials: int) -> None:
    """There are as many times as trials, each of them positive."""
    seconds = seconds_per_image(fcn(32), device=CPU, side_px=40, trials=trials)
    assert len(seconds) == trials
    assert min(seconds) > 0


def test_a_timed_net_scores_and_learns_as_before() -> None:
    """After it was timed, a net gives the same scores, and can be trained at the size that it was timed at."""
    net = fcn(8).eval()
    image = torch.randn(1, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = scores(net, image)
    seconds_per_image(net, device=CPU, side_px=48, trials=1)
    found = scores(net, image)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5 * float(wanted.abs().max()))
    torch.autograd.backward(found.sum())
    assert net.head("semantic").score_fr.weight.grad is not None


def test_the_summary_is_that_of_its_trials() -> None:
    """Mean, median and sample deviation are the trials', and the count is theirs; one trial has no deviation."""
    found = summary([1.0, 2.0, 6.0])
    assert found == {"seconds_per_image": 3.0, "median": 2.0, "deviation": pytest.approx(math.sqrt(7)), "trials": 3}
    assert summary([0.5]) == {"seconds_per_image": 0.5, "median": 0.5, "deviation": 0.0, "trials": 1}
