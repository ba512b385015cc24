"""Trainings on another machine: results travel over the DVC remote, the other clone's flow does the work."""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
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
from flows.children import Children, environment
from flows.plan import KINDS, RunOptions, check
from flows.walking import NotAllDone, tell, walk, write_digests

_POLL_SECONDS = 5.0
_TRANSFER_RETRIES = 3
_TRANSFER_DELAY_SECONDS = 30


def check_deployment(deployment: str, *, remote: str | None) -> None:
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


def reproduce(deployment: str, options: RunOptions) -> None:
    """Prepare here, have trainings done where the deployment's workers are, take their networks, and go on here.

    Raises NotAllDone, with the state and id of the other machine's flow run, where not all of it could be done.
    """
    if options.force:
        raise InputError("force and train_on exclude each other; run train with force on the other machine")
    check_deployment(deployment, remote=options.remote)
    write_digests(options)
    here = replace(options, gpus=None)
    undone: dict[str, str] = {}
    try:
        walk(replace(here, only=["prepare"]))
    except NotAllDone as error:
        if not options.keep_going:
            raise
        undone = error.stages
    give(options.profile, remote=options.remote)
    failure = _train_there(deployment, replace(options, without=sorted(undone)))
    if failure and not options.keep_going:
        raise StageFailure(failure)
    take_history(remote=options.remote)
    try:
        walk(replace(here, without=sorted(undone), only_fetched=KINDS["train"]))
    except NotAllDone as error:
        undone |= error.stages
    if undone or failure:
        raise NotAllDone(undone, of=len(check(options)), why=failure)


def share(options: RunOptions) -> None:
    """Work here with what other machines have done, and give them what ended well.

    Raises InputError where they want it of other code or parameters than this clone has.
    """
    exchange.check_remote(options.remote)
    write_digests(options)
    check_same(options.made_of, profile=options.profile)
    take_history(remote=options.remote)
    try:
        walk(options)
    except NotAllDone:
        give(options.profile, remote=options.remote)
        raise
    give(options.profile, remote=options.remote)


def give(profile: str, *, remote: str | None) -> None:
    """Give this clone's results of the profile to the DVC remote."""
    _transfer("give results", exchange.push(profile, remote=remote))


def take_history(*, remote: str | None) -> None:
    """Take from the DVC remote which inputs gave which results; a stage's result itself comes when it is needed."""
    _transfer("take history", exchange.history(remote=remote))


def _transfer(name: str, command: list[str]) -> None:
    with Children() as children:
        state = transfer.with_options(task_run_name=name)(command, children=children, return_state=True)
    if not state.is_completed():
        raise StageFailure(f"{name}: {state.message}")
    tell(f"{name}: {state.name}")


@task(
    name="transfer",
    cache_policy=NO_CACHE,
    retries=_TRANSFER_RETRIES,
    retry_delay_seconds=_TRANSFER_DELAY_SECONDS,
)
def transfer(command: list[str], *, children: Children) -> None:
    """Push or fetch; networks fail by chance, so it is tried again."""
    children.run(command, variables=environment(), hear=get_run_logger().info)


def made_of(profile: str) -> dict[str, str]:
    """What trainings are made of in this clone, for another one to compare with."""
    return dag.made_of(profile, (*KINDS["prepare"], *KINDS["train"]))


def check_same(theirs: Mapping[str, str] | None, *, profile: str) -> None:
    """Raise InputError, saying what differs, where another clone's stages are made of other things than this one's."""
    if theirs is None:
        return
    ours = made_of(profile)
    differing = sorted(name for name in {*theirs, *ours} if theirs.get(name) != ours.get(name))
    if differing:
        raise InputError(
            f"this clone is not as the one that wants the training: {', '.join(differing)} differ. "
            "Bring both to the same commit and parameters"
        )


def _train_there(deployment: str, options: RunOptions) -> str:
    """Wait for the other machine's flow run, which is cancelled with this one; what went wrong, or nothing."""
    same = {name: getattr(options, name) for name in ("profile", "runs", "gpus", "keep_going", "without", "remote")}
    parameters: dict[str, Any] = {**same, "only": ["train"], "exchange": True, "made_of": made_of(options.profile)}
    begun = run_deployment(deployment, parameters=parameters, timeout=0)
    assert isinstance(begun, FlowRun)  # and not a coroutine, which it is in an asynchronous flow
    tell(f"{deployment} runs as flow run {begun.name} ({begun.id})")
    try:
        ended = _end_of(begun)
    except BaseException:
        with suppress(Exception), get_client(sync_client=True) as client:
            client.set_flow_run_state(begun.id, Cancelling(message="the flow run that wanted it was stopped"))
        raise
    state = ended.state
    assert state is not None
    if state.is_completed():
        return ""
    state_text = f"is {state.name}: {state.message or 'without a message'}"
    return f"{deployment} did not complete: flow run {ended.name} ({ended.id}) {state_text}"


def _end_of(begun: FlowRun) -> FlowRun:
    """A flow run once it has ended, by asking again and again: an outage cuts Prefect's own way of hearing of it."""
    last = None
    with get_client(sync_client=True) as client:
        while True:
            found = client.read_flow_run(begun.id)
            assert found.state is not None
            if found.state.name != last:
                last = found.state.name
                waiting = ": no worker of its pool has taken it yet" if found.state.is_scheduled() else ""
                tell(f"{found.name} is {last}{waiting}")
            if found.state.is_final():
                return found
            time.sleep(_POLL_SECONDS)
