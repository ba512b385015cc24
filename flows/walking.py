"""Walks the stages of a plan as Prefect tasks, side by side as far as they and the machine allow."""

import queue
from collections import Counter
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
from fcn.machine import cores
from flows import dag, exchange
from flows.children import ChildFailed, Children, dvc, environment
from flows.dag import Stage
from flows.device_queue import DeviceQueue
from flows.plan import RunOptions, plan
from flows.progress import Progress

_DOWNLOAD_RETRIES = 3
_DOWNLOAD_DELAY_SECONDS = 30


class NotAllDone(RuntimeError):
    """Some stages did not end well: `stages` has their names and states, `why` what else is known."""

    def __init__(self, stages: dict[str, str], *, of: int, why: str = "") -> None:
        self.stages, self.of = stages, of
        counted = [f"{len(stages)} of {of} stages did not end well; what ended well is kept:"] if stages else []
        lines = [*([why] if why else []), *counted, *(f"{name}: {state}" for name, state in stages.items())]
        super().__init__("\n".join(lines))


def write_digests(options: RunOptions) -> None:
    """Bring the stage `code` up to date, because what it writes decides which other stages are stale."""
    first = RunOptions(profile=options.profile, only=[dag.CODE])
    if plan(first).stages:
        walk(first)


def walk(options: RunOptions) -> None:
    """Do what the options ask for as tasks of the running flow, and raise NotAllDone if not all of it could be done.

    A task begins when its stage can, so that its time in Prefect is the stage's own.
    """
    todo = plan(options)
    cores, gpus = cores_allow(options.profile), options.gpus or ()
    get_run_logger().info(
        "%s: %d stages, %d stale, %d at a time%s",
        options.profile,
        len(todo.stages),
        len(todo.stages) - len(todo.fresh),
        cores,
        f", and one on each GPU of {', '.join(map(str, gpus))}" if gpus else "",
    )
    waiting = DeviceQueue(todo.stages, cores=cores, gpus=gpus)
    futures: dict[str, PrefectFuture[Any]] = {}
    ended: queue.SimpleQueue[str] = queue.SimpleQueue()
    undone = dict.fromkeys(todo.left_out, "left out, for it needs one that is not done")
    runner: ThreadPoolTaskRunner[Any] = ThreadPoolTaskRunner(max_workers=max(1, len(todo.stages)))
    with runner, Children() as children:
        while True:
            while (options.keep_going or not undone) and (begun := waiting.begin()):
                stage, gpu = begun
                retries = _DOWNLOAD_RETRIES if stage.kind == "archives" else 0  # networks fail by chance
                one = run_stage.with_options(retries=retries, retry_delay_seconds=_DOWNLOAD_DELAY_SECONDS)
                values = {
                    "stage": stage,
                    "gpu": gpu,
                    "fresh": stage.address in todo.fresh,
                    "force": stage.address in todo.forced,
                    "options": options,
                    "children": children,
                    "flow_run_id": flow_run.id,
                }
                needed = [futures[address] for address in sorted(stage.needs & futures.keys())]
                future = futures[stage.address] = runner.submit(one, parameters=values, wait_for=needed)
                future.add_done_callback(partial(_tell, ended, stage.address))
            if waiting.idle:
                break
            stage = waiting.end(ended.get())
            futures[stage.address].wait()
            if not (state := futures[stage.address].state).is_completed():
                undone[stage.name] = str(state.name)
    undone |= {stage.name: "not begun" for stage in waiting.waiting}
    if undone:
        raise NotAllDone(undone, of=len(todo.stages) + len(todo.left_out))


@task(name="stage", task_run_name="{stage.name}", cache_policy=NO_CACHE)
def run_stage(
    stage: Stage,
    *,
    gpu: int | None,
    fresh: bool,
    force: bool,
    options: RunOptions,
    children: Children,
    flow_run_id: str,
) -> State[Any]:
    """Bring one stage up to date; the state's name says whether it was run, restored from a cache or kept."""
    logger = get_run_logger()
    if fresh:
        logger.info("%s is up to date", stage.name)
        return Completed(name="Kept", message="nothing that it depends on has changed")
    progress = Progress(profile=options.profile, run=stage.item) if stage.kind == "train" else None
    seen: Counter[str] = Counter()

    def hear(line: str) -> None:
        logger.info("%s", line)
        seen["run"] += line.startswith("Running stage ")
        seen["restored"] += line == f"{exchange.RESTORED} {stage.address}" or " is cached - skipping run" in line
        if progress is not None:
            progress.hear(line)

    # Prefect sets it in a worker's process; what publishes reads it, also where there is no worker.
    variables = environment() | {"PREFECT__FLOW_RUN_ID": flow_run_id}
    if gpu is not None:
        variables["CUDA_VISIBLE_DEVICES"] = str(gpu)
    try:
        must = stage.kind in options.only_fetched
        if must or (options.exchange and not force):
            fetch = exchange.restore(stage.address, remote=options.remote, must=must)
            children.run(fetch, variables=variables, hear=hear)
        forcing = ["--force"] if force else []
        children.run(dvc("repro", "--single-item", *forcing, stage.address), variables=variables, hear=hear)
    except ChildFailed as error:
        return Failed(message=str(error))
    if seen["run"]:
        return Completed()
    return Completed(name="Restored") if seen["restored"] else Completed(name="Kept")


def _tell(ended: "queue.SimpleQueue[str]", address: str, _: PrefectFuture[Any]) -> None:
    ended.put(address)


def cores_allow(profile: str) -> int:
    """How many stages the CPU's cores hold side by side at the profile's threads."""
    return max(1, cores() // load(dag.params(profile)).threads)
