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
    """How many pairs a row has at most, and after how many seconds it takes no further one; two there are always."""

    pairs: int
    seconds: float


_patience: ContextVar[Patience] = ContextVar("patience", default=Patience(pairs=11, seconds=15))


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
        return tuple(theirs / ours for ours, theirs in zip(self.ours, self.theirs, strict=True)) or self.ours

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
    often = [_often(work) for work in (ours, peer)]
    found: list[tuple[float, float]] = []
    began, limit = time.perf_counter(), _patience.get()
    while len(found) < 2 or (len(found) < limit.pairs and time.perf_counter() - began < limit.seconds):
        found.append((_seconds(ours, often[0]), _seconds(peer, often[1])))
    mine, theirs = zip(*found, strict=True)
    return Row(benchmark=benchmark, peer=peer_name, ours=mine, theirs=theirs, target=target)


def rate(benchmark: str, work: Callable[[], object], *, count: int, unit: str, target: float | None) -> Row:
    """How many a second, where one call of `work` does `count` of them; it is called before, unmeasured."""
    often = _often(work)
    found: list[float] = []
    began, limit = time.perf_counter(), _patience.get()
    while len(found) < 2 or (len(found) < limit.pairs and time.perf_counter() - began < limit.seconds):
        found.append(count / _seconds(work, often))
    return Row(benchmark=benchmark, unit=f"{unit}/s", ours=tuple(found), target=target)


def _often(work: Callable[[], object]) -> int:
    """How often a work is done in one reading of the clock, by its second call: the first one warms up."""
    seconds = _seconds(work, 1)
    if seconds < 1:
        seconds = _seconds(work, 1)
    return max(1, math.ceil(LEAST_SECONDS / seconds))


def _seconds(work: Callable[[], object], often: int) -> float:
    began = time.perf_counter()
    for _ in range(often):
        work()
    return (time.perf_counter() - began) / often
