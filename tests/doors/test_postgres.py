"""Prefect's server on Postgres, as a site has it."""

from pathlib import Path

import psycopg2  # type: ignore[import-untyped]  # it ships no types
import pytest

from tests import postgres
from tests.doors import resumable
from tests.doors.conftest import Project, quiet
from tests.doors.servers import site

reason = postgres.available()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(reason is not None, reason=str(reason))]


def test_a_deployment_runs_on_postgres(project: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The server keeps all it knows in Postgres, none of it in sqlite, and a deployment's run completes."""
    training = resumable.make(project)
    home: Path = tmp_path_factory.mktemp("postgres")
    with postgres.database("prefect") as url:
        asynchronous = url.replace("postgresql://", "postgresql+asyncpg://")
        with site(home, quiet(home), PREFECT_API_DATABASE_CONNECTION_URL=asynchronous) as made, made.worker("cpu"):
            training.release()
            made.deploy(training.folder, pool="cpu")
            run = made.run()
            made.until_state(run, "Completed")
            connection = psycopg2.connect(url)
            with connection, connection.cursor() as cursor:
                cursor.execute("select state_name from flow_run where id = %s", (run,))
                assert cursor.fetchall() == [("Completed",)]
            connection.close()
    assert training.whole
    assert not list(home.glob("*.db"))
