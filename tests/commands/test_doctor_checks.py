"""doctor's parts by themselves: disk, saved states, locks."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fcn.commands.checks import dvc_locks, finding, hardware, leftovers
from fcn.config import load
from fcn.files import write_json, write_text
from fcn.stages import train
from fcn.stages.places import Places
from tests.commands.healthy import BEST
from tests.conftest import ROOT


def test_the_disk_needed_is_that_of_the_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the paper's profile needs is near the 38.5 GB of docs/paper-plan.md, and the sample's below one."""
    monkeypatch.chdir(tmp_path)
    whole = hardware.still_needed(load(ROOT / "profiles/paper/params.yaml"))
    assert 30e9 < whole < 50e9
    assert hardware.still_needed(load(ROOT / "params.yaml")) < 1e9


def test_a_state_of_other_settings_is_not_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two states the newer is not the one that waits, but that of the run's settings as they are."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    config = load(Path("params.yaml"))
    places, run = Places(config), config.run(BEST)
    facts = {"format": "voc", "generated": True, "inputs": {"rgb": 3}, "targets": {}, "images": 1, "sha256": "0" * 64}
    write_json(places.dataset(run.train.dataset) / "dataset.json", facts)
    for path in (places.init(run.init), places.list_file(run.train.list)):
        write_text(path, "")
    mine = train.resume_folder(config, BEST)
    other = mine.with_name(f"{BEST}-0123456789ab")
    for folder in (mine, other):
        write_text(folder / "history.jsonl", "")
    (found,) = leftovers.states(config)
    assert (found.state, str(other) in found.message, str(mine) in found.message) == ("warning", True, False)
    shutil.rmtree(other)
    (found,) = leftovers.states(config)
    assert found.message.startswith(f"interrupted, to go on with `dvc repro`: {mine}")


def test_words() -> None:
    """Long lists are cut with their count, and ages have the unit that suits them."""
    assert finding.some(["a", "b"]) == "a, b"
    assert finding.some(list("abcdef"), most=2) == "a, b and 4 more"
    assert finding.age(30) == "30 seconds"
    assert finding.age(3 * 86400) == "3 days"


def test_a_lock_that_is_held(tmp_path: Path) -> None:
    """A lock counts as held while a process holds it, and not for the number that a dead one has left in it."""
    path = tmp_path / "lock"
    path.write_text(" 1\n")
    assert not dvc_locks.is_held(path)
    script = f"import fcntl, time; file = open({str(path)!r}); fcntl.flock(file, fcntl.LOCK_EX)"
    script += "; print(1, flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert dvc_locks.is_held(path)
        holder.kill()
