"""In which order stages begin, and on which GPUs or how many cores."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.order import PROFILE, ordered, planned
from fcn.entries import Recipe
from flows.dag import Stage
from flows.device_queue import ON_GPU, DeviceQueue

RECIPE = Recipe(
    trained="all",
    batch=6,
    accumulation=1,
    momentum=0.9,
    rate=0.1,
    bias_rate=1,
    decay=0,
    loss="sum",
    iterations=1,
    precision="float32",
)


@st.composite
def _graphs(draw: st.DrawFn) -> list[Stage]:
    """Any graph of stages, needed ones first."""
    made: list[Stage] = []
    for number in range(draw(st.integers(1, 12))):
        kind = draw(st.sampled_from(["train", "evaluate", "timing", "weights"]))
        needs = draw(st.sets(st.sampled_from([stage.address for stage in made]), max_size=3)) if made else set()
        made.append(Stage(address=f"{kind}@{number}", name=f"{kind}@{number}", needs=frozenset(needs)))
    return made


@given(stages=_graphs(), cores=st.integers(1, 3), gpus=st.integers(0, 3), wide=st.integers(1, 3), data=st.data())
def test_every_stage_begins_once_in_order_and_with_room(
    stages: list[Stage], cores: int, gpus: int, wide: int, data: st.DataObject
) -> None:
    """In whatever order stages end: each begins once, after what it needs, on as many free GPUs or cores as it takes.

    A training on more devices than there are takes all of them.
    """
    recipes = {stage.item: replace(RECIPE, devices=wide) for stage in stages[::2]}
    waiting = DeviceQueue(stages, cores=cores, gpus=range(gpus), recipes=recipes)
    running: dict[str, tuple[Stage, Sequence[int]]] = {}

    def wanted(stage: Stage) -> int:
        return min(wide, gpus or cores) if stage.kind == "train" and stage.item in recipes else 1

    order: list[str] = []
    ended: set[str] = set()
    while True:
        while begun := waiting.begin():
            stage, taken = begun
            assert stage.needs <= ended
            assert len(taken) == (wanted(stage) if gpus > 0 and stage.kind in ON_GPU else 0)
            running[stage.address] = begun
            order.append(stage.address)
            seats = Counter(gpu for _, taken in running.values() for gpu in taken)
            assert sum(wanted(stage) for stage, taken in running.values() if not taken) <= cores
            assert set(seats) <= set(range(gpus))
            assert set(seats.values()) <= {1}
            assert len(running) == 1 or all(stage.kind != "timing" for stage, _ in running.values())
        assert waiting.idle == (not running)
        if not running:
            break
        address = data.draw(st.sampled_from(sorted(running)))
        waiting.end(address)
        ended.add(address)
        del running[address]
    assert sorted(order) == sorted(stage.address for stage in stages)
    assert not waiting.waiting


def test_the_longest_chain_goes_first() -> None:
    """One core: a score at once; then the chain whose trainings see most images, or of as many, that has most stages.

    The end waits for that chain.
    """
    chains = [
        ("weights@a", ()),
        ("train@a", ("weights@a",)),
        ("train@long", ()),
        ("train@32", ()),
        ("train@16", ("train@32",)),
        ("evaluate@32", ("train@32",)),
        ("evaluate@16", ("train@16",)),
        ("evaluate@long", ("train@long",)),
    ]
    stages = [Stage(address=name, name=name, needs=frozenset(needs)) for name, needs in chains]
    recipes = {name: replace(RECIPE, iterations=steps) for name, steps in {"32": 3, "16": 3, "long": 5}.items()}
    waiting = DeviceQueue(stages, cores=1, gpus=(), recipes=recipes)
    order = []
    while begun := waiting.begin():
        order.append(begun[0].name)
        waiting.end(begun[0].address)
    staged = ["train@32", "evaluate@32"]
    long = ["train@long", "evaluate@long"]
    assert order == [*staged, *long, "train@16", "evaluate@16", "weights@a", "train@a"]


def test_what_is_alone_goes_last() -> None:
    """A timing begins when nothing else can, even if a longer chain waits for it."""
    chain = [("timing@net", ()), ("train@a", ()), ("tables", ("timing@net",))]
    stages = [Stage(address=name, name=name, needs=frozenset(needs)) for name, needs in chain]
    waiting = DeviceQueue(stages, cores=2, gpus=())
    order = []
    while begun := waiting.begin():
        order.append(begun[0].name)
        waiting.end(begun[0].address)
    assert order == ["train@a", "timing@net", "tables"]


@pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")  # of DVC's trie library
@pytest.mark.parametrize("gpus", [1, 2, 4, 8])
def test_the_papers_plan_is_near_what_no_order_beats(
    graphs: Mapping[str, Sequence[Stage]], repository: Path, monkeypatch: pytest.MonkeyPatch, gpus: int
) -> None:
    """By its plan's hours profiles/paper takes at most 1.25 times its longest chain, or its work evenly shared.

    Each net is scored as soon as it is trained.
    """
    monkeypatch.chdir(repository)
    order = ordered(graphs[PROFILE], planned(), gpus=gpus)
    assert 1 <= order.over_bound <= 1.25
    assert len(order.waits) > 40
    assert max(order.waits) == pytest.approx(0)
