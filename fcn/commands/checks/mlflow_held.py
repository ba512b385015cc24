"""What MLflow holds, read without MLflow: over REST from a server, by SQL from a database.

The package takes seconds to import, brings a database that it doesn't know up to date, and asks one that is damaged for
minutes. This only reads. The tables are those of MLflow 3.17.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import sqlalchemy

DEFAULT_URI = "sqlite:///mlflow.db"
_SECONDS = 20.0
_PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One run that isn't deleted, with each metric's last value."""

    experiment: str
    name: str
    identity: str
    status: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


class UnreadableError(RuntimeError):
    """MLflow can't be read; the message says why."""


class NothingHereError(RuntimeError):
    """There is no MLflow yet: no server is named, and no database is here."""


def uri() -> str:
    """Where MLflow is, as for the stage that publishes."""
    return os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI


def runs() -> list[Held]:
    """All runs of all experiments.

    Raises NothingHereError or UnreadableError.
    """
    where = uri()
    try:
        if where.startswith("http"):
            return list(_served(where.rstrip("/")))
        return _in_database(where)
    except (requests.RequestException, sqlalchemy.exc.SQLAlchemyError, KeyError, TypeError, ValueError) as error:
        why = str(error).splitlines()[0] if str(error) else ""
        raise UnreadableError(f"{where}: {type(error).__name__}: {why[:200]}") from None


def _served(address: str) -> Iterator[Held]:
    names = {
        item["experiment_id"]: item["name"] for item in _pages(address, "experiments/search", "experiments", body={})
    }
    for identity, name in names.items():
        body = {"experiment_ids": [identity], "run_view_type": "ACTIVE_ONLY"}
        for run in _pages(address, "runs/search", "runs", body=body):
            info, data = run["info"], run["data"]
            yield Held(
                experiment=name,
                name=info.get("run_name", ""),
                identity=info["run_id"],
                status=info["status"],
                metrics={item["key"]: float(item["value"]) for item in data.get("metrics", [])},
                tags={item["key"]: item.get("value", "") for item in data.get("tags", [])},
            )


def _pages(address: str, path: str, what: str, *, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    token = os.environ.get("MLFLOW_TRACKING_TOKEN", "")
    user, password = (os.environ.get(f"MLFLOW_TRACKING_{part}", "") for part in ("USERNAME", "PASSWORD"))
    page = ""
    while True:
        answer = requests.post(
            f"{address}/api/2.0/mlflow/{path}",
            json={**body, "max_results": _PAGE, **({"page_token": page} if page else {})},
            headers={"Authorization": f"Bearer {token}"} if token else {},
            auth=(user, password) if user else None,
            timeout=_SECONDS,
        )
        answer.raise_for_status()
        found = answer.json()
        yield from found.get(what, [])
        page = found.get("next_page_token", "")
        if not page:
            return


def _in_database(where: str) -> list[Held]:
    if where.startswith("sqlite:"):
        path = Path(where.partition(":///")[2])
        if not path.exists() or path.stat().st_size == 0:
            raise NothingHereError(f"there is no {path}")
        where = f"sqlite:///file:{path}?mode=ro&uri=true"
    engine = sqlalchemy.create_engine(where, poolclass=sqlalchemy.pool.NullPool)
    with engine.connect() as connection:

        def rows(query: str) -> list[Any]:
            return list(connection.execute(sqlalchemy.text(query)))

        found = rows(
            "SELECT r.run_uuid, r.name, r.status, e.name FROM runs r JOIN experiments e "
            "ON e.experiment_id = r.experiment_id WHERE r.lifecycle_stage = 'active' AND e.lifecycle_stage = 'active'"
        )
        metrics: dict[str, dict[str, float]] = {}
        for identity, key, value in rows("SELECT run_uuid, key, value FROM latest_metrics"):
            metrics.setdefault(identity, {})[key] = float(value)
        tags: dict[str, dict[str, str]] = {}
        for identity, key, value in rows("SELECT run_uuid, key, value FROM tags"):
            tags.setdefault(identity, {})[key] = value
    return [
        Held(
            experiment=experiment,
            name=name or "",
            identity=identity,
            status=status,
            metrics=metrics.get(identity, {}),
            tags=tags.get(identity, {}),
        )
        for identity, name, status, experiment in found
    ]
