"""What is read next while something is computed on what was read before, and put together with what is alike."""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

Item = TypeVar("Item")
Read = TypeVar("Read")
Key = TypeVar("Key", bound=Hashable)


def ahead(
    read: Callable[[Item], Read], items: Iterable[Item], *, count: int = 1
) -> Iterator[tuple[Item, Callable[[], Read]]]:
    """Items in order, each with what gives what was read of it, or raises what reading it raised.

    While the caller has one, threads read up to `count` of those behind it; they end with the process, read or not.
    """
    coming: deque[tuple[Item, Callable[[], Read]]] = deque()
    for item in items:
        coming.append((item, _begun(read, item)))
        if len(coming) > count:
            yield coming.popleft()
    while coming:
        yield coming.popleft()


def _begun(read: Callable[[Item], Read], item: Item) -> Callable[[], Read]:
    found: Future[Read] = Future()

    def fill() -> None:
        try:
            found.set_result(read(item))
        except BaseException as error:  # whatever it is, the caller's thread is told
            found.set_exception(error)

    Thread(target=fill, daemon=True).start()
    return found.result


def gathered(
    items: Iterable[Item], *, alike: Callable[[Item], Key], room: Callable[[Key], int], waiting: int
) -> Iterator[list[Item]]:
    """Items of one key together, as many as there is room for, one at least; in no order that would matter.

    Up to so many are left waiting for others of their key; then those go that have waited longest.
    """
    groups: dict[Key, list[Item]] = {}
    for item in items:
        key = alike(item)
        groups.setdefault(key, []).append(item)
        if len(groups[key]) >= room(key):
            yield groups.pop(key)
        elif sum(len(group) for group in groups.values()) > waiting:
            yield groups.pop(next(iter(groups)))
    yield from groups.values()
