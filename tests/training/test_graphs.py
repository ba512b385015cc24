"""A training whose passes are recorded is the training, on a CPU to the bit, where recordings are stood in for."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from fcn.errors import StageFailure
from fcn.nets.fcn import FCN
from fcn.training import losses, resume
from fcn.training.graphs import Graphs
from fcn.training.loop import Interrupted, train
from tests.training import pictures
from tests.training.observing import Notes
from tests.training.test_memory import small

CPU = torch.device("cpu")
HEADS = {"semantic": pictures.CLASSES, "geometric": 3}
Places = list[tuple[torch.Size, int]]

CASES: Mapping[str, dict[str, Any]] = {
    "sizes": {"batch": 1, "iterations": 16},
    "passes": {"batch": 1, "iterations": 8, "accumulation": 3, "clip": 0.1, "warmup": 3},
    "a sum in bfloat16": {"batch": 2, "iterations": 12, "loss": "sum", "rate": 1e-4, "precision": "bfloat16"},
    "score layers alone": {"batch": 1, "iterations": 14, "trained": "score"},
}


class Noting(FCN):
    """A net that notes where its pictures lie, and the gradients of its last scores."""

    places: Places
    gradients: list[Tensor | None]

    def coarse_scores(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """As the net."""
        self.places.append((inputs["rgb"].shape, inputs["rgb"].data_ptr()))
        self.gradients.append(self.get_parameter("heads.semantic.score_fr.weight").grad)
        return super().coarse_scores(inputs)


def trained(folder: Path, *, graphs: bool, stop_after: int | None = None, **settings: Any) -> Noting:
    """A net of two heads with dropout after a training, which is stopped once and goes on where it is asked to."""
    samples = pictures.write(folder / "pictures", [(32, 48), (40, 32), (36, 36)], heads=HEADS)
    recipe, made = pictures.recipe(**settings), pictures.batches(samples, mirror=True, **settings)

    def run(notes: Notes, saved: Any = None) -> Noting:
        net = pictures.net(stride=8, dropout=0.5, heads=HEADS)
        net.__class__ = Noting
        assert isinstance(net, Noting)
        net.places, net.gradients = [], []
        train(net, made, recipe=recipe, seed=3, device=CPU, workers=0, observer=notes, saved=saved, graphs=graphs)
        return net

    if stop_after is None:
        return run(Notes())
    with pytest.raises(Interrupted):
        run(Notes(folder / "states", stop_after=stop_after))
    return run(Notes(), resume.load(folder / "states"))


def assert_same(one: FCN, other: FCN) -> None:
    assert all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in one.state_dict().items())


@pytest.mark.parametrize("name", CASES)
def test_a_recorded_training_ends_in_the_same_bits(tmp_path: Path, name: str) -> None:
    """Sizes, passes of a step, dropout, two heads, and a stop in its middle: weights are the plain training's.

    From its third sight on a size has a place of its own, into which its pictures are copied; gradients have theirs
    from the first pass on.
    """
    settings = CASES[name]
    plain = trained(tmp_path, graphs=False, **settings)
    recorded = trained(tmp_path, graphs=True, **settings)
    assert_same(recorded, plain)
    assert_same(trained(tmp_path, graphs=True, stop_after=5, **settings), plain)
    places: dict[torch.Size, list[int]] = {}
    for shape, place in recorded.places:
        places.setdefault(shape, []).append(place)
    kept = {shape: set(found[2:]) for shape, found in places.items() if len(found) > 3}
    assert kept
    assert {len(found) for found in kept.values()} == {1}
    assert len(set.union(*kept.values())) == len(kept)
    assert all(gradient is recorded.gradients[-1] for gradient in recorded.gradients[1:])


def test_so_many_sizes_are_recorded() -> None:
    """The first sizes that are seen thrice keep a place, up to 32; of all others and before, passes take what is given.

    Whatever they take, a pass gives what is in its pictures and labels, and leaves these as they are. Recordings that
    are left off keep no place.
    """
    held: set[int] = set()

    def pass_(images: Mapping[str, Tensor], truths: Mapping[str, Tensor]) -> Tensor:
        held.update((images["rgb"].data_ptr(), truths["semantic"].data_ptr()))
        return images["rgb"] + truths["semantic"]

    said: list[str] = []
    graphs, taken = Graphs(CPU, on=True, warn=said.append), []
    every: list[tuple[float, Tensor, Tensor]] = []

    def is_taken(value: float, side: int) -> bool:
        image, truth = (torch.full((1, 3, side, side), number) for number in (value, value + 1))
        every.append((value, image, truth))
        held.clear()
        assert (graphs.run(pass_, {"rgb": image}, {"semantic": truth}) == 2 * value + 1).all()
        return held == {image.data_ptr(), truth.data_ptr()}

    for turn in range(5):
        for side in range(1, 41):
            taken.append(is_taken(float(turn), side))
    assert taken[:80] == [True] * 80
    for turn in range(2, 5):
        assert taken[40 * turn : 40 * turn + 40] == [False] * 32 + [True] * 8
    assert all((image == value).all() and (truth == value + 1).all() for value, image, truth in every)
    assert not said
    graphs.leave_off("enough")
    assert said == ["enough: from here on without CUDA graphs"]
    assert is_taken(9.0, 1)


def test_without_room_recordings_go_first(tmp_path: Path) -> None:
    """A pass that has too little memory is tried without recordings, and only then cut, or given up."""
    samples = pictures.write(tmp_path, [(32, 32), (32, 48), (40, 32)])
    ends = []
    for graphs in (False, True):
        net, notes, recipe = small(2), Notes(), pictures.recipe(batch=4, on_oom="accumulate")
        made = pictures.batches(samples, batch=4)
        train(net, made, recipe=recipe, seed=0, device=CPU, workers=0, observer=notes, graphs=graphs)
        ends.append((net, [warning for warning in notes.warnings if "memory" in warning]))
    assert_same(ends[0][0], ends[1][0])
    first, *others = ends[1][1]
    assert first == "out of memory: from here on without CUDA graphs"
    assert others == ends[0][1] == ["out of memory: from here on every pass is cut into 2"]
    notes, recipe = Notes(), pictures.recipe(batch=4)
    with pytest.raises(StageFailure, match=r"out of memory with 4 images in a pass"):
        train(small(1), made, recipe=recipe, seed=0, device=CPU, workers=0, observer=notes, graphs=True)
    assert notes.warnings == [first]


def test_a_loss_says_that_it_can_be_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the papers do; one that says nothing, or no, isn't recorded: its pictures have no place of their own."""
    assert losses.names() == [name for name in losses.names() if losses.is_recordable(losses.load(name))]
    assert not losses.is_recordable(cast(losses.Loss, SimpleNamespace(summed=None, normaliser=None)))
    monkeypatch.setattr(losses.load("mean"), "recordable", False)
    net = trained(tmp_path, graphs=True, **CASES["sizes"])
    assert net.gradients[-1] is None  # as it is where it needn't stay
