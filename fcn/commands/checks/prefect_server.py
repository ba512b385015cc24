"""Prefect's server: runs that nobody works on, and artifacts that show other numbers than the tables have."""

import os
import re
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from fcn.commands.checks.finding import Finding, age, some
from fcn.config import Config
from fcn.stages.places import Places

_SILENT = timedelta(seconds=540)  # three heartbeats of the slowest kind, as the shipped automation waits
_LATE = timedelta(seconds=60)
_SECONDS = 10.0
_MARK = re.compile(r"\bnumbers ([0-9a-f]{16})\b")  # of the numbers that an artifact shows
# A busy server on sqlite says 503 now and then; Prefect's own client asks again as often.
_AGAIN = Retry(
    total=5, connect=0, read=0, status_forcelist=[429, 502, 503, 504], backoff_factor=0.5, allowed_methods=None
)


def check(config: Config) -> Iterator[Finding]:
    """Ask the server that the environment or Prefect's profile names for its runs, its workers and its artifacts."""
    url = _setting("PREFECT_API_URL").rstrip("/")
    if not url:
        message = "no server configured (PREFECT_API_URL isn't set): flows run by themselves"
        yield Finding("prefect runs", "skipped", message)
        return
    try:
        yield _runs(url)
        yield _workers(url)
        yield _artifacts(url, config)
    except (requests.RequestException, KeyError, TypeError, ValueError) as error:
        message = f"{url} gives no answer ({type(error).__name__}): a flow would fail there"
        where = "`prefect config unset PREFECT_API_URL`, where `config set` did it; prefect.toml here may name it, too"
        unset = f"unset it ({where})"
        cure = f"start the server, set PREFECT_API_URL to one that runs, or {unset}"
        yield Finding("prefect runs", "broken", message, cure)


def _setting(name: str) -> str:
    """What the environment says, else prefect.toml here, else the profile that `prefect config set` wrote into."""
    home = Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()
    profiles = Path(os.environ.get("PREFECT_PROFILES_PATH") or home / "profiles.toml")
    active = os.environ.get("PREFECT_PROFILE") or str(_table(profiles).get("active"))
    here = _table(Path("prefect.toml"), "api").get(name.removeprefix("PREFECT_API_").lower())
    return os.environ.get(name) or str(here or _table(profiles, "profiles", active).get(name, ""))


def _table(path: Path, *keys: str) -> dict[str, Any]:
    """A table of a TOML file; empty where it isn't written, or Prefect itself will complain."""
    try:
        table: Any = tomllib.loads(path.read_text(encoding="utf-8"))
        for key in keys:
            table = table[key]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return table if isinstance(table, dict) else {}


def ask(url: str, path: str, **body: object) -> Any:
    """POST `body`; raises requests.RequestException, also for an answer that is no JSON."""
    key = _setting("PREFECT_API_KEY")
    user, _, password = _setting("PREFECT_API_AUTH_STRING").partition(":")
    with requests.Session() as session:
        for scheme in ("http://", "https://"):  # written out: of the adapters the one with the longest prefix is taken
            session.mount(scheme, HTTPAdapter(max_retries=_AGAIN))
        session.headers.update({"Authorization": f"Bearer {key}"} if key else {})
        answer = session.post(f"{url}/{path}", json=body, auth=(user, password) if user else None, timeout=_SECONDS)
        answer.raise_for_status()
        return answer.json()


def _in_state(url: str, *types: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask(url, "flow_runs/filter", flow_runs={"state": {"type": {"any_": types}}})
    return found


def _runs(url: str) -> Finding:
    """What runs, and how long ago each was heard of."""
    running, silent = _in_state(url, "RUNNING", "CANCELLING"), []
    for run in running:
        silence = datetime.now(UTC) - _heard(url, run)
        if silence > _SILENT:
            silent.append(f"{run['name']} ({run['id']}), {age(silence.total_seconds())}")
    if silent:
        message = f"said to be running, but nothing was heard of them for: {some(silent)}"
        cure = (
            "if no such process is left, `prefect flow-run delete ID`, and start the flow again: it goes on from there"
        )
        return Finding("prefect runs", "broken", message, cure)
    return Finding("prefect runs", "ok", f"{url}: {len(running)} running, each heard of lately")


def _heard(url: str, run: dict[str, Any]) -> datetime:
    """The last heartbeat or change of state of a flow run; events of a week are looked at."""
    resource = {"id": [f"prefect.flow-run.{run['id']}"]}
    events = ask(url, "events/filter", filter={"resource": resource, "order": "DESC"}, limit=1)["events"]
    return max(map(datetime.fromisoformat, [run["updated"], *(event["occurred"] for event in events)]))


def _workers(url: str) -> Finding:
    """Whether each run that should have begun by now has a worker to begin it."""
    serving = {pool["name"] for pool in ask(url, "work_pools/filter") if pool["status"] == "READY"}
    due = datetime.now(UTC) - _LATE
    late = [
        f"{run['name']} in pool {run['work_pool_name']}"
        for run in _in_state(url, "SCHEDULED", "PENDING")
        if run["work_pool_name"] not in (None, *serving) and datetime.fromisoformat(run["expected_start_time"]) < due
    ]
    if late:
        message = f"waiting for a worker, and none serves their pool: {some(late)}"
        cure = "`make worker` starts one of each pool, of gpu where a GPU is visible; Cancel on the run's page ends it"
        return Finding("prefect workers", "warning", message, cure)
    return Finding("prefect workers", "ok", f"no run waits; pools with a worker: {some(sorted(serving)) or 'none'}")


def _artifacts(url: str, config: Config) -> Finding:
    """Artifacts are of the last flow run; what was made since by hand is not in them."""
    name, prefix = "numbers: Prefect", re.sub(r"[^a-z0-9]+", "-", config.profile.lower())
    found = ask(url, "artifacts/latest/filter", artifacts={"key": {"like_": prefix}}, limit=200)
    marks = {item["key"]: _MARK.search(f"{item['description']} {item['data']}") for item in found}
    shown = {key: mark[1] for key, mark in marks.items() if mark and key.startswith(f"{prefix}-")}
    if not shown or not Places(config).tables.exists():
        return Finding(
            name, "skipped", f"no tables of profile {config.profile} among the artifacts at {url}, or none here"
        )
    from fcn.tables import numbers_digest  # late: it loads pandas

    now = numbers_digest(Places(config).tables)
    other = [f"artifact {key}" for key, mark in sorted(shown.items()) if mark != now]
    if other:
        message = f"{some(other)} show other numbers than tables/ has now"
        return Finding(name, "broken", message, "`python -m flows.reproduce report` writes them again")
    return Finding(name, "ok", f"{len(shown)} artifacts are of the tables as they are ({now})")
