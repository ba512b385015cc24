"""Several processes train one net: what each computes of a step, and how their parts become the step of one."""

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor, distributed
from torch.distributed.distributed_c10d import Store

from fcn.entries import Recipe

_HOWEVER_LONG = timedelta(days=365)

T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class Ranks:
    """The processes of one training as that of number `rank` sees them; the first has number 0, and may be alone.

    The passes of a step are dealt out to teams, and the rows of a pass to the members of its team: as many teams as
    the numbers of passes and of processes allow. All gradients are divided by what one process would divide them by,
    and summed, so that each process makes the step of the whole batch, and all have the same net. Dropout alone is
    drawn otherwise than by one process. `store` has what the first one tells the others.
    """

    rank: int = 0
    count: int = 1
    store: Store | None = None
    told: int = 0

    def draws(self, iterations: range, recipe: Recipe) -> range:
        """The numbers of the draws of these iterations whose passes this process has a part in."""
        teams = self._teams(recipe)
        first, end = iterations.start * recipe.accumulation, iterations.stop * recipe.accumulation
        return range(first + self.rank * teams // self.count, end, teams)

    def passes(self, recipe: Recipe) -> int:
        """How many passes of a step this process has a part in."""
        return recipe.accumulation // self._teams(recipe)

    def rows(self, tensors: dict[str, Tensor], recipe: Recipe) -> dict[str, Tensor]:
        """Of a whole pass, N ... each, the rows that are this process's."""
        members = self.count // self._teams(recipe)
        return {name: tensor.chunk(members)[self.rank % members] for name, tensor in tensors.items()}

    def _teams(self, recipe: Recipe) -> int:
        return math.gcd(recipe.accumulation, self.count)

    def add(self, tensors: Iterable[Tensor]) -> None:
        """Have each tensor hold its sum over all processes, to the same bits in each of them.

        Their elements meet in the order of memory, which parameters and their gradients have from the net.
        """
        if self.count > 1:
            flat = [tensor.as_strided((tensor.numel(),), (1,)) for tensor in tensors]
            works = [distributed.all_reduce(tensor, async_op=True) for tensor in flat]
            for work in works:
                work.wait()

    def largest(self, number: int) -> int:
        """The largest of the numbers that the processes have."""
        found = torch.tensor(number)
        if self.count > 1:
            distributed.all_reduce(found, distributed.ReduceOp.MAX)
        return int(found)

    def first(self, say: Callable[[], T]) -> T:
        """What `say`, called in the first process alone, gives there, of JSON's kinds, in all of them.

        The others wait for it however long it takes: until a lock is free, or a net is scored.
        """
        if self.store is None:
            return say()
        key, self.told = f"told/{self.told}", self.told + 1
        if self.rank == 0:
            said = say()
            self.store.set(key, json.dumps(said))
            return said
        self.store.wait([key], _HOWEVER_LONG)
        heard: T = json.loads(self.store.get(key))
        return heard


ALONE = Ranks()
