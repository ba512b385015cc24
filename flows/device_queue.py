"""Which stage begins next, on which of the GPUs or on the CPU's cores."""

from collections.abc import Sequence

from flows.dag import Stage

ON_GPU = {"train", "evaluate", "timing", "figures"}  # the stages that take a GPU where there is one
_ALONE = {"timing"}  # what measures times has the machine for itself


class DeviceQueue:
    """The stages that are still to begin, and those at work.

    A stage begins when all that it needs has ended, and a GPU or `cores` have room. Where several could begin, the one
    with the longest chain behind it does, because the end waits for that chain.
    """

    def __init__(self, stages: Sequence[Stage], *, cores: int, gpus: Sequence[int]) -> None:
        """`stages` come needed ones first; without GPUs all of them share the cores."""
        self._gpus, self._cores = list(gpus), cores
        self._on_gpu = ON_GPU if gpus else set()
        self._unended = {stage.address for stage in stages}
        self._running: dict[str, tuple[Stage, int | None]] = {}
        chain = _longest_chains(stages)
        self._waiting = sorted(stages, key=lambda stage: (stage.kind in _ALONE, -chain[stage.address]))

    @property
    def waiting(self) -> Sequence[Stage]:
        """Those that have not begun."""
        return self._waiting

    @property
    def idle(self) -> bool:
        """Whether none is at work."""
        return not self._running

    def begin(self) -> tuple[Stage, int | None] | None:
        """The next stage, which from now on is at work, with its GPU if it has one; None where all must wait."""
        stage = next((stage for stage in self._waiting if self._may_begin(stage)), None)
        if stage is None:
            return None
        self._waiting.remove(stage)
        gpu = self._gpus.pop(0) if stage.kind in self._on_gpu else None
        self._cores -= gpu is None
        self._running[stage.address] = stage, gpu
        return stage, gpu

    def end(self, address: str) -> Stage:
        """Say that a stage has ended, well or not; it gives its room back."""
        stage, gpu = self._running.pop(address)
        self._unended.remove(address)
        if gpu is None:
            self._cores += 1
        else:
            self._gpus.append(gpu)
        return stage

    def _may_begin(self, stage: Stage) -> bool:
        alone = stage.kind in _ALONE or any(other.kind in _ALONE for other, _ in self._running.values())
        room = self._gpus if stage.kind in self._on_gpu else self._cores
        return bool(room) and not stage.needs & self._unended and not (alone and self._running)


def _longest_chains(stages: Sequence[Stage]) -> dict[str, int]:
    """For each stage the number of stages in the longest chain that waits for it, itself included."""
    chain = dict.fromkeys((stage.address for stage in stages), 1)
    for stage in reversed(stages):
        for need in stage.needs & chain.keys():
            chain[need] = max(chain[need], chain[stage.address] + 1)
    return chain
