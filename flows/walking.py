"""Walks the stages of a plan as Prefect tasks, side by side as far as they and the machine allow."""

import os
import queue
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.runtime import flow_run
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from fcn.config import load
from flows import dag, exchange
from flows.progress import Progress
from flows.running import Children, Devices, StageFailed, environment, repro
from flows.slices import Plan
from flows.turns import ON_DEVICE, Turns

_DOWNLOAD_RETRIES = 3
_DOWNLOAD_DELAY_SECONDS = 30


class NotAllDone(RuntimeError):
    """Some stages did not end well; `stages` has their names and states, also of those that were not begun."""

    def __init__(self, stages: dict[str, str], *, of: int) -> None:
        self.stages = stages
        listed = "\n".join(f"{name}: {state}" for name, state in stages.items())
        super().__init__(f"{len(stages)} of {of} stages did not end well; what ended well is kept:\n{listed}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How stages are brought up to date.

    `fetch` looks on the DVC remote whether another machine has done a stage; `only_fetch` then runs none here.
    """

    profile: str
    gpus: Sequence[int] = ()
    keep_going: bool = True
    fetch: bool = False
    only_fetch: bool = False
    remote: str | None = None


def walk(plan: Plan, *, how: Manner) -> None:
    """Do what the plan says, as tasks of the running flow, and raise NotAllDone if not all of it could be done.

    A task begins when its stage can, so that its time in Prefect is the stage's own.
    """
    cores = cores_allow(how.profile)
    get_run_logger().info(
        "%s: %d stages, %d stale, %d at a time%s",
        how.profile,
        len(plan.stages),
        len(plan.stages) - len(plan.fresh),
        cores,
        f", and one on each GPU of {', '.join(map(str, how.gpus))}" if how.gpus else "",
    )
    turns = Turns(plan.stages, cores=cores, gpus=len(how.gpus))
    devices, outermost = Devices(how.gpus), str(flow_run.root_flow_run_id)
    futures: dict[str, PrefectFuture[Any]] = {}
    ended: queue.SimpleQueue[str] = queue.SimpleQueue()
    undone = dict.fromkeys(plan.left_out, "left out, for it needs one that is not done")
    runner: ThreadPoolTaskRunner[Any] = ThreadPoolTaskRunner(max_workers=max(1, len(plan.stages)))
    with runner, ended_with_us() as children:
        while True:
            while (how.keep_going or not undone) and (stage := turns.begin()):
                values = {
                    "name": stage.name,
                    "address": stage.address,
                    "fresh": stage.address in plan.fresh,
                    "force": stage.address in plan.forced,
                    "how": how,
                    "children": children,
                    "devices": devices,
                    "outermost": outermost,
                }
                retries = _DOWNLOAD_RETRIES if stage.kind == "archives" else 0
                submitted = run_stage.with_options(retries=retries, retry_delay_seconds=_DOWNLOAD_DELAY_SECONDS)
                needed = [futures[address] for address in sorted(stage.needs & futures.keys())]
                future = futures[stage.address] = runner.submit(submitted, parameters=values, wait_for=needed)
                future.add_done_callback(partial(_tell, ended, stage.address))
            if turns.idle:
                break
            address = ended.get()
            futures[address].wait()
            if not (state := futures[address].state).is_completed():
                undone[turns.end(address).name] = str(state.name)
            else:
                turns.end(address)
    undone |= {stage.name: "not begun" for stage in turns.waiting}
    if undone:
        raise NotAllDone(undone, of=len(plan.stages) + len(plan.left_out))


@task(name="stage", task_run_name="{name}", cache_policy=NO_CACHE)
def run_stage(
    name: str,
    address: str,
    *,
    fresh: bool,
    force: bool,
    how: Manner,
    children: Children,
    devices: Devices,
    outermost: str,
) -> State[Any]:
    """Bring one stage up to date; the state's name says whether it was run, restored from a cache or kept."""
    logger = get_run_logger()
    if fresh:
        logger.info("%s is up to date", name)
        return Completed(name="Kept", message="nothing that it depends on has changed")
    kind, _, item = name.partition("@")
    progress = Progress(profile=how.profile, run=item) if kind == "train" else None
    seen: Counter[str] = Counter()

    def hear(line: str) -> None:
        logger.info("%s", line)
        seen["run"] += line.startswith("Running stage ")
        seen["restored"] += line == f"{exchange.RESTORED} {address}" or " is cached - skipping run" in line
        if progress is not None:
            progress.hear(line)

    try:
        with (devices if kind in ON_DEVICE else Devices(())).one() as device:
            # Prefect sets it in a worker's process; what publishes reads it, also where there is no worker.
            variables = {**environment(), **device, "PREFECT__FLOW_RUN_ID": outermost}
            if how.fetch and not force:
                fetch = exchange.restore(address, remote=how.remote, must=how.only_fetch)
                children.run(fetch, environment=variables, hear=hear)
            children.run(repro(address, force=force), environment=variables, hear=hear)
    except StageFailed as error:
        if kind == "archives":  # raised, so that Prefect tries again
            raise
        return Failed(message=str(error))
    if seen["run"]:
        return Completed()
    return Completed(name="Restored") if seen["restored"] else Completed(name="Kept")


def _tell(ended: "queue.SimpleQueue[str]", address: str, _: PrefectFuture[Any]) -> None:
    ended.put(address)


@contextmanager
def ended_with_us() -> Iterator[Children]:
    """Children that end when the flow is interrupted or cancelled; they would go on, and who waits for them hang."""
    children = Children()
    try:
        yield children
    except BaseException:
        children.stop()
        raise


def cores_allow(profile: str) -> int:
    """How many stages the CPU's cores hold side by side at the profile's threads."""
    return max(1, (os.cpu_count() or 1) // load(dag.params(profile)).threads)
