"""In which order the flow's stages begin, told by a clock that is but a number: `python -m benchmarks.order`.

The plan is that of profiles/paper, its hours are those of docs/paper-plan.md, and the order is the real one, of
flows/device_queue.py. No order could beat the *bound*: the longest chain of stages that need each other, or all that
takes a GPU shared evenly, whichever is more.
"""

import heapq
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flows import dag
from flows.dag import Stage
from flows.device_queue import ON_GPU, DeviceQueue
from flows.plan import recipes

PLAN = Path(__file__).resolve().parent.parent / "docs" / "paper-plan.md"
PROFILE, CORES = "paper", 2  # so many processes of the profile's threads have 16 cores


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """When each stage begins and ends, by name, and what no order of them could beat; hours."""

    begins: Mapping[str, float]
    ends: Mapping[str, float]
    bound: float

    @property
    def over_bound(self) -> float:
        """How many times the bound it takes."""
        return max(self.ends.values()) / self.bound

    @property
    def waits(self) -> list[float]:
        """For each net how long after its training its scoring begins."""
        runs = [name.partition("@")[2] for name in self.ends if name.startswith("train@")]
        return [self.begins[f"evaluate@{run}"] - self.ends[f"train@{run}"] for run in runs]


def planned() -> dict[str, float]:
    """Hours of each stage in docs/paper-plan.md, by name; what takes less than it shows takes half of that."""
    rows = re.findall(r"(?m)^\| (\S+) \|.* \| (< )?([\d.]+) \|$", PLAN.read_text(encoding="utf-8"))
    return {name: float(hours) / (2 if less else 1) for name, less, hours in rows}


def ordered(stages: Sequence[Stage], hours: Mapping[str, float], *, gpus: int, cores: int = CORES) -> Order:
    """Walk the stages as the flow does, each as long as its hours say."""
    waiting = DeviceQueue(stages, cores=cores, gpus=range(gpus), recipes=recipes(PROFILE))
    running: list[tuple[float, str]] = []
    names = {stage.address: stage.name for stage in stages}
    now, begins, ends = 0.0, dict[str, float](), dict[str, float]()
    while True:
        while begun := waiting.begin():
            begins[begun[0].name] = now
            heapq.heappush(running, (now + hours[begun[0].name], begun[0].address))
        if not running:
            break
        now, address = heapq.heappop(running)
        waiting.end(address)
        ends[names[address]] = now
    until: dict[str, float] = {}
    for stage in stages:  # needed ones first
        until[stage.address] = hours[stage.name] + max((until[need] for need in stage.needs), default=0.0)
    on_gpu = sum(hours[stage.name] for stage in stages if stage.kind in ON_GPU)
    return Order(begins=begins, ends=ends, bound=max(*until.values(), on_gpu / gpus))


def main() -> None:
    """Print a row for each number of devices."""
    stages, hours = dag.stages(PROFILE), planned()
    print("| devices | hours | bound (h) | hours / bound | a trained net waits for its score (h), mean | at most |")
    print("|---:|---:|---:|---:|---:|---:|")
    for gpus in (1, 2, 4, 8):
        order = ordered(stages, hours, gpus=gpus)
        mean = sum(order.waits) / len(order.waits)
        took = f"{max(order.ends.values()):.2f} | {order.bound:.2f} | {order.over_bound:.2f}"
        print(f"| {gpus} | {took} | {mean:.2f} | {max(order.waits):.2f} |")


if __name__ == "__main__":
    main()
