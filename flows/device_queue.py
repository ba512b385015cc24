"""Which stage begins next, on which of the GPUs or on how many of the CPU's cores."""

from collections.abc import Mapping, Sequence

from fcn.entries import Recipe
from flows.dag import Stage

ON_GPU = {"train", "evaluate", "timing", "figures"}  # the stages that take a GPU where there is one
_ALONE = {"timing"}  # what measures times has the machine for itself


class DeviceQueue:
    """The stages that are still to begin, and those at work.

    A stage begins when all that it needs has ended, and GPUs or `cores` have room for it: for a training, as much as
    its recipe has devices, for others one. Where several could begin, a score does, because people wait for it and it
    is soon done; else the one with the longest chain behind it, because the end waits for that chain.
    """

    def __init__(
        self, stages: Sequence[Stage], *, cores: int, gpus: Sequence[int], recipes: Mapping[str, Recipe] | None = None
    ) -> None:
        """`stages` come needed ones first; without GPUs all of them share the cores. `recipes` are those of the runs.

        A training that takes more than there are has all of them, and says itself whether that is too little.
        """
        self._gpus, self._cores, self._most = list(gpus), cores, len(gpus) or cores
        self._recipes = recipes or {}
        self._on_gpu = ON_GPU if gpus else set()
        self._unended = {stage.address for stage in stages}
        self._running: dict[str, tuple[Stage, Sequence[int]]] = {}
        chain = self._longest_chains(stages)
        self._waiting = sorted(stages, key=lambda stage: (stage.kind in _ALONE, -chain[stage.address]))

    @property
    def waiting(self) -> Sequence[Stage]:
        """Those that have not begun."""
        return self._waiting

    @property
    def idle(self) -> bool:
        """Whether none is at work."""
        return not self._running

    def begin(self) -> tuple[Stage, Sequence[int]] | None:
        """The next stage, which from now on is at work, with its GPUs if it has some; None where all must wait."""
        ready = filter(self._may_begin, self._waiting)
        stage = min(ready, key=lambda stage: stage.kind != "evaluate", default=None)  # a score, or else the first
        if stage is None:
            return None
        self._waiting.remove(stage)
        gpus = [self._gpus.pop(0) for _ in range(self._wanted(stage))] if stage.kind in self._on_gpu else []
        self._cores -= 0 if gpus else self._wanted(stage)
        self._running[stage.address] = stage, gpus
        return stage, gpus

    def end(self, address: str) -> Stage:
        """Say that a stage has ended, well or not; it gives its room back."""
        stage, gpus = self._running.pop(address)
        self._unended.remove(address)
        self._gpus += gpus
        self._cores += 0 if gpus else self._wanted(stage)
        return stage

    def _may_begin(self, stage: Stage) -> bool:
        alone = stage.kind in _ALONE or any(other.kind in _ALONE for other, _ in self._running.values())
        room = len(self._gpus) if stage.kind in self._on_gpu else self._cores
        return self._wanted(stage) <= room and not stage.needs & self._unended and not (alone and self._running)

    def _wanted(self, stage: Stage) -> int:
        """How many GPUs or cores a stage takes."""
        recipe = self._recipe(stage)
        return min(recipe.devices, self._most) if recipe else 1

    def _recipe(self, stage: Stage) -> Recipe | None:
        return self._recipes.get(stage.item) if stage.kind == "train" else None

    def _longest_chains(self, stages: Sequence[Stage]) -> dict[str, int]:
        """For each stage the longest chain that waits for it, itself included: in images that its trainings see.

        Each stage counts as one image more, so that chains without a training differ too.
        """
        own = {stage.address: 1 + self._images(stage) for stage in stages}
        chain = dict(own)
        for stage in reversed(stages):
            for need in stage.needs & chain.keys():
                chain[need] = max(chain[need], own[need] + chain[stage.address])
        return chain

    def _images(self, stage: Stage) -> int:
        recipe = self._recipe(stage)
        return recipe.iterations * recipe.batch * recipe.accumulation if recipe else 0
