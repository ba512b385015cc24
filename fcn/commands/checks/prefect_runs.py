"""Prefect's server: flow runs that it takes for running though nothing has been heard of them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from fcn.commands.checks.finding import Finding, age, some
from fcn.config import Config

_SILENT = timedelta(seconds=540)  # three heartbeats of the slowest kind, as the shipped automation waits
_SECONDS = 10.0
_NAME = "prefect runs"
# A busy server on sqlite says 503 now and then, and Prefect's own client asks again too.
_AGAIN = Retry(total=4, connect=0, read=0, status_forcelist=[429, 502, 503], backoff_factor=0.3, allowed_methods=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where Prefect's API is, and what it wants to know of who asks."""

    url: str
    headers: Mapping[str, str]
    auth: tuple[str, str] | None

    def ask(self, path: str, **body: object) -> Any:
        """POST `body`; raises requests.RequestException, also for an answer that is no JSON."""
        with requests.Session() as session:
            session.mount("http", HTTPAdapter(max_retries=_AGAIN))
            answer = session.post(
                f"{self.url}/{path}", json=body, headers=dict(self.headers), auth=self.auth, timeout=_SECONDS
            )
            answer.raise_for_status()
            return answer.json()


def server() -> Server | None:
    """The server that the environment names; None where it names none."""
    url = os.environ.get("PREFECT_API_URL", "").rstrip("/")
    if not url:
        return None
    key = os.environ.get("PREFECT_API_KEY", "")
    user, _, password = os.environ.get("PREFECT_API_AUTH_STRING", "").partition(":")
    return Server(
        url=url,
        headers={"Authorization": f"Bearer {key}"} if key else {},
        auth=(user, password) if user else None,
    )


def check(_config: Config) -> list[Finding]:
    """Ask for what runs, and for the last sign of life of each."""
    prefect = server()
    if prefect is None:
        said = "no server configured (PREFECT_API_URL isn't set): flows run by themselves"
        return [Finding(name=_NAME, state="skipped", said=said)]
    try:
        runs = prefect.ask("flow_runs/filter", flow_runs={"state": {"type": {"any_": ["RUNNING", "CANCELLING"]}}})
        silent = [f"{run['name']} ({run['id']}), {age(since.total_seconds())}" for run, since in _silent(prefect, runs)]
    except (requests.RequestException, KeyError, TypeError, ValueError) as error:
        said = f"{prefect.url} gives no answer ({type(error).__name__}): a flow would fail there"
        do = "start the server, set PREFECT_API_URL to one that runs, or unset it"
        return [Finding(name=_NAME, state="broken", said=said, do=do)]
    if silent:
        said = f"said to be running, but nothing was heard of them for: {some(silent)}"
        do = "if no such process is left, `prefect flow-run delete ID`, and start the flow again: it goes on from there"
        return [Finding(name=_NAME, state="broken", said=said, do=do)]
    return [Finding(name=_NAME, state="ok", said=f"{prefect.url}: {len(runs)} running, each heard of lately")]


def _silent(prefect: Server, runs: list[dict[str, Any]]) -> list[tuple[dict[str, Any], timedelta]]:
    now = datetime.now(UTC)
    found = []
    for run in runs:
        heard = max(datetime.fromisoformat(run["updated"]), _last_event(prefect, run["id"]))
        if now - heard > _SILENT:
            found.append((run, now - heard))
    return found


def _last_event(prefect: Server, identity: str) -> datetime:
    """When the flow run was heard of last, by its heartbeats or a change of state; events of a week are looked at."""
    resource = {"id": [f"prefect.flow-run.{identity}"]}
    events = prefect.ask("events/filter", filter={"resource": resource, "order": "DESC"}, limit=1)["events"]
    return datetime.fromisoformat(events[0]["occurred"]) if events else datetime.min.replace(tzinfo=UTC)
