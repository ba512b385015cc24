"""Two works timed in turn in one process, A B A B, as a row that becomes JSON and a line of a page.

A machine's speed changes from minute to minute, and what disturbs one of two neighbours mostly disturbs the other:
so the figure of a row is the median of the ratios of neighbours, with the least and the largest of them beside it.
"""

import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

LEAST_SECONDS = 0.05  # of one reading of the clock: a faster work is done as often as that takes


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How many pairs a row has at most, and after how many seconds it takes no third."""

    pairs: int
    seconds: float


_USUAL = Patience(pairs=11, seconds=15)
_patience: ContextVar[Patience] = ContextVar("patience", default=_USUAL)


@contextmanager
def patience(pairs: int, *, seconds: float) -> Iterator[None]:
    """Measure with this patience inside of the block."""
    before = _patience.set(Patience(pairs=pairs, seconds=seconds))
    try:
        yield
    finally:
        _patience.reset(before)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One benchmark: every reading of ours and of the peer's beside it, or why there is none.

    Beside a peer, less is better, and `target` is how many times more the peer has to take. Without a peer, more is
    better, and `target` is what ours has to be. `equality` says in what the two results agree, `equal` whether that is
    enough; `dataclasses.replace` adds both.
    """

    benchmark: str
    peer: str = ""
    unit: str = "s"
    ours: tuple[float, ...] = ()
    theirs: tuple[float, ...] = ()
    target: float | None = None
    equality: str = ""
    equal: bool = True
    missing: str = ""

    def __post_init__(self) -> None:
        assert bool(self.ours) != bool(self.missing), self.benchmark
        assert len(self.theirs) == (len(self.ours) if self.peer else 0), self.benchmark

    @property
    def figures(self) -> tuple[float, ...]:
        """What is held against the target: the ratios of neighbours or, without a peer, the readings."""
        if not self.peer:
            return self.ours
        return tuple(theirs / ours for ours, theirs in zip(self.ours, self.theirs, strict=True))

    @property
    def reached(self) -> bool | None:
        """Whether the median figure is on target and the results agree; None where there is no target, or no figure."""
        if self.target is None or self.missing:
            return None
        return self.equal and statistics.median(self.figures) >= self.target

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> "Row":
        """The row of which `dataclasses.asdict` made this, by way of JSON or not."""
        return cls(**{**found, "ours": tuple(found["ours"]), "theirs": tuple(found["theirs"])})


def measure(
    benchmark: str, ours: Callable[[], object], peer: Callable[[], object], *, peer_name: str, target: float | None
) -> Row:
    """Ours and the peer's, in turn, in seconds a call; each is called before, unmeasured."""
    found = in_turn({"ours": ours, "peer": peer})
    return Row(benchmark=benchmark, peer=peer_name, ours=found["ours"], theirs=found["peer"], target=target)


def rate(benchmark: str, work: Callable[[], object], *, count: int, unit: str, target: float | None) -> Row:
    """How many a second, where one call of `work` does `count` of them; it is called before, unmeasured."""
    found = tuple(count / seconds for seconds in in_turn({"ours": work})["ours"])
    return Row(benchmark=benchmark, unit=f"{unit}/s", ours=found, target=target)


def in_turn(works: Mapping[str, Callable[[], object]]) -> dict[str, tuple[float, ...]]:
    """Seconds a call of each of the works, A B C A B C, so that readings of the same number are neighbours."""
    often = {name: _often(work) for name, work in works.items()}
    found: dict[str, list[float]] = {name: [] for name in works}
    wanted = Wanted()
    while wanted.another():
        for name, work in works.items():
            found[name].append(seconds_of(work, often=often[name]))
    return {name: tuple(readings) for name, readings in found.items()}


class Wanted:
    """Counts the rounds that were asked for, by the patience that there is."""

    def __init__(self) -> None:
        self._began, self._count = time.perf_counter(), 0

    def another(self) -> bool:
        """Whether one round more is to be measured."""
        limit = _patience.get()
        self._count += 1
        late = time.perf_counter() - self._began >= limit.seconds
        return self._count <= min(2, limit.pairs) or (self._count <= limit.pairs and not late)


def _often(work: Callable[[], object]) -> int:
    """How often a work is done in one reading of the clock, by its second call: the first one warms up."""
    seconds = seconds_of(work)
    if seconds < 1:
        seconds = seconds_of(work)
    return max(1, math.ceil(LEAST_SECONDS / seconds))


def seconds_of(work: Callable[[], object], *, often: int = 1) -> float:
    """What one call takes, on average over as many."""
    began = time.perf_counter()
    for _ in range(often):
        work()
    return (time.perf_counter() - began) / often
