"""What goes wrong silently is said aloud, and what has diverged is never saved."""

import math
from pathlib import Path

import pytest
import torch

from fcn.nets.fcn import is_score_layer
from fcn.training import resume, watchdog
from fcn.training.loop import train
from fcn.training.watchdog import Diverged
from tests.training import pictures
from tests.training.observing import Notes

CPU = torch.device("cpu")


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_ends_the_training(loss: float) -> None:
    """NaN and infinity raise, with the iteration, the rate and what to do."""
    with pytest.raises(Diverged, match=r"loss is (nan|inf) after iteration 7 at a rate of 0\.5: .* Lower the recipe's"):
        watchdog.check_finite(loss, iteration=7, rate=0.5)
    watchdog.check_finite(3.0, iteration=7, rate=0.5)


@pytest.mark.parametrize("iterations", [400, 4000])
def test_no_state_with_a_broken_weight_is_kept(tmp_path: Path, iterations: int) -> None:
    """A rate that blows up ends the training, and every state that was saved has finite weights and momentum.

    It is noticed at the next row, at every second iteration or every twentieth, or before where a state would be saved.
    """
    (tmp_path / "states").mkdir()
    made = pictures.batches(pictures.write(tmp_path, [(32, 32)] * 3))
    notes = Notes(tmp_path / "states")
    with pytest.raises(Diverged, match=r"after iteration \d+ at a rate of 1e\+12: the training diverged"):
        train(
            pictures.net(),
            made,
            recipe=pictures.recipe(rate=1e12, iterations=iterations),
            seed=0,
            device=CPU,
            workers=0,
            observer=notes,
        )
    assert len(notes.rows) < 399
    saved = resume.load(tmp_path / "states")
    assert (saved is None) == (not notes.saved)
    if saved is not None:
        assert all(torch.isfinite(tensor).all() for tensor in saved[1].values())


def test_a_last_step_that_breaks_the_weights_is_noticed(tmp_path: Path) -> None:
    """If the last step leaves NaN in the weights, though its loss was finite, the training fails all the same.

    So it does at an earlier step, where a state would be saved.
    """
    made = pictures.batches(pictures.write(tmp_path, [(32, 32)] * 3))
    for iterations, notes in ((1, Notes()), (400, Notes(tmp_path / "states"))):
        recipe = pictures.recipe(iterations=iterations, rate=1e38, bias_rate=1, loss="sum")
        with pytest.raises(Diverged, match=r"holds NaN or infinity after iteration 1 at a rate of 1e\+38"):
            train(pictures.net(), made, recipe=recipe, seed=0, device=CPU, workers=0, observer=notes)
        assert not notes.saved


def test_a_loss_at_ln_k_is_said(tmp_path: Path) -> None:
    """A net that learns nothing is told of: from a tenth of the way on its loss is ln K."""
    assert watchdog.stuck(math.log(21), heads={"semantic": 21}, done=0.05) is None
    assert watchdog.stuck(math.log(21) - 0.1, heads={"semantic": 21}, done=0.5) is None
    assert "ln 21: nothing is learned" in (watchdog.stuck(math.log(21) + 0.005, heads={"semantic": 21}, done=0.1) or "")
    of_two, heads = (math.log(5) + math.log(3)) / 2, {"semantic": 5, "geometric": 3}
    assert "ln 5 and ln 3: nothing is learned" in (watchdog.stuck(of_two, heads=heads, done=0.5) or "")
    made = pictures.batches(pictures.write(tmp_path, [(32, 32)] * 3))
    net = pictures.net()
    for name, parameter in net.named_parameters():
        if is_score_layer(name):
            torch.nn.init.zeros_(parameter)
    notes = Notes()
    train(net, made, recipe=pictures.recipe(rate=1e-9, iterations=30), seed=0, device=CPU, workers=0, observer=notes)
    told = zip(notes.warned_at, notes.warnings, strict=True)
    assert [at + 1 for at, warning in told if f"ln {pictures.CLASSES}" in warning] == list(range(3, 31))


@pytest.mark.parametrize(("answer", "told_at"), [(0, [20, 40]), (1, [20, 40]), (None, [])])
def test_one_answer_everywhere_is_said(tmp_path: Path, answer: int | None, told_at: list[int]) -> None:
    """A net that answers every pixel alike, background or not, is told of, a quarter of the way in and later.

    Every twentieth row looks at a batch's answers.
    """
    assert watchdog.one_answer(torch.zeros(1, 3, 2, 2), done=0.2) is None
    assert "one class everywhere" in (watchdog.one_answer(torch.zeros(1, 3, 2, 2), done=0.25) or "")
    assert watchdog.one_answer(torch.eye(3).view(1, 3, 3, 1), done=0.9) is None
    made = pictures.batches(pictures.write(tmp_path, [(96, 128)] * 3))
    net = pictures.net()
    bias = net.head("semantic").score_fr.bias
    assert bias is not None
    with torch.no_grad():
        if answer is None:
            net.head("semantic").score_fr.weight.normal_(std=10.0)
        else:
            bias[answer] = 100.0
    notes = Notes()
    recipe = pictures.recipe(rate=1e-9, iterations=40)
    train(net, made, recipe=recipe, seed=0, device=CPU, workers=0, observer=notes)
    told = zip(notes.warned_at, notes.warnings, strict=True)
    assert [before + 1 for before, warning in told if "one class everywhere" in warning] == told_at


def test_a_training_that_learns_is_left_alone(tmp_path: Path) -> None:
    """On pictures whose colour is their class the loss falls, and once it has, nothing is warned of."""
    made = pictures.batches(pictures.write(tmp_path, [(32, 32)] * 3))
    notes = Notes()
    recipe = pictures.recipe(rate=0.05, iterations=60, score_rate=5, clip=1.0)
    train(pictures.net(stride=8), made, recipe=recipe, seed=0, device=CPU, workers=0, observer=notes)
    assert all(iteration < 30 for iteration in notes.warned_at)
    assert notes.rows[-1]["loss"] < 0.9 * notes.rows[0]["loss"]
    assert [row["iteration"] for row in notes.rows] == list(range(1, 61))
    assert notes.rows[-1]["images"] == 120
