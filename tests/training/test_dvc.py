"""Trainings under DVC: kill -9 whoever, whenever; `dvc repro` goes on, ends bit-equal, and no orphan is left."""

import random
import shutil
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.training import processes, tiny, workspace
from tests.training.processes import none_left, saved_iteration, start, trainers, until

VICTIMS = ["dvc", "trainer", "both", "dvc", "trainer"]


@pytest.fixture
def half_way(workspace_before: Path, tmp_path: Path) -> Path:
    """A copy of the workspace in which all that comes before training is done."""
    return shutil.copytree(workspace_before, tmp_path / "killed", symlinks=True)


def nets(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "data/tiny/nets").glob("*.pt")}


def wait_for(folder: Path, run: str, iteration: int, dvc: "subprocess.Popen[str]") -> psutil.Process:
    """The trainer of the run, once it has saved this iteration, or, with 0, once it has begun to import."""

    def there() -> bool:
        assert dvc.poll() is None, (folder / "out").read_text() + (folder / "err").read_text()
        at_work = [process for process in trainers(folder) if run in process.cmdline()]
        if iteration == 0:
            return any(process.num_threads() > 1 for process in at_work)
        return bool(at_work) and saved_iteration(folder, run) >= iteration

    until(there, doing=f"iteration {iteration} of {run}")
    return next(process for process in trainers(folder) if run in process.cmdline())


@pytest.mark.slow
def test_kill_9_whoever_and_repro_goes_on(half_way: Path, workspace_done: Path) -> None:
    """DVC, the trainer or both are killed outright at five random places, and a plain `dvc repro` goes on each time.

    Of the survivors none is left after some seconds, and in the end every net has the bytes of an undisturbed run's.
    """
    draw = random.Random(1)
    victims = draw.sample(VICTIMS, k=5)
    coarse = sorted(draw.sample(range(3, 40), 2))
    places = [(tiny.COARSE, 0), *((tiny.COARSE, iteration) for iteration in coarse)]
    places += [(tiny.FINER, iteration) for iteration in sorted(draw.sample(range(2, 20), 2))]
    command = [*workspace.DVC, "repro", f"train@{tiny.FINER}"]
    try:
        for victim, (run, iteration) in zip(victims, places, strict=True):
            dvc = start(command, half_way, FCN_SAVE_SECONDS="0", PYTHONPATH="")
            trainer = wait_for(half_way, run, iteration, dvc)
            if victim in ("dvc", "both"):
                dvc.send_signal(signal.SIGKILL)
            if victim in ("trainer", "both"):
                trainer.kill()
            assert dvc.wait() != 0
            until(lambda: none_left(half_way), doing=f"nobody left after killing {victim} in {run}")
            over = (half_way / f"data/tiny/nets/{run}.pt").exists()
            assert not over or victim == "dvc", "it was over before it was killed"  # an orphan may just make it
        said = workspace.repro(half_way, f"train@{tiny.FINER}")
    finally:
        processes.end_all()
    assert "going on after iteration" in (half_way / "err").read_text() + said
    assert nets(half_way) == nets(workspace_done)
    assert not list(half_way.glob(".resume/*/*-*"))


@pytest.mark.parametrize(("line", "goes_on"), [("ANOTHER = 1\n", False), ("# another line\n", True)])
def test_other_code_starts_anew(half_way: Path, line: str, goes_on: bool) -> None:
    """A training that was killed doesn't go on under changed code: DVC would record its net as that code's.

    A comment is no code.
    """
    command = [*workspace.DVC, "repro", f"train@{tiny.COARSE}"]
    try:
        dvc = start(command, half_way, FCN_SAVE_SECONDS="0", PYTHONPATH="")
        wait_for(half_way, tiny.COARSE, 5, dvc).kill()
        assert dvc.wait() != 0
        until(lambda: none_left(half_way), doing="nobody left after killing the trainer")
    finally:
        processes.end_all()
    with (half_way / "fcn/training/losses/mean.py").open("a", encoding="utf-8") as file:
        file.write(line)
    said = workspace.repro(half_way, f"train@{tiny.COARSE}")
    assert f"{tiny.COARSE}:" in said
    assert ("going on after iteration" in said) == goes_on
