"""The whole graph as one Prefect flow: `python -m flows.reproduce`, or a deployment of it."""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.task_runners import ThreadPoolTaskRunner

from fcn.config import load
from flows import dag
from flows.running import Children, Devices, environment, repro

_DOWNLOAD_RETRIES = 3


@task(name="stage", task_run_name="{name}", cache_policy=NO_CACHE)
def run_stage(name: str, address: str, *, children: Children, devices: Devices, fresh: bool, force: bool) -> str:
    """Bring one stage up to date; "kept" where nothing it depends on has changed."""
    logger = get_run_logger()
    if fresh and not force:
        logger.info("%s is up to date", name)
        return "kept"
    with devices.one() if name.startswith(("train@", "evaluate@")) else Devices(()).one() as device:
        children.run(repro(address, force=force), environment={**environment(), **device}, hear=logger.info)
    return "done"


def workers(profile: str, gpus: list[int]) -> int:
    """How many stages run side by side: one a GPU, or as many as the CPU's cores hold at the profile's threads."""
    threads = load(Path(dag.pipeline(profile)).with_name("params.yaml")).threads
    return max(1, len(gpus), (os.cpu_count() or 1) // threads)


@flow(name="reproduce", flow_run_name="reproduce-{profile}", validate_parameters=True)
def reproduce(profile: str = dag.SAMPLE, gpus: list[int] | None = None, force: bool = False) -> None:
    """Rebuild everything of a profile that is stale; DVC decides what that is, and remembers the results.

    Args:
        profile: sample, or the name of a folder below profiles/.
        gpus: ids of the GPUs to train on, one training each; none: as the environment says.
        force: run every stage, also those that are up to date.

    """
    logger = get_run_logger()
    stages, stale = dag.stages(profile), dag.stale(profile)
    side_by_side = workers(profile, gpus or [])
    logger.info("%s: %d stages, %d stale, %d at a time", profile, len(stages), len(stale), side_by_side)
    children, devices = Children(), Devices(gpus or ())
    futures: dict[str, PrefectFuture[Any]] = {}
    runner: ThreadPoolTaskRunner[Any] = ThreadPoolTaskRunner(max_workers=side_by_side)
    with runner:
        try:
            for stage in stages:
                retries = _DOWNLOAD_RETRIES if stage.name.startswith("archives@") else 0
                submitted = run_stage.with_options(retries=retries, retry_delay_seconds=30)
                values = {
                    "name": stage.name,
                    "address": stage.address,
                    "children": children,
                    "devices": devices,
                    "fresh": stage.address not in stale,
                    "force": force,
                }
                needed = [futures[address] for address in sorted(stage.needs)]
                futures[stage.address] = runner.submit(submitted, parameters=values, wait_for=needed)
            for future in futures.values():
                future.wait()
        except BaseException:  # also a cancellation: the children would go on, and the runner wait for them
            children.stop()
            raise
    failed = {stage.name: futures[stage.address].state for stage in stages if not _good(futures[stage.address].state)}
    if failed:
        lines = "\n".join(f"{name}: {state.name}" for name, state in failed.items())
        raise RuntimeError(f"{len(failed)} of {len(stages)} stages did not end well; what ended well is kept:\n{lines}")


def _good(state: State[Any]) -> bool:
    return state.is_completed()


def main() -> None:
    """Run the flow here, without a server or a worker."""
    parser = argparse.ArgumentParser(prog="python -m flows.reproduce", description=main.__doc__)
    parser.add_argument("--profile", default=dag.SAMPLE, choices=dag.profiles())
    parser.add_argument("--gpus", type=int, nargs="*", default=None, help="ids of the GPUs to train on")
    parser.add_argument("--force", action="store_true", help="run every stage, also those that are up to date")
    options = parser.parse_args()
    try:
        reproduce(profile=options.profile, gpus=options.gpus, force=options.force)
    except RuntimeError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
