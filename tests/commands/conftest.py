"""What the tests of doctor share, a healthy project's root and doctor in it, and those of predict: a net, and it."""

import json
import shutil
from pathlib import Path

import pytest

from fcn.cli import main
from fcn.nets import checkpoint
from tests.commands import healthy
from tests.commands.healthy import Doctor
from tests.commands.segmenting import NET, Predict, made
from tests.conftest import RunFcn, once
from tests.training import tiny


@pytest.fixture(scope="session")
def healthy_once(tmp_path_factory: pytest.TempPathFactory, repository: Path, run_fcn: RunFcn) -> Path:
    return once(tmp_path_factory, "healthy", lambda folder: healthy.make(folder, repository, run_fcn))


@pytest.fixture
def tree(healthy_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A healthy project's root of the test's own, which is also where it runs."""
    root = Path(shutil.copytree(healthy_once, tmp_path / "project"))
    for name in ("MLFLOW_TRACKING_URI", "PREFECT_API_URL", "FCN_DEVICE", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "no-prefect"))  # where a developer's own may name a server
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Run doctor here: its exit code, and each check's finding by name."""

    def run(*arguments: str) -> tuple[int, dict[str, dict[str, str]]]:
        capsys.readouterr()
        code = main(["doctor", "--json", *arguments])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        answer = json.loads(said.out)
        assert answer["healthy"] == (code == 0)
        return code, {item["name"]: item for item in answer["checks"]}

    return run


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's root with params.yaml and one trained net, which is also where the test runs."""
    tiny.write(tmp_path, tiny.params())
    (tmp_path / NET).parent.mkdir(parents=True)
    checkpoint.save(made(), tmp_path / NET)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def predict(project: Path, capsys: pytest.CaptureFixture[str]) -> Predict:
    """Run predict there: its exit code, what it wrote to stdout, and to stderr."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        assert Path.cwd() == project
        capsys.readouterr()
        code = main(["predict", *map(str, arguments)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run
