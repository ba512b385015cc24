"""However a training ends, the same command goes on, and ends with the bits of one that nobody disturbed."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fcn.datasets.convert import digest
from tests.training import tiny
from tests.training.conftest import outcome
from tests.training.processes import fcn, none_left, saved_iteration, start, trainers, until

TRAIN = fcn("train", tiny.COARSE)
ALWAYS = {"FCN_SAVE_SECONDS": "0"}
ITERATIONS = 80


@pytest.fixture(scope="module")
def begun_once(tmp_path_factory: pytest.TempPathFactory, tiny_project: Path) -> Path:
    """A project whose training was stopped after some iterations; to be copied."""
    folder = shutil.copytree(tiny_project, tmp_path_factory.mktemp("begun") / "project")
    process = start(TRAIN, folder, **ALWAYS)
    wait_for(folder, 3, process)
    process.terminate()
    process.wait()
    return folder


@pytest.fixture
def begun(begun_once: Path, project: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(begun_once, project, dirs_exist_ok=True)


def wait_for(folder: Path, iteration: int, process: "subprocess.Popen[str]") -> None:
    """Until the training has saved this iteration."""

    def there() -> bool:
        assert process.poll() is None, (folder / "err").read_text()
        return saved_iteration(folder, tiny.COARSE) >= iteration

    until(there, doing=f"saving iteration {iteration}")


def test_signals_save_and_the_rerun_goes_on(project: Path, undisturbed: dict[str, bytes]) -> None:
    """SIGTERM ends with 143, SIGINT with 130, each after saving; the next start goes on and ends bit-equal."""
    at = 0
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        (project / "err").write_text("")
        process = start(TRAIN, project, **ALWAYS)
        wait_for(project, at + 8, process)
        process.send_signal(number)
        assert process.wait() == code
        said = (project / "err").read_text()
        assert "Traceback" not in said
        assert f"({number.name}); the same command goes on from there" in said
        assert (f"going on after iteration {at}" in said) == (at > 0)
        at = saved_iteration(project, tiny.COARSE)
        assert f"stopped after iteration {at} of {ITERATIONS}" in said
        assert not (project / f"data/tiny/nets/{tiny.COARSE}.pt").exists()
    process = start(TRAIN, project, **ALWAYS)
    assert process.wait() == 0, (project / "err").read_text()
    assert outcome(project) == undisturbed
    assert not list(project.glob(".resume/*/*-*"))


def test_a_signal_to_the_whole_group_is_survived(
    project: Path, undisturbed: dict[str, bytes], run_fcn: tiny.RunFcn
) -> None:
    """SIGTERM to the trainer and its loader processes at once, as from a scheduler, ends with a saved state, too."""
    process = start(TRAIN, project, **ALWAYS, FCN_WORKERS="2")
    wait_for(project, 8, process)
    assert len(list(trainers(project))) == 3
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait() == 143, (project / "err").read_text()
    assert "Traceback" not in (project / "err").read_text()
    until(lambda: none_left(project), doing="loader processes leaving")
    ended = run_fcn(["train", tiny.COARSE], project)
    assert ended.returncode == 0, ended.stderr
    assert outcome(project) == undisturbed


@pytest.mark.slow
def test_kill_9_at_random_moments(project: Path, undisturbed: dict[str, bytes], run_fcn: tiny.RunFcn) -> None:
    """A trainer that is killed outright three times, at random moments, in the end leaves bit-equal weights."""
    draw = random.Random(0)
    reached = []
    for after in sorted(draw.sample(range(4, ITERATIONS // 2), 3)):
        process = start(TRAIN, project, **ALWAYS)
        wait_for(project, after, process)
        time.sleep(draw.uniform(0, 0.03))  # in the middle of a step or of a save
        process.kill()
        process.wait()
        reached.append(saved_iteration(project, tiny.COARSE))
        assert not (project / f"data/tiny/nets/{tiny.COARSE}.pt").exists(), "the training was over before it was killed"
    ended = run_fcn(["train", tiny.COARSE], project)
    assert ended.returncode == 0, ended.stderr
    said = (project / "err").read_text() + ended.stderr
    assert all(f"going on after iteration {iteration}\n" in said for iteration in reached)
    assert outcome(project) == undisturbed


STARTER = """
import subprocess, sys
subprocess.Popen(["sh", "-c", f"{sys.executable} -m fcn train {sys.argv[1]}; true"]).wait()
"""


def test_a_trainer_leaves_with_its_starter(project: Path, undisturbed: dict[str, bytes]) -> None:
    """When its starter is killed, and only the shell between them lives, the trainer leaves; a rerun waits for that.

    The rerun is started at once, goes on where the orphan saved, and ends bit-equal.
    """
    starter = start([sys.executable, "-c", STARTER, tiny.COARSE], project, **ALWAYS)
    wait_for(project, 5, starter)
    (orphan,) = trainers(project)
    orphan.suspend()  # so that it still holds the lock when the rerun comes
    starter.kill()
    starter.wait()
    again = start(TRAIN, project, **ALWAYS)
    until(lambda: "waiting for an earlier training" in (project / "err").read_text(), doing="the rerun's waiting")
    at = saved_iteration(project, tiny.COARSE)
    orphan.resume()
    until(lambda: not orphan.is_running(), doing="the orphan's leaving")
    assert again.wait() == 0, (project / "err").read_text()
    said = (project / "err").read_text()
    stopped = [line for line in said.splitlines() if "the process that started it is gone" in line]
    assert len(stopped) == 1
    went_on = int(said.split("going on after iteration ")[1].split()[0])
    assert at <= went_on < ITERATIONS
    assert f"stopped after iteration {went_on} of" in stopped[0]
    assert outcome(project) == undisturbed
    assert none_left(project)


def test_every_stage_leaves_with_its_starter(project: Path) -> None:
    """An orphan leaves while it still imports, or in a stage that saves nothing, and nothing half-written stays."""
    values = tiny.params()
    values["classifiers"]["vgg16-sample"]["training"]["iterations"] = 6000  # with a line after each 1200
    tiny.write(project, values)
    before = (project / "data/tiny/weights/vgg16-sample.pt").read_bytes()
    program = STARTER.replace("train", "classifiers")
    for lines in (0, 1):  # at once, and when it trains
        (project / "err").write_text("")
        starter = start([sys.executable, "-c", program, "vgg16-sample"], project)
        until(lambda: bool(list(trainers(project))), doing="the stage's start")
        if lines == 0:
            until(lambda: next(trainers(project)).num_threads() > 1, doing="the stage's watching")
        else:
            until(lambda: "iteration" in (project / "err").read_text(), doing="work")
        starter.kill()
        starter.wait()
        until(lambda: none_left(project), doing="the orphan's leaving")
        assert "Traceback" not in (project / "err").read_text()
    assert (project / "data/tiny/weights/vgg16-sample.pt").read_bytes() == before
    assert [path.name for path in (project / "data/tiny/weights").iterdir()] == ["vgg16-sample.pt"]


LOST = """
import signal, time
from fcn.lifeline import keep_interrupts
class Callback:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)
keep_interrupts()
Callback()
try:
    time.sleep(60)
