"""A project of quick stages with a real DVC, which the flows walk as they walk ours."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT

# a and b are independent, c needs both, train@x needs a, and `end` needs all.
STAGES = {
    "a": {"cmd": "python -c \"open('a.txt', 'w').write('a')\"", "params": ["seed"], "outs": ["a.txt"]},
    "b": {"cmd": "python -c \"open('b.txt', 'w').write('b')\"", "outs": ["b.txt"]},
    "c": {"cmd": "cat a.txt b.txt > c.txt", "deps": ["a.txt", "b.txt"], "outs": ["c.txt"]},
    "end": {"cmd": "cat c.txt > end.txt", "deps": ["c.txt"], "outs": ["end.txt"]},
}
Project = Callable[[dict[str, object]], Path]


@pytest.fixture(scope="module")
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Prefect home of the tests' own, so that no setting or server of the machine's user is touched."""
    return tmp_path_factory.mktemp("prefect")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Make a git and DVC repository with the stages that are given, and our params.yaml and flows."""

    def make(stages: dict[str, object]) -> Path:
        for command in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"]):
            subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        shutil.copy(ROOT / "params.yaml", tmp_path)
        shutil.copytree(ROOT / "flows", tmp_path / "flows", ignore=shutil.ignore_patterns("__pycache__"))
        (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}), encoding="utf-8")
        return tmp_path

    return make


@pytest.fixture
def environment(prefect_home: Path) -> dict[str, str]:
    """The environment of a subprocess that runs a flow without a server, and without calling home."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return {
        **kept,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT),
        "PREFECT_HOME": str(prefect_home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "DO_NOT_TRACK": "1",
        "DVC_NO_ANALYTICS": "1",
    }
