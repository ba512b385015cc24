"""A training that nobody disturbed, for others to be compared with, and copies of the tiny project to disturb."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import once
from tests.training import processes, tiny


@pytest.fixture
def project(tmp_path: Path, tiny_project: Path) -> Iterator[Path]:
    """A copy of the tiny project; what is started in it ends with the test."""
    yield shutil.copytree(tiny_project, tmp_path / "project")
    processes.end_all()


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, tiny_project: Path, run_fcn: tiny.RunFcn) -> dict[str, bytes]:
    """The coarse run's net and history, by the file's suffix, from one `python -m fcn train` that was left alone."""

    def make(folder: Path) -> None:
        shutil.copytree(tiny_project, folder, dirs_exist_ok=True)
        ended = run_fcn(["train", tiny.COARSE], folder)
        assert ended.returncode == 0, ended.stderr
        assert not list(folder.glob(".resume/*/*-*")), "resume states of a finished training are removed"

    return outcome(once(tmp_path_factory, "undisturbed", make))


def outcome(folder: Path) -> dict[str, bytes]:
    """A finished run's net and history."""
    data = folder / "data/tiny"
    return {
        ".pt": (data / f"nets/{tiny.COARSE}.pt").read_bytes(),
        ".jsonl": (data / f"history/{tiny.COARSE}.jsonl").read_bytes(),
    }
