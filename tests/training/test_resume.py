"""Saved states come back whole, the last good one survives everything, and stopping leaves no trace in the weights."""

import errno
import itertools
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from fcn.entries import Recipe
from fcn.nets.fcn import FCN
from fcn.training import resume
from fcn.training.loop import Interrupted, train
from fcn.training.optimizer import sgd
from fcn.training.resume import Progress
from fcn.training.seeds import iteration_seed
from tests.training import pictures
from tests.training.observing import Notes

ROOT = Path(__file__).resolve().parents[2]
CPU = torch.device("cpu")


def save(folder: Path, iteration: int) -> None:
    """A small state that tells its iteration."""
    progress = Progress(iteration=iteration, history=[{"iteration": iteration, "loss": 0.1}], loss_sum=0.1, pixels=3)
    resume.save(folder, progress=progress, net={"w": torch.full((4,), iteration)}, optimizer={"lr": 1e-3})


def found(folder: Path) -> int | None:
    """The iteration of the state that is taken."""
    saved = resume.load(folder)
    if saved is None:
        return None
    assert torch.equal(saved[1]["w"], torch.full((4,), saved[0].iteration))
    return saved[0].iteration


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    """Progress, tensors and the optimizer's numbers are read as they were written; an empty folder has none."""
    assert resume.load(tmp_path / "nowhere") is None
    tmp_path.joinpath("lock").touch()
    assert resume.load(tmp_path) is None
    progress = Progress(iteration=7, loss_sum=1 / 3, pixels=12, seconds=2.5, split=2, history=[{"loss": 0.1}])
    net, optimizer = {"w": torch.randn(3, 4)}, {"state": {0: {"momentum_buffer": torch.randn(2)}}, "lr": 1e-10}
    resume.save(tmp_path / "states" / "of-a-run", progress=progress, net=net, optimizer=optimizer)
    saved = resume.load(tmp_path / "states" / "of-a-run")
    assert saved is not None
    assert saved[0] == progress
    assert torch.equal(saved[1]["w"], net["w"])
    assert saved[2]["lr"] == 1e-10
    assert torch.equal(saved[2]["state"][0]["momentum_buffer"], optimizer["state"][0]["momentum_buffer"])  # type: ignore[index]  # one dict of many kinds


def test_two_states_are_kept(tmp_path: Path) -> None:
    """After every save there are the newest state and the one before, and nothing half-written."""
    for iteration in (5, 9, 10, 100_000):
        save(tmp_path, iteration)
        assert found(tmp_path) == iteration
    assert [path.name[:15] for path in sorted(tmp_path.iterdir())] == ["state-000000010", "state-000100000"]


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty"])
def test_a_damaged_state_is_passed_over(tmp_path: Path, damage: str) -> None:
    """If the newest file is damaged, the one before is taken and the damaged one is removed; if both are, none is."""
    for iteration in (5, 9):
        save(tmp_path, iteration)
    older, newest = sorted(tmp_path.iterdir())
    for path, left in ((newest, 5), (older, None)):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        spoilt = {"truncated": content[:-100], "flipped": content, "empty": bytearray()}
        path.write_bytes(spoilt[damage])
        assert found(tmp_path) == left
        assert not path.exists()