except KeyboardInterrupt:
    print("left")
"""


def test_no_interrupt_is_lost(project: Path) -> None:
    """One that came where nothing can be raised, which Python drops with a traceback, comes again, without a word."""
    ended = start([sys.executable, "-c", LOST], project)
    assert ended.wait() == 0
    assert ((project / "out").read_text(), (project / "err").read_text()) == ("left\n", "")


def test_a_second_trainer_waits_for_the_first(project: Path, undisturbed: dict[str, bytes]) -> None:
    """Of two trainers of one run the second waits; stopped while it waits, it leaves the first alone."""
    first = start(TRAIN, project, **ALWAYS)
    wait_for(project, 3, first)
    os.kill(first.pid, signal.SIGSTOP)
    (project / "err").write_text("")
    second = start(TRAIN, project, **ALWAYS)
    until(lambda: "waiting for an earlier training" in (project / "err").read_text(), doing="the second's waiting")
    second.send_signal(signal.SIGTERM)
    assert second.wait() == 143
    assert "stopped (SIGTERM) while waiting for .resume/tiny/" in (project / "err").read_text()
    os.kill(first.pid, signal.SIGCONT)
    assert first.wait() == 0
    assert outcome(project) == undisturbed


@pytest.mark.parametrize("change", ["labels", "seed", "net", "recipe", "list", "init"])
def test_what_a_state_depends_on_names_its_folder(begun: Path, run_fcn: tiny.RunFcn, change: str) -> None:
    """With another seed, other labels, net, recipe, list or init, a training doesn't go on from the old one's state."""
    values, data = tiny.params(), begun / "data/tiny"
    run = values["runs"][tiny.COARSE]
    if change == "seed":
        run["seed"] = 1
    elif change == "net":
        for net in values["nets"].values():
            net["backbone"]["dropout"] = 0.25
    elif change == "recipe":
        values["recipes"][run["recipe"]]["momentum"] = 0.8
    elif change == "init":
        values["classifiers"]["vgg16-sample"]["training"]["iterations"] = 2
    elif change == "list":
        split = data / "splits/sbd-train.txt"
        split.write_text("".join(split.read_text().splitlines(keepends=True)[1:]))
    else:
        labels = sorted((data / "datasets/sbd/semantic").glob("*.png"))
        labels[0].write_bytes(labels[1].read_bytes())
        facts = json.loads((data / "datasets/sbd/dataset.json").read_text())
        (data / "datasets/sbd/dataset.json").unlink()
        facts["sha256"] = digest(data / "datasets/sbd")  # as the stage that writes labels does
        (data / "datasets/sbd/dataset.json").write_text(json.dumps(facts))
    tiny.write(begun, values)
    if change == "init":
        assert run_fcn(["classifiers", "vgg16-sample"], begun).returncode == 0
    process = start(TRAIN, begun, **ALWAYS)
    until(lambda: len(list(begun.glob(f".resume/tiny/{tiny.COARSE}-*"))) == 2, doing="a folder of its own")
    process.kill()
    process.wait()
    assert "going on after" not in (begun / "err").read_text()


@pytest.mark.parametrize("change", ["val", "regime", "another run", "a departure"])
def test_what_a_training_does_not_depend_on_leaves_its_state(begun: Path, change: str) -> None:
    """Where a run is scored, whom it is compared with, and what others do is nothing to it: it goes on."""
    values = tiny.params()
    run = values["runs"][tiny.COARSE]
    if change == "val":
        run["val"] = {"dataset": "voc2012", "list": "voc2012-val"}
    elif change == "regime":
        run["regime"] = "pami"
    elif change == "another run":
        values["runs"]["voc-fcn32s-vgg16-again"] = {**run, "seed": 7}
    else:
        values["departures"] = {}
    tiny.write(begun, values)
    (begun / "err").write_text("")
    process = start(TRAIN, begun, **ALWAYS)
    until(lambda: "iterations of" in (begun / "err").read_text(), doing="its announcement")
    until(lambda: "going on after iteration" in (begun / "err").read_text(), doing="its going on")
    process.kill()
    process.wait()
    assert len(list(begun.glob(f".resume/tiny/{tiny.COARSE}-*"))) == 1
