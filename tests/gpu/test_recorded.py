"""What only a GPU does: recorded passes, fused steps, several pictures at once; `FCN_DEVICE=cpu` tries them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fcn.datasets.samples import Samples
from fcn.nets.fcn import FCN
from fcn.scoring.answers import histograms
from fcn.training.graphs import Graphs
from fcn.training.loop import train
from fcn.training.optimizer import sgd
from tests.gpu.test_gpu import CPU, HEADS, assert_near, trained
from tests.training import pictures
from tests.training.observing import Notes

pytestmark = pytest.mark.gpu


class Counting(FCN):
    """A net that counts how often Python tells it what to compute."""

    calls = 0

    def coarse_scores(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """As the net."""
        self.calls += 1
        return super().coarse_scores(inputs)


@pytest.mark.parametrize(("precision", "digits"), [("float32", 1e-3), ("bfloat16", 3e-2)])
def test_recorded_passes_are_the_plain_ones(
    samples: Samples, device: torch.device, precision: str, digits: float
) -> None:
    """Sizes, several passes a step, dropout, and loaders beside: a net learns what it does when nothing is recorded.

    On a GPU, which adds in varying order, but for digits of what it learned; on a CPU to the bit.
    """
    settings: dict[str, Any] = {"iterations": 20, "batch": 1, "accumulation": 2, "rate": 0.05, "precision": precision}
    plain, _, wanted = trained(samples, device, dropout=0.5, **settings)
    net, _, notes = trained(samples, device, dropout=0.5, graphs=True, workers=2, **settings)
    assert not [warning for warning in notes.warnings if "graphs" in warning]
    assert [row["loss"] for row in notes.rows] == pytest.approx([row["loss"] for row in wanted.rows], rel=digits)
    before = pictures.net(stride=8).state_dict()
    for key, tensor in plain.state_dict().items():
        off, moved = (float((tensor - other[key]).abs().max()) for other in (net.state_dict(), before))
        assert off <= (digits * moved if device.type == "cuda" else 0), key


def test_a_recorded_pass_is_python_no_more(samples: Samples, device: torch.device) -> None:
    """A GPU is told two passes of a size, the third and its recording; a CPU, which stands in, every pass."""
    net, recipe = pictures.net(), pictures.recipe(iterations=30, batch=1)
    net.__class__ = Counting
    assert isinstance(net, Counting)
    made = pictures.batches(samples, batch=1)
    train(net, made, recipe=recipe, seed=0, device=device, workers=0, observer=Notes(), graphs=True)
    assert net.calls == (4 * len(samples) if device.type == "cuda" else 30)


def test_recordings_share_their_memory(device: torch.device) -> None:
    """Sizes replayed in any order each give what is in their pictures and labels, and add it up in place."""
    graphs, total = Graphs(device, on=True, warn=pytest.fail), torch.zeros((), device=device)

    def pass_(images: Mapping[str, Tensor], truths: Mapping[str, Tensor]) -> Tensor:
        pixels, labels = images["rgb"].to(device), truths["semantic"].to(device)
        for _ in range(4):
            pixels = pixels * 2 - pixels.mean() + labels[:, None]
        total.add_(pixels.sum())
        return pixels

    random = np.random.default_rng(0)
    for turn in range(120):
        side = int(random.integers(1, 9))
        images = {"rgb": torch.from_numpy(random.random((1, 3, side, side), np.float32))}
        truths = {"semantic": torch.full((1, side, side), turn, dtype=torch.uint8)}
        total.zero_()
        found, summed = graphs.run(pass_, images, truths).clone(), float(total)
        total.zero_()
        torch.testing.assert_close(found, pass_(images, truths))
        assert summed == pytest.approx(float(total), rel=1e-5)


def test_fused_steps_are_the_plain_ones(device: torch.device) -> None:
    """Fused, as on a GPU, the optimizer ends as torch's plain one does, and each goes on from the other's state."""
    random, ends = torch.Generator().manual_seed(0), []
    steps = [[torch.randn(each.shape, generator=random) for each in pictures.net().parameters()] for _ in range(4)]
    for fused_first in (True, False):
        net = pictures.net().on(device)
        optimizer = sgd(net, pictures.recipe(rate=0.05, decay=0.01))
        assert bool(optimizer.defaults["fused"]) == (device.type == "cuda")
        for turn, gradients in enumerate(steps):
            for parameter, gradient in zip(net.parameters(), gradients, strict=True):
                parameter.grad = torch.empty_like(parameter).copy_(gradient)
            for group in optimizer.param_groups:
                group["fused"] = fused_first == (turn < 2)
            optimizer.step()
        ends.append(net)
    assert_near(*ends, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("heads", [{"semantic": 5}, HEADS], ids=len)
def test_pictures_at_once_are_scored_as_one_by_one(tmp_path: Path, device: torch.device, heads: dict[str, int]) -> None:
    """Pictures of a size answered together, and counted where they are: the same but for one pixel in a thousand."""
    sizes = [(64, 64), (48, 64), (64, 64), (64, 40), (48, 64), (64, 64), (64, 64)]
    samples = pictures.write(tmp_path / "several", sizes, heads=heads)
    net, read = pictures.net(stride=8, heads=heads).eval(), [samples.read(image_id) for image_id in samples.ids]
    one, several = (
        histograms(net.on(where), read, preprocessing={"rgb": pictures.SCALED}, device=where, at_once_px=pixels)
        for where, pixels in ((CPU, 1), (device, 3 * 64 * 64))
    )
    for target, hist in one.items():
        assert hist.sum() == several[target].sum() == sum(height * width for height, width in sizes)
        assert np.abs(hist - several[target]).sum() <= 2e-3 * hist.sum()


def test_a_pass_that_waits_is_not_recorded(device: torch.device) -> None:
    """Where a pass asks a GPU for a number, recording is left off with a warning, and the answer is right."""
    said: list[str] = []
    graphs = Graphs(device, on=True, warn=said.append)

    def pass_(images: Mapping[str, Tensor], _: Mapping[str, Tensor]) -> Tensor:
        found = images["rgb"].to(device) * 2
        return found * float(found.sum())

    for turn in range(5):
        given = torch.full((1, 1, 2, 2), float(turn))
        assert bool((graphs.run(pass_, {"rgb": given}, {}) == 16 * turn * turn).all())
    assert graphs.on == (device.type == "cpu")
    assert len(said) == (device.type == "cuda")
    for words in said:
        assert words.startswith("a pass can't be recorded (")
        assert words.endswith("): from here on without CUDA graphs")
