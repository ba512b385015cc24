"""The server fails while trainings run: what is done stays done, and no run is Running for ever."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.doors import resumable
from tests.doors.conftest import Project, quiet
from tests.doors.servers import Site, site, until

pytestmark = pytest.mark.slow  # a server that is stopped for a minute


@pytest.fixture
def own_site(prefect_homes: Callable[[str], Path]) -> Iterator[Site]:
    """A server that the test may stop."""
    home = prefect_homes("outage")
    with site(home, quiet(home)) as made:
        yield made


def test_runs_outlive_a_minute_without_their_server(own_site: Site, project: Project) -> None:
    """The server is away for a minute. The stage of one run ends meanwhile: it is Completed, and was never begun anew.

    The other goes on, the server knows it when it is back, and cancels it; the training resumes.
    """
    ending, lasting = resumable.make(project), resumable.make(project)
    with own_site.worker("cpu"):
        run, cancelled = resumable.begin(own_site, ending), resumable.begin(own_site, lasting)
        own_site.stop_server()
        ending.release()
        until(lambda: ending.whole, doing="the training ends without the server", explain=own_site.said)
        time.sleep(60)  # the outage itself
        own_site.start_server()
        assert own_site.state(cancelled) == "Running"
        own_site.cancel(cancelled)
        own_site.until_state(run, "Completed")
        assert ending.starts == [0]
        own_site.until_state(cancelled, "Cancelled")
        for training in (ending, lasting):
            training.until_nobody_is_left(own_site)
        resumable.check_resumes(lasting)