def test_a_left_over_part_is_no_state(tmp_path: Path) -> None:
    """What a killed process left half-written is not read, and doesn't hinder the next save."""
    save(tmp_path, 5)
    (tmp_path / "state.part").write_bytes(b"half of a")
    assert found(tmp_path) == 5
    save(tmp_path, 6)
    assert found(tmp_path) == 6
    assert not (tmp_path / "state.part").exists()


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    """Where a state doesn't fit on the disk, saving fails with the system's error, and the earlier ones are whole."""
    program = (
        "import sys, torch; from pathlib import Path; from tests.training import test_resume as t\n"
        "import resource; from fcn.training import resume\n"
        "folder = Path(sys.argv[1]); t.save(folder, 5); t.save(folder, 9)\n"
        "t.limit_files(20_000)\n"
        "try: resume.save(folder, progress=resume.Progress(iteration=10, history=[]), net={'w': torch.rand(9000)},"
        " optimizer={})\n"
        "except OSError as error: print(error.errno)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, capture_output=True, text=True)
    assert ended.stdout.strip() == str(errno.EFBIG), ended.stderr
    assert [path.name[:15] for path in sorted(tmp_path.iterdir())] == ["state-000000005", "state-000000009"]
    assert found(tmp_path) == 9


def limit_files(size: int) -> None:
    """Let this process write no file larger than `size` bytes, as on a disk that is full."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_a_state_runs_no_code(tmp_path: Path) -> None:
    """A file in the folder under a state's name and with its own digest is loaded as data alone."""
    import hashlib
    import pickle

    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "exploded"),)

    torch.save({"progress": Bomb()}, tmp_path / "bomb", pickle_module=pickle)
    digest = hashlib.sha256((tmp_path / "bomb").read_bytes()).hexdigest()
    (tmp_path / "bomb").rename(tmp_path / f"state-000000001-{digest[:16]}.pt")
    with pytest.raises(pickle.UnpicklingError):
        resume.load(tmp_path)
    assert not (tmp_path / "exploded").exists()


def test_iterations_have_their_own_seeds() -> None:
    """The seed of an iteration is fixed by (seed, iteration), and fits into a signed 64-bit number."""
    seeds = [iteration_seed(seed, iteration) for seed in range(3) for iteration in range(200)]
    assert len(set(seeds)) == 600
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert iteration_seed(0, 0) == 5_303_414_058_334_976_765  # a new formula would change every training


RECIPES = {
    "plain": pictures.recipe(iterations=9),
    "heavy": pictures.recipe(iterations=9, momentum=0.99, loss="sum", rate=1e-6, batch=1),
    "everything": pictures.recipe(
        iterations=9, warmup=4, drop_at=0.7, clip=1.0, score_rate=10, accumulation=2, precision="bfloat16"
    ),
}


def run(tmp_path: Path, recipe: Recipe, notes: Notes, *, states: Path | None = None) -> tuple[FCN, Progress]:
    """Train a net with dropout and batches with every random draw, from the saved states if there are some."""
    samples = pictures.write(tmp_path, [(32, 48), (40, 32), (36, 36)])
    made = pictures.batches(samples, batch=recipe.batch, mirror=True, jitter=4, crop=32)
    net = pictures.net(dropout=0.5, stride=8, upsampling="intermediate")
    saved = resume.load(states) if states is not None else None
    torch.seed()  # what was drawn before must not matter
    progress = train(net, made, recipe=recipe, seed=3, device=CPU, workers=0, observer=notes, saved=saved)
    return net, progress


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_stopping_leaves_no_trace(tmp_path: Path, recipe: Recipe) -> None:
    """Stopped after any iteration and resumed, a training ends with the bits and the history of an undisturbed one."""
    whole, progress = run(tmp_path, recipe, Notes())
    for stop_after in (1, 2, 5, 6, 8):
        states = tmp_path / f"stopped-{stop_after}"
        with pytest.raises(Interrupted, match=f"after iteration {stop_after} of 9"):
            run(tmp_path, recipe, Notes(states, stop_after=stop_after))
        assert found_iteration(states) == stop_after
        net, again = run(tmp_path, recipe, Notes(), states=states)
        assert_same_bits(net, whole)
        assert again.history == progress.history


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_stopping_after_every_iteration_leaves_no_trace(tmp_path: Path, recipe: Recipe) -> None:
    """A training that is stopped after each of its iterations ends as one that never was."""
    whole, progress = run(tmp_path, recipe, Notes())
    states = tmp_path / "states"
    for _ in range(8):
        with pytest.raises(Interrupted):
            run(tmp_path, recipe, Notes(states, stop_after=1), states=states)
    net, again = run(tmp_path, recipe, Notes(), states=states)
    assert_same_bits(net, whole)
    assert again.history == progress.history


