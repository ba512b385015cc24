"""`python -m flows.automations`: has the Prefect server mark runs whose heartbeats stopped as Crashed.

A machine that loses power reports nothing: without this its runs stay Running for ever.
"""

import sys
from datetime import timedelta

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.settings import get_current_settings

from fcn.errors import InputError, without_secrets

NAME = "Runs without a heartbeat are Crashed"
_MISSED_HEARTBEATS = 3
_ENDS = ("Completed", "Failed", "Crashed", "Cancelled", "Paused", "Suspended")


def zombies(window: timedelta) -> AutomationCore:
    """The rule: after a heartbeat, neither another one nor an end within `window`."""
    return AutomationCore(
        name=NAME,
        description=f"A run that sent no heartbeat for {window} has lost its process; the next run resumes.",
        trigger=EventTrigger(
            match={"prefect.resource.id": "prefect.flow-run.*"},
            for_each={"prefect.resource.id"},
            after={"prefect.flow-run.heartbeat"},
            expect={"prefect.flow-run.heartbeat", *(f"prefect.flow-run.{end}" for end in _ENDS)},
            posture=Posture.Proactive,
            threshold=1,
            within=window,
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED,
                message=f"No heartbeat for {window}: its process is gone. What it had saved is kept; run it again.",
            )
        ],
    )


def install() -> str:
    """Make the server's rule what it should be; what was done.

    Raises InputError where heartbeats are off, or no server is named.
    """
    settings = get_current_settings()
    seconds = settings.flows.heartbeat_frequency
    if seconds is None:
        raise InputError("heartbeats are off: give PREFECT_FLOWS_HEARTBEAT_FREQUENCY its seconds; 180 is Prefect's own")
    if settings.api.url is None:
        raise InputError("no Prefect server is named: set PREFECT_API_URL, as http://127.0.0.1:4200/api")
    window = timedelta(seconds=_MISSED_HEARTBEATS * seconds)
    rule, done = zombies(window), "kept"
    with get_client(sync_client=True) as client:
        found = client.read_automations_by_name(name=NAME)
        if not found:
            client.create_automation(rule)
            done = "installed"
        elif AutomationCore(**found[0].model_dump()) != rule:
            client.update_automation(found[0].id, rule)
            done = "changed"
    return f"{done}: {NAME}, after {window.total_seconds():.0f} s"


def main() -> None:
    """Install the rule on the server of PREFECT_API_URL; again: nothing changes."""
    try:
        print(install())  # noqa: T201  # a command's answer
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    except httpx.HTTPError as error:
        where = f"the Prefect server at {get_current_settings().api.url}"
        sys.exit(without_secrets(f"error: {where} doesn't answer: {error}"))


if __name__ == "__main__":
    main()
