"""Trainings on another machine: results travel over the DVC remote, the other clone's flow does the work."""

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL
from prefect.states import Cancelling

from fcn.errors import InputError, StageFailure
from flows import dag, exchange
from flows.running import Children, environment
from flows.slices import KINDS
from flows.walking import ended_with_us

_POLL_SECONDS = 5.0
_TRANSFER_RETRIES = 3
_TRANSFER_DELAY_SECONDS = 30


def check(deployment: str, *, remote: str | None) -> None:
    """Raise InputError where the deployment isn't known to the server, or no DVC remote to this clone."""
    exchange.check_remote(remote)
    if not PREFECT_API_URL.value():
        raise InputError(
            f"{deployment} is on another machine, which only a Prefect server knows: set PREFECT_API_URL to its address"
        )
    with get_client(sync_client=True) as client:
        try:
            client.read_deployment_by_name(deployment)
        except (ObjectNotFound, ValueError):
            known = [f"{client.read_flow(found.flow_id).name}/{found.name}" for found in client.read_deployments()]
            raise InputError(
                f"the server has no deployment {deployment!r}; there are {', '.join(sorted(known)) or 'none'}. "
                "`prefect deploy --all` in the clone on that machine makes those of prefect.yaml"
            ) from None


def give(profile: str, *, remote: str | None) -> None:
    """Give this clone's results of the profile to the DVC remote."""
    _transfer("give results", exchange.push(profile, remote=remote))


def take_history(*, remote: str | None) -> None:
    """Take from the DVC remote which inputs gave which results; a stage's result itself comes when it is needed."""
    _transfer("take history", exchange.history(remote=remote))


def _transfer(name: str, command: list[str]) -> None:
    with ended_with_us() as children:
        state = transfer.with_options(task_run_name=name)(command, children=children, return_state=True)
    if not state.is_completed():
        raise StageFailure(f"{name}: {state.message}")


@task(
    name="transfer",
    cache_policy=NO_CACHE,
    retries=_TRANSFER_RETRIES,
    retry_delay_seconds=_TRANSFER_DELAY_SECONDS,
)
def transfer(command: list[str], *, children: Children) -> None:
    """Push or fetch; networks fail by chance, so it is tried again."""
    children.run(command, environment=environment(), hear=get_run_logger().info)


def made_of(profile: str) -> dict[str, str]:
    """What trainings are made of in this clone, for another one to compare with."""
    return dag.made_of(profile, (*KINDS["prepare"], *KINDS["train"]))


def check_same(theirs: Mapping[str, str] | None, *, profile: str) -> None:
    """Raise InputError, with what differs, where this clone's trainings would be made of other things than theirs."""
    if theirs is None:
        return
    ours = made_of(profile)
    differing = sorted(name for name in {*theirs, *ours} if theirs.get(name) != ours.get(name))
    if differing:
        raise InputError(
            f"this clone is not as the one that wants the training: {', '.join(differing)} differ. "
            "Bring both to the same commit and parameters"
        )


def train(deployment: str, *, parameters: dict[str, Any]) -> None:
    """Have trainings done where the deployment's workers are, with the prepared data of this clone, and wait for them.

    Raises StageFailure, with its state and id, where that flow run didn't complete. It is cancelled when this one is.
    """
    profile, remote = parameters["profile"], parameters["remote"]
    give(profile, remote=remote)
    everything = {**parameters, "exchange": True, "made_of": made_of(profile)}
    begun = run_deployment(deployment, parameters=everything, timeout=0)
    assert isinstance(begun, FlowRun)  # and not a coroutine, which it is in an asynchronous flow
    logger = get_run_logger()
    logger.info("%s runs as flow run %s (%s)", deployment, begun.name, begun.id)
    try:
        ended = _wait(begun)
    except BaseException:
        with suppress(Exception), get_client(sync_client=True) as client:
            client.set_flow_run_state(begun.id, Cancelling(message="the flow run that wanted it was stopped"))
        raise
    assert ended.state is not None
    if not ended.state.is_completed():
        raise StageFailure(
            f"{deployment} did not complete: flow run {ended.name} ({ended.id}) is {ended.state.name}: "
            f"{ended.state.message or 'without a message'}"
        )


def _wait(begun: FlowRun) -> FlowRun:
    logger, said = get_run_logger(), None
    with get_client(sync_client=True) as client:
        while True:
            found = client.read_flow_run(begun.id)
            assert found.state is not None
            if found.state.name != said:
                said = found.state.name
                waiting = ": no worker of its pool has taken it yet" if found.state.is_scheduled() else ""
                logger.info("%s is %s%s", found.name, said, waiting)
            if found.state.is_final():
                return found
            time.sleep(_POLL_SECONDS)
