"""What comes next is read beside, in order, and no more of it than may be held."""

import threading
from collections.abc import Iterator
from operator import itemgetter
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcn.ahead import ahead, gathered


def test_the_next_is_read_while_the_caller_works() -> None:
    """With the first in hand, the second's reading begins by itself, and of those behind it none."""
    begun = [threading.Event() for _ in range(5)]

    def read(number: int) -> int:
        begun[number].set()
        return 10 * number

    items = ahead(read, range(5))
    number, result = next(items)
    assert begun[1].wait(20)
    assert (number, result(), begun[2].is_set()) == (0, 0, False)
    assert [(item, get()) for item, get in items] == [(1, 10), (2, 20), (3, 30), (4, 40)]


@pytest.mark.parametrize("count", [1, 3, 9])
def test_an_error_is_raised_where_its_item_is_asked_for(count: int) -> None:
    """What was before it and what is behind it are given as if there had been none."""
    found: list[object] = []
    for item, result in ahead(lambda number: 6 // number, (3, 0, 2, 1), count=count):
        try:
            found.append((item, result()))
        except ZeroDivisionError:
            found.append("wrong")
    assert found == [(3, 2), "wrong", (2, 3), (1, 6)]


def test_whatever_stops_a_reader_is_told() -> None:
    """What is no Exception, as a wish to end, reaches who asks for the item, who else would wait for ever."""

    def read(_: int) -> int:
        raise SystemExit(3)

    ((_, result),) = ahead(read, [0])
    with pytest.raises(SystemExit):
        cast(Any, result)(timeout=20)


@given(st.lists(st.integers(0, 5)), st.integers(0, 4), st.integers(0, 6))
def test_alike_items_come_together(numbers: list[int], room: int, waiting: int) -> None:
    """Every item comes once, with others of its key in their order, no more than there is room for or one alone.

    Of what was taken no more than `waiting` wait for others of their key.
    """
    taken = 0

    def items() -> Iterator[tuple[int, int]]:
        nonlocal taken
        for item in enumerate(numbers):
            taken += 1
            yield item

    found: list[tuple[int, int]] = []
    for group in gathered(items(), alike=itemgetter(1), room=lambda key: room if key else 0, waiting=waiting):
        assert group == sorted(group)
        assert len({key for _, key in group}) == 1
        assert 1 <= len(group) <= max(1, room if group[0][1] else 0)
        found += group
        assert taken - len(found) <= waiting or taken == len(numbers)
    assert sorted(found) == list(enumerate(numbers))


def test_who_has_waited_longest_goes() -> None:
    """As many wait as may; for one more, those go whose first came first."""
    found = gathered("abcbca", alike=str, room=lambda _: 2, waiting=2)
    assert list(found) == [["a"], ["b", "b"], ["c", "c"], ["a"]]
