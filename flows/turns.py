"""Whose turn it is: which stage begins next, on the GPUs and on the CPU's cores."""

from collections import Counter
from collections.abc import Sequence

from flows.dag import Stage

ON_DEVICE = {"train", "evaluate", "timing", "figures"}  # the stages that take a GPU where there is one
_ALONE = {"timing"}  # what measures times has the machine for itself


class Turns:
    """The stages that are still to begin, and those at work.

    A stage's turn comes when all that it needs has ended, and a GPU or `cores` have room. Where several could begin,
    the one with the longest way behind it does, because the end waits for that way.
    """

    def __init__(self, stages: Sequence[Stage], *, cores: int, gpus: int) -> None:
        """`stages` come needed ones first; without GPUs all of them share the cores."""
        self._gpus = gpus > 0
        self._free = Counter({"GPU": gpus, "CPU": cores})
        self._here = {stage.address for stage in stages}
        self._ended: set[str] = set()
        self._running: dict[str, Stage] = {}
        way = _ways(stages)
        self._waiting = sorted(stages, key=lambda stage: (stage.kind in _ALONE, -way[stage.address]))

    @property
    def waiting(self) -> Sequence[Stage]:
        """Those that have not begun."""
        return self._waiting

    @property
    def idle(self) -> bool:
        """Whether none is at work."""
        return not self._running

    def begin(self) -> Stage | None:
        """The next stage, which from now on is at work; None where all must wait."""
        if any(stage.kind in _ALONE for stage in self._running.values()):
            return None
        for stage in self._waiting:
            alone = stage.kind not in _ALONE or self.idle
            if alone and self._free[self._seat(stage)] and stage.needs & self._here <= self._ended:
                self._waiting.remove(stage)
                self._free[self._seat(stage)] -= 1
                self._running[stage.address] = stage
                return stage
        return None

    def end(self, address: str) -> Stage:
        """Say that a stage has ended, well or not; it gives its room back."""
        stage = self._running.pop(address)
        self._free[self._seat(stage)] += 1
        self._ended.add(address)
        return stage

    def _seat(self, stage: Stage) -> str:
        return "GPU" if self._gpus and stage.kind in ON_DEVICE else "CPU"


def _ways(stages: Sequence[Stage]) -> dict[str, int]:
    """For each stage the number of stages in the longest chain that waits for it, itself included."""
    way = dict.fromkeys((stage.address for stage in stages), 1)
    for stage in reversed(stages):
        for need in stage.needs & way.keys():
            way[need] = max(way[need], way[stage.address] + 1)
    return way
