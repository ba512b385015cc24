"""What comes next is read beside, in order, and no more of it than may be held."""

import threading

import pytest

from fcn.ahead import ahead


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
