"""The first losses of tiny trainings, typed: a refactoring that moves them has changed the method."""

from pathlib import Path
from typing import Any

import pytest
import torch

from fcn.training.loop import train
from fcn.training.optimizer import freeze, rate_at
from tests.training import pictures
from tests.training.observing import Notes

CPU = torch.device("cpu")
PLAIN: dict[str, Any] = {"iterations": 6, "rate": 0.3}
EVERYTHING: dict[str, Any] = {"iterations": 6, "warmup": 3, "drop_at": 0.7, "clip": 1.0, "score_rate": 10, "rate": 0.1}
EVERYTHING |= {"accumulation": 2, "mirror": True, "jitter": 4, "crop": 32}
SUMMED: dict[str, Any] = {"iterations": 6, "loss": "sum", "batch": 1, "momentum": 0.99, "rate": 1e-4}

# All but those of two heads are, to the bit, those of the code before nets had heads and losses names (803fcf5).
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], list[float]]] = {
    "mean": (PLAIN, {"stride": 16}, [1.6078253, 1.6031256, 1.5993249, 1.6057727, 1.5962345, 1.5948432]),
    "everything": (
        EVERYTHING,
        {"stride": 8, "upsampling": "intermediate", "dropout": 0.5},
        [1.6174814, 1.5928109, 1.5874331, 1.7524915, 1.6053398, 1.6242749],
    ),
    "sum": (
        SUMMED,
        {"stride": 8, "upsampling": "all"},
        [1.6246860, 1.6028501, 1.5860654, 1.6375780, 1.6430580, 1.6387119],
    ),
    "score layers alone": (
        {**PLAIN, "trained": "score"},
        {"stride": 32},
        [1.6080579, 1.6074108, 1.6063719, 1.6056530, 1.6044763, 1.6024315],
    ),
    "two heads": (
        EVERYTHING,
        {"stride": 16, "heads": {"semantic": 5, "geometric": 3}},
        [1.3350717, 1.3122542, 1.2910491, 1.4149642, 1.3296239, 1.3258362],
    ),
}


@pytest.mark.parametrize(("settings", "net", "losses"), CASES.values(), ids=CASES)
def test_the_first_losses_are_as_they_were(
    tmp_path: Path, settings: dict[str, Any], net: dict[str, Any], losses: list[float]
) -> None:
    """Six iterations on the CPU with one thread have these losses, to five digits; rows tell images and rate too."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        samples = pictures.write(tmp_path, [(32, 48), (40, 32), (36, 36)], heads=net.get("heads"))
        made, recipe = pictures.net(**net), pictures.recipe(**settings)
        freeze(made, recipe)
        made.eval()  # as a net that has just answered is: training is the loop's to switch on
        notes = Notes()
        progress = train(
            made,
            pictures.batches(samples, seed=3, **settings),
            recipe=recipe,
            seed=3,
            device=CPU,
            workers=0,
            observer=notes,
        )
    finally:
        torch.set_num_threads(threads)
    assert [row["loss"] for row in notes.rows] == pytest.approx(losses, rel=1e-5)
    assert progress.history == notes.rows
    batch = recipe.batch * recipe.accumulation
    told = [(row["images"], row["rate"]) for row in notes.rows]
    assert told == [((done + 1) * batch, rate_at(done, recipe)) for done in range(6)]
