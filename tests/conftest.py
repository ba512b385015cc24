"""What tests share: where things are, one torch thread, the command line, the peer of the golden tests."""

import os
import shutil
import signal
import subprocess
import sys
import types
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import settings

from fcn.files import exclusive
from tests import forked
from tests.training import processes, tiny, tracing, workspace

ROOT = Path(__file__).resolve().parent.parent
RunFcn = Callable[[Sequence[str | Path], Path], "subprocess.CompletedProcess[str]"]


def pytest_configure() -> None:
    """Give torch one thread, here and in subprocesses: threads change the order of sums, and cores are shared."""
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"
    for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):  # of `make test`: a make that a test starts says more by them
        os.environ.pop(name, None)
    # A shell starts background jobs with Ctrl-C ignored, and children inherit that: tests interrupt some of theirs.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    settings.register_profile("fcn", deadline=None)  # a slow machine is not a failure
    settings.load_profile("fcn")
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of many slow tests come first, so that no process is left with one at the end; gpu needs a CUDA device.

    Without one it is skipped; FCN_DEVICE=cpu has the CPU do.
    """
    slow = Counter(item.path for item in items if "slow" in item.keywords)
    items.sort(key=lambda item: -slow[item.path])  # stable: a file's tests stay together
    marked = [item for item in items if "gpu" in item.keywords]
    if not marked or os.environ.get("FCN_DEVICE") == "cpu":
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="no CUDA device here; FCN_DEVICE=cpu tries them on a CPU"))


@pytest.fixture(scope="session")
def repository() -> Path:
    """The project's root."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real research data beside the project; tests that take it are skipped where it is absent."""
    folder = ROOT.parent / "shared"
    if not (folder / "voc").is_dir():
        pytest.skip("needs the real VOC subset in ../shared/voc, which is not part of the project")
    return folder


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that the first of the processes which run tests side by side fills, and all of them read."""
    root = factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root
    folder, done = root / name, root / f"{name}.done"
    with exclusive(root / f"{name}.lock", patience_seconds=1200.0):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def run_fcn() -> RunFcn:
    """Call `python -m fcn ARGUMENTS` in a folder, as DVC does, and return what came of it."""

    def run(arguments: Sequence[str | Path], cwd: Path) -> "subprocess.CompletedProcess[str]":
        return forked.run([*map(str, arguments)], cwd, {**os.environ, "PYTHONPATH": processes.MODULES})

    return run


@pytest.fixture(scope="session")
def tiny_project(tmp_path_factory: pytest.TempPathFactory, run_fcn: RunFcn) -> Path:
    """A project folder of the tiny profile with all that comes before training; to be copied, not written to."""

    def make(folder: Path) -> None:
        tiny.write(folder, tiny.params())
        tiny.build(folder, run_fcn)

    return once(tmp_path_factory, "tiny", make)


@pytest.fixture(scope="session")
def workspace_before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git and DVC project of the tiny profile in which `dvc repro` has done all that comes before training."""

    def make(folder: Path) -> None:
        project, watch = workspace.make(folder / "project"), tracing.watch(folder / "watch")
        workspace.repro(project, "splits", *(f"classifiers@{name}" for name in tiny.params()["classifiers"]), **watch)

    return once(tmp_path_factory, "before", make) / "project"


@pytest.fixture(scope="session")
def workspace_done(tmp_path_factory: pytest.TempPathFactory, workspace_before: Path) -> Path:
    """The same after a whole `dvc repro`; what its stages touched is noted in `watch` beside it."""

    def make(folder: Path) -> None:
        shutil.copytree(workspace_before.parent, folder, symlinks=True, dirs_exist_ok=True)
        workspace.repro(folder / "project", **tracing.watched(folder / "watch"))

    return once(tmp_path_factory, "done", make) / "project"


@pytest.fixture(scope="session")
def torchfcn_models() -> types.ModuleType:
    """The module torchfcn.models of the peer, pytorch-fcn, with FCN32s, FCN16s, FCN8s and FCN8sAtOnce."""
    from benchmarks import peers

    try:
        return peers.torchfcn("models")
    except ModuleNotFoundError:
        pytest.skip("needs torchfcn, which `make test` installs from requirements-peer.lock")
