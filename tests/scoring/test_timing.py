"""Forward times are measured trial by trial, and leave the net as it was."""

import json
import math
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from fcn.nets.fcn import FCN
from fcn.scoring.timing import ROUNDS, WARM_UP, precision, seconds_per_image, steadiest, steady, summary
from fcn.shape import Backbone
from tests.nets.shapes import Stride, scores, shape

RunFcn = Callable[[Sequence[str], Path], "subprocess.CompletedProcess[str]"]
CPU = torch.device("cpu")


def fcn(stride: Stride, *inputs: str) -> FCN:
    backbone = Backbone(architecture="vgg16", width=1 / 64, fc=4, input_px=224, dropout=0.0)
    net = FCN(replace(shape(backbone, stride, classes=3), inputs=inputs or ("rgb",)))
    torch.nn.init.normal_(net.head("semantic").score_fr.weight)
    return net


@pytest.mark.parametrize(("trials", "inputs"), [(1, ()), (4, ("rgb", "hha"))])
def test_every_trial_has_its_time(trials: int, inputs: tuple[str, ...]) -> None:
    """There are as many times as trials, each of them positive, and together no longer than the whole took."""
    began = time.perf_counter()
    seconds = seconds_per_image(fcn(32, *inputs), device=CPU, side_px=40, trials=trials)
    assert len(seconds) == trials
    assert min(seconds) > 0
    assert sum(seconds) < time.perf_counter() - began


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
    assert summary([1.0, 3.0])["deviation"] == pytest.approx(math.sqrt(2))
    assert summary([0.5]) == {"seconds_per_image": 0.5, "median": 0.5, "deviation": 0.0, "trials": 1}


def test_a_busy_machine_is_asked_again() -> None:
    """Trials are repeated until a round is steady, a few times at most, and the quickest round is kept."""
    unsteady, slow, quiet = [1.0, 3.0, 1.0], [0.9, 9.0, 9.0], [0.5, 0.5, 0.51]
    assert steadiest(iter([quiet, slow]).__next__) == (quiet, 1)
    assert steadiest(iter([unsteady, slow, quiet]).__next__) == (quiet, 3)
    assert steadiest(iter([slow, unsteady, slow, slow, slow, quiet]).__next__) == (unsteady, ROUNDS)
    short = [0.1, 0.3, 0.1]
    assert [steady(seconds) for seconds in (unsteady, slow, short, quiet, [1.0])] == [False, False, False, True, True]


def test_a_trial_is_a_whole_prediction() -> None:
    """What is timed ends in a class for every pixel: trunk, score layers, upsampling and the choice of a class.

    The trunk computes in the precision that is told with the time: float32 on a CPU, bfloat16 on a GPU.
    """
    answers, dtypes = [], set()

    class Seen(FCN):
        def predict(self, inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            found = super().predict(inputs)
            answers.append((found["semantic"].shape, found["semantic"].dtype))
            return found

    net = fcn(8)
    net.__class__ = Seen
    net.trunk.register_forward_hook(lambda _trunk, _images, maps: dtypes.add(maps[32].dtype))
    seconds_per_image(net, device=CPU, side_px=40, trials=2)
    assert answers == [((1, 40, 40), torch.uint8)] * (WARM_UP + 2)
    assert dtypes == {torch.float32}
    assert [precision(torch.device(kind)) for kind in ("cpu", "cuda")] == ["float32", "bfloat16"]


def test_the_stage_times_a_net_of_the_profile(tmp_path: Path, run_fcn: RunFcn) -> None:
    """`timing NET` writes the net's forward time, its parameters and the machine, of a net that nothing trained."""
    backbone = {"architecture": "vgg16", "width": 1 / 64, "fc": 4, "input_px": 224, "dropout": 0.0}
    net = {"backbone": backbone, "inputs": ["rgb"], "heads": {"semantic": 3}, "taps": [16], "pad": "same"}
    values: dict[str, Any] = {"profile": "p", "root": ".", "params": "params.yaml", "threads": 1, "disjoint": []}
    nothing = ("archives", "datasets", "lists", "backbones", "classifiers", "weights", "recipes", "runs", "departures")
    values |= {key: {} for key in nothing} | {"nets": {"small": {**net, "upsampling": "fixed"}}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    ended = run_fcn(["timing", "small"], tmp_path)
    assert ended.returncode == 0, ended.stderr
    found = json.loads((tmp_path / "data/p/timing/small.json").read_text())
    made = FCN(shape(Backbone(**backbone), 16, classes=3))  # type: ignore[arg-type]  # as YAML has them
    assert found["parameters"] == sum(parameter.numel() for parameter in made.parameters())
    assert (found["side_px"], found["trials"], found["threads"]) == (500, 20, 1)
    assert found["seconds_per_image"] > 0
    assert (found["precision"], found["steady"]) == ("float32", found["deviation"] <= 0.05 * found["seconds_per_image"])
    assert 1 <= found["rounds"] <= ROUNDS
    assert found["load_average"] >= 0
    ended = run_fcn(["timing", "smal"], tmp_path)
    assert ended.returncode == 2
    assert "timing needs a net's name, found 'smal'; there are small" in ended.stderr
