"""Walks the stages of a plan as Prefect tasks, side by side as far as they and the machine allow."""

import logging
import queue
import time
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
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
from fcn.machine import side_by_side
from flows import dag, exchange
from flows.children import ChildFailed, Children, dvc, environment
from flows.dag import Stage
from flows.device_queue import DeviceQueue
from flows.plan import Plan, RunOptions, plan, recipes
from flows.progress import Progress

_DOWNLOAD_RETRIES = 3
_DOWNLOAD_DELAY_SECONDS = 30
_NAMED = 4  # stages in the message of a run that failed
_console = logging.getLogger("flows")  # heard where the command line runs a flow


class NotAllDone(RuntimeError):
    """Some stages did not end well: `stages` has why, in one line, and nothing for those that wait for a failed one.

    `why` is what else went wrong.
    """

    def __init__(self, stages: dict[str, str], *, of: int, why: str = "") -> None:
        self.stages = stages
        failed = [f"{name} failed: {reason}" for name, reason in stages.items() if reason]
        waiting = [name for name, reason in stages.items() if not reason]
        more = f" and {len(waiting) - _NAMED} more" if len(waiting) > _NAMED else ""
        left = [f"not done: {', '.join(waiting[:_NAMED])}{more}"] if waiting else []
        counted = [f"{len(stages)} of {of} stages did not end well; what ended well is kept"] if stages else []
        super().__init__("; ".join([*([why] if why else []), *failed, *left, *counted]))


def tell(text: str) -> None:
    """Say something in the running flow's log, and to whoever started it on the command line."""
    get_run_logger().info("%s", text)
    _console.info("%s", text)


def lasted(began: float) -> timedelta:
    """The time since then, in whole seconds."""
    return timedelta(seconds=round(time.monotonic() - began))


def write_digests(options: RunOptions) -> None:
    """Bring the stage `code` up to date, because what it writes decides which other stages are stale."""
    first = RunOptions(profile=options.profile, only=[dag.CODE])
    _walk(plan(first), first)


def walk(options: RunOptions) -> None:
    """Do what the options ask for as tasks of the running flow, and raise NotAllDone if not all of it could be done."""
    todo = plan(options)
    tell(counted(todo, options))
    _walk(todo, options)


def counted(todo: Plan, options: RunOptions) -> str:
    """How much there is to do, and how much at a time."""
    where = f", and one on each GPU of {', '.join(map(str, options.gpus))}" if options.gpus else ""
    counts = f"{len(todo.stages)} stages, {len(todo.stale)} stale"
    return f"{options.profile}: {counts}, {cores_allow(options.profile)} at a time{where}"


def _walk(todo: Plan, options: RunOptions) -> None:
    """A task begins when its stage can, so that its time in Prefect is the stage's own."""
    stages = todo.stale
    waiting = DeviceQueue(
        stages,
        cores=cores_allow(options.profile),
        gpus=options.gpus or (),
        recipes=recipes(options.profile),
    )
    futures: dict[str, PrefectFuture[Any]] = {}
    began: dict[str, float] = {}
    ended: queue.SimpleQueue[str] = queue.SimpleQueue()
    undone = dict.fromkeys(todo.left_out, "")
    runner: ThreadPoolTaskRunner[Any] = ThreadPoolTaskRunner(max_workers=max(1, len(stages)))
    with runner, Children() as children:
        while True:
            while (options.keep_going or not undone) and (begun := waiting.begin()):
                stage, gpus = begun
                retries = _DOWNLOAD_RETRIES if stage.kind == "archives" else 0  # networks fail by chance
                one = run_stage.with_options(retries=retries, retry_delay_seconds=_DOWNLOAD_DELAY_SECONDS)
                values = {
                    "stage": stage,
                    "gpus": gpus,
                    "force": stage.address in todo.forced,
                    "options": options,
                    "children": children,
                    "flow_run_id": flow_run.id,
                }
                needed = [futures[address] for address in sorted(stage.needs & futures.keys())]
                began[stage.address] = time.monotonic()
                future = futures[stage.address] = runner.submit(one, parameters=values, wait_for=needed)
                future.add_done_callback(partial(_note, ended, stage.address))
            if waiting.idle:
                break
            stage = waiting.end(ended.get())
            futures[stage.address].wait()
            state = futures[stage.address].state
            why = f"{state.message or state.name}" if state.is_failed() or state.is_crashed() else ""
            if not state.is_completed():
                undone[stage.name] = why
            tell(f"{stage.name}: {state.name}, {lasted(began[stage.address])}{why and f'; {why}'}")
    undone |= {stage.name: "" for stage in waiting.waiting}
    if undone:
        raise NotAllDone(undone, of=len(todo.stages) + len(todo.left_out))


@task(name="stage", task_run_name="{stage.name}", cache_policy=NO_CACHE)
def run_stage(
    stage: Stage,
    *,
    gpus: Sequence[int],
    force: bool,
    options: RunOptions,
    children: Children,
    flow_run_id: str,
) -> State[Any]:
    """Bring one stage up to date; the state's name says whether it was run, restored from a cache or kept."""
    logger = get_run_logger()
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
    if gpus:
        variables["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, gpus))
    must = stage.kind in options.only_fetched
    if must or (options.exchange and not force):
        command = exchange.repro(stage.address, remote=options.remote, must=must)
    else:
        command = dvc("repro", "--single-item", *(["--force"] if force else []), stage.address)
    try:
        children.run(command, variables=variables, hear=hear)
    except ChildFailed as error:
        _console.info("%s", "\n".join(error.last))  # which the log has
        return Failed(message=str(error))
    if seen["run"]:
        return Completed()
    return Completed(name="Restored") if seen["restored"] else Completed(name="Kept")


def _note(ended: "queue.SimpleQueue[str]", address: str, _: PrefectFuture[Any]) -> None:
    ended.put(address)


def cores_allow(profile: str) -> int:
    """How many stages the CPU's cores hold side by side at the profile's threads."""
    return side_by_side(load(dag.params(profile)).threads)
