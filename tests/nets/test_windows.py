"""The windows by which maps are cut are those that torch's layers have."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from fcn.nets.reach import windows


@given(kernel=st.integers(1, 5), stride=st.integers(1, 4), units=st.integers(5, 16), data=st.data())
def test_a_window_sees_what_torch_shows_it(kernel: int, stride: int, units: int, data: st.DataObject) -> None:
    """Which units of the output see a span of the input, and which of them nothing else, not even padding."""
    padding = data.draw(st.integers(0, 2))
    begin = data.draw(st.integers(0, units - 1))
    span = begin, data.draw(st.integers(begin + 1, units))
    (window,) = windows(nn.Conv2d(1, 1, kernel, stride, padding)) or ()
    ones = torch.ones(1, 1, kernel)
    seen = nn.functional.conv1d(torch.eye(units)[:, None], ones, stride=stride, padding=padding)[:, 0]  # input output
    assert window.size(units) == seen.shape[1]
    within, every = seen[slice(*span)].sum(0), range(seen.shape[1])
    assert [unit for unit in range(*window.seeing(span)) if unit in every] == within.nonzero()[:, 0].tolist()
    assert [*range(*window.seeing_only(span))] == (within == kernel).nonzero()[:, 0].tolist()
    for unit in every:
        first, end = window.seen_by((unit, unit + 1))
        assert end - first == kernel
        assert [*range(max(first, 0), min(end, units))] == seen[:, unit].nonzero()[:, 0].tolist()


@given(kernel=st.integers(1, 5), stride=st.integers(1, 4), units=st.integers(5, 16), up=st.booleans(), data=st.data())
def test_a_pool_is_as_large_as_torchs(kernel: int, stride: int, units: int, up: bool, data: st.DataObject) -> None:
    """Whether it rounds up or down, and whatever it pads."""
    pool = nn.MaxPool2d(kernel, stride, data.draw(st.integers(0, kernel // 2)), ceil_mode=up)
    (window,) = windows(pool) or ()
    assert window.size(units) == pool(torch.zeros(1, units, units)).shape[2]


def test_a_dilated_layer_has_none() -> None:
    """Of what sees with gaps no windows are known, alone or among others, and it is computed whole."""
    assert windows(nn.Conv2d(1, 1, 3, dilation=2)) is None
    assert windows(nn.Sequential(nn.Conv2d(1, 1, 3), nn.MaxPool2d(2, dilation=2))) is None
