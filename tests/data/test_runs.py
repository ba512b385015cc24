"""Runs of pixels are counted as the pixels are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcn.datasets.runs import counts, runs


@given(size=st.integers(0, 200), run=st.sampled_from((1, 7, 16, 50)), maps=st.integers(1, 3), seed=st.integers(0, 999))
def test_runs_hold_what_the_maps_hold(size: int, run: int, maps: int, seed: int) -> None:
    """Whatever the maps, and however many, together they have the same values the same number of times."""
    random = np.random.default_rng(seed)
    given = [random.integers(0, 3, (1, size), dtype=np.uint8).repeat(run, 1)[0, seed % 3 :] for _ in range(maps)]
    values, times = runs(*given)
    numbers = [sum((each.astype(np.uint16) << 4 * at for at, each in enumerate(found))) for found in (given, values)]
    found = counts(np.asarray(numbers[1]), times, most=1 << 12)
    assert found.dtype == np.int64
    assert np.array_equal(found, np.bincount(np.asarray(numbers[0]), minlength=1 << 12))


@pytest.mark.parametrize("width", [64, 67])
def test_what_repeats_is_put_together(width: int) -> None:
    """Of a label of one class, eight pixels stand for all of a run, and the last few for themselves; noise stays."""
    (values,), times = runs(np.full((1, width), 7, np.uint8))
    assert len(values) == 8 + width % 8
    assert times is not None
    assert times.tolist() == [8] * 8 + [1] * (width % 8)
    noise = np.arange(64, dtype=np.uint8)
    (values,), times = runs(noise)
    assert times is None
    assert np.array_equal(values, noise)
