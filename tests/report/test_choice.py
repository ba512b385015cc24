"""Which runs stand side by side, and which images and classes are shown."""

import string
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fcn.config import load
from fcn.figures.choice import CANDIDATES, PLACES, at_places, candidates, classes_to_map, image_of
from fcn.figures.groups import groups, leading
from fcn.figures.score_maps import spread
from fcn.nets.upsampling import Upsampling

ROOT = Path(__file__).resolve().parents[2]
PROFILES = {
    "params.yaml": [
        [f"voc-fcn{stride}s-vgg16" for stride in (32, 16, 8)],
        [f"siftflow-fcn{stride}s-vgg16" for stride in (16, 8)],
    ],
    "profiles/paper/params.yaml": [
        *([f"voc-fcn{stride}s-vgg16{regime}" for stride in (32, 16, 8)] for regime in ("", "-cvpr")),
        ["nyud-fcn32s-vgg16-rgb", "nyud-fcn32s-vgg16-rgb-hha"],
        ["nyud-fcn32s-vgg16-rgb-cvpr", "nyud-fcn32s-vgg16-rgb-hha-cvpr", "nyud-fcn16s-vgg16-rgb-hha-cvpr"],
        [f"siftflow-fcn{stride}s-vgg16" for stride in (32, 16, 8)],
        [f"siftflow-fcn{stride}s-vgg16-cvpr" for stride in (32, 16)],
        *([f"context-fcn{stride}s-vgg16{regime}" for stride in (32, 16, 8)] for regime in ("", "-cvpr")),
        [f"context33-fcn{stride}s-vgg16-cvpr" for stride in (32, 16, 8)],
    ],
    "profiles/voc-subset/params.yaml": [],
}
VALUES = st.dictionaries(st.text(string.ascii_lowercase, min_size=1), st.floats(-100, 100), min_size=1, max_size=40)


@pytest.mark.parametrize("profile", PROFILES)
def test_chains_are_found_in_the_parameters(profile: str) -> None:
    """A profile's chains are its staged runs, coarse to fine, and every run stands in just one group."""
    if not (ROOT / profile).exists():
        pytest.skip(f"{profile} is not here")
    config = load(ROOT / profile)
    found = groups(config, list(config.runs))
    assert [group.runs for group in found if group.chain] == PROFILES[profile]
    assert sorted(run for group in found for run in group.runs) == sorted(config.runs)
    assert len({group.key for group in found}) == len(found)
    for group in found:
        assert {config.runs[run].val for run in group.runs} == {group.val}
    assert leading(found)


def test_a_missing_run_breaks_no_figure() -> None:
    """Where a chain's first run is missing, the rest is still a chain; where the middle is, there is none."""
    config = load(ROOT / "params.yaml")
    finer = ["voc-fcn16s-vgg16", "voc-fcn8s-vgg16"]
    assert [group.runs for group in groups(config, finer)] == [finer]
    assert [group.chain for group in groups(config, ["voc-fcn32s-vgg16", "voc-fcn8s-vgg16"])] == [False]


@given(VALUES)
def test_the_rule_takes_best_median_and_worst(values: dict[str, float]) -> None:
    """The images are at the rule's places in the order of their values, best first, none twice, ties by id."""
    chosen = at_places(values)
    ordered = sorted(values, key=lambda image_id: (values[image_id], image_id))
    assert chosen[0].id == ordered[-1]
    assert chosen[0].place == "best"
    assert len({item.id for item in chosen}) == len(chosen) == min(len(values), len(PLACES))
    assert [item.value for item in chosen] == sorted((item.value for item in chosen), reverse=True)
    assert all(values[item.id] == item.value for item in chosen)
    if len(values) >= len(PLACES):
        assert chosen[-1].id == ordered[0]
        assert chosen[2].id == ordered[len(ordered) // 2]
    assert at_places(dict(reversed(values.items()))) == chosen


def test_candidates_are_a_fixed_sample() -> None:
    """At most CANDIDATES ids are looked at, whatever their order, and a new id moves at most one out."""
    ids = [f"2008_{number:06d}" for number in range(3 * CANDIDATES)]
    chosen = candidates(ids)
    assert len(chosen) == CANDIDATES
    assert candidates(ids[::-1]) == chosen
    assert len(set(chosen) - set(candidates([*ids, "2009_000001"]))) <= 1
    assert sorted(candidates(ids[:7])) == ids[:7]


def test_score_maps_are_of_horse_and_person() -> None:
    """Horse and person are mapped where the truth has them, else the classes with most pixels, never background."""
    names = ["background", "cat", "horse", "person", "sheep"]
    assert classes_to_map([900, 50, 1, 1, 50], names=names) == [2, 3]
    assert classes_to_map([900, 50, 1, 0, 60], names=names) == [2, 4]
    assert classes_to_map([900, 50, 0, 0, 60], names=names) == [1, 4]
    assert classes_to_map([900, 0, 0, 0, 60], names=names) == [4]
    assert classes_to_map([900, 50, 0, 0, 60], names=names, background=None) == [0, 4]
    assert image_of({"a": 0.0, "b": 0.9, "d": 0.24, "c": 0.16}) == "d"
    assert image_of({"b": 0.25, "a": 0.25}) == "a"
    assert image_of({"a": 0.0}) is None


@pytest.mark.parametrize(
    ("factor", "kernel", "offset"), [(32, 64, 19), (16, 31, 27), (8, 16, 31), (8, 16, 4), (32, 64, 16)]
)
def test_a_cell_lies_where_the_network_puts_it(factor: int, kernel: int, offset: int) -> None:
    """A cell of the heat map holds the pixels in which the network's upsampling of that cell alone is the highest."""
    up = Upsampling(1, factor=factor, kernel=kernel, learned=False)
    size = (5 * factor, 6 * factor)
    for row, column in ((4, 4), (4, 5)):
        coarse = torch.zeros(1, 1, 8, 9)
        coarse[0, 0, row, column] = 1
        full = up(coarse, offset=offset, size=size)[0, 0].numpy()
        cell = spread(coarse[0, 0].numpy(), size=size, factor=factor, kernel=kernel, offset=offset)
        assert cell.any()
        assert np.all(cell[full == full.max()] == 1)
        assert full[cell == 1].min() >= 0.2
