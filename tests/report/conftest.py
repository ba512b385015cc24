"""What the tests of figures and report share: one small project with both, made once."""

from pathlib import Path

import pytest

from fcn.cli import main
from tests.conftest import once
from tests.report.project import inside, make


@pytest.fixture(name="project", scope="session")
def _project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small sample profile, from archives to the report; tests only read it."""

    def whole(folder: Path) -> None:
        make(folder)
        with inside(folder):
            assert main(["figures"]) == 0
            assert main(["report"]) == 0

    return once(tmp_path_factory, "report", whole)


@pytest.fixture(name="data", scope="session")
def _data(project: Path) -> Path:
    """The project's data/sample."""
    return project / "data/sample"