def test_saving_changes_nothing(tmp_path: Path) -> None:
    """A training that saves after every iteration ends with the same bits as one that never does."""
    recipe = RECIPES["everything"]
    whole, _ = run(tmp_path, recipe, Notes())
    notes = Notes(tmp_path / "states")
    net, _ = run(tmp_path, recipe, notes)
    assert notes.saved == list(range(1, 10))
    assert_same_bits(net, whole)


def test_a_finished_state_ends_at_once(tmp_path: Path) -> None:
    """A state of the last iteration gives the trained net and its history without another step."""
    recipe = RECIPES["plain"]
    whole, progress = run(tmp_path, recipe, Notes(tmp_path / "states"))
    notes = Notes()
    net, again = run(tmp_path, recipe, notes, states=tmp_path / "states")
    assert notes.rows == []
    assert_same_bits(net, whole)
    assert again.history == progress.history


def test_a_stop_at_the_last_iteration_is_the_end(tmp_path: Path) -> None:
    """Asked to stop when the last iteration is done, a training saves, and has ended as it would have."""
    notes = Notes(tmp_path / "states", stop_after=9)
    _, progress = run(tmp_path, RECIPES["plain"], notes)
    assert progress.iteration == notes.saved[-1] == 9


def test_long_rows_survive_a_stop(tmp_path: Path) -> None:
    """A row has the mean of several iterations; a stop in between doesn't change what it says; the last has a row."""
    recipe = pictures.recipe(iterations=401, batch=1)
    samples = pictures.write(tmp_path, [(16, 16)])
    made = pictures.batches(samples, batch=1)
    histories, began = [], time.monotonic()
    for stop_after in (None, 201):
        states = tmp_path / f"{stop_after}"
        settings: dict[str, Any] = {"recipe": recipe, "seed": 0, "device": CPU, "workers": 0}
        if stop_after is not None:
            with pytest.raises(Interrupted):
                train(pictures.net(stride=32), made, observer=Notes(states, stop_after=stop_after), **settings)
        notes = Notes()
        progress = train(pictures.net(stride=32), made, observer=notes, saved=resume.load(states), **settings)
        histories.append(progress.history)
        assert 0 < progress.seconds < time.monotonic() - began
    assert [row["iteration"] for row in histories[0]] == [*range(2, 401, 2), 401]
    assert histories[0] == histories[1]
    recipe = replace(recipe, iterations=2)  # a row each
    short = train(pictures.net(stride=32), made, recipe=recipe, seed=0, device=CPU, workers=0, observer=Notes())
    assert histories[0][0]["loss"] == pytest.approx(sum(row["loss"] for row in short.history) / 2)


def test_pixels_are_counted_one_by_one(tmp_path: Path) -> None:
    """A row's pixels are counted exactly beyond the 2**24 that a float32 can tell apart."""
    recipe, net = pictures.recipe(iterations=400, batch=1), pictures.net(stride=32)
    made = pictures.batches(pictures.write(tmp_path, [(16, 16)]), batch=1)
    before = Progress(history=[], pixels=2**24 + 1), net.state_dict(), sgd(net, recipe).state_dict()
    notes = Notes(tmp_path / "states", stop_after=1)
    with pytest.raises(Interrupted):
        train(net, made, recipe=recipe, seed=0, device=CPU, workers=0, observer=notes, saved=before)
    after = resume.load(tmp_path / "states")
    assert after is not None
    assert after[0].pixels == 2**24 + 1 + 16 * 16


def found_iteration(states: Path) -> int | None:
    saved = resume.load(states)
    return None if saved is None else saved[0].iteration


def assert_same_bits(one: FCN, other: FCN) -> None:
    pairs = itertools.zip_longest(one.state_dict().items(), other.state_dict().items())
    assert all(a[0] == b[0] and torch.equal(a[1], b[1]) for a, b in pairs)
