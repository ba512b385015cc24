"""doctor's parts by themselves: versions, GPU, disk, locks, leftovers."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fcn.commands.checks import dvc_locks, finding, hardware, leftovers, mlflow_rows, versions
from fcn.commands.checks.finding import Finding
from fcn.config import Config, load
from fcn.files import write_json, write_text
from fcn.stages import train
from fcn.stages.places import Places
from tests.commands.healthy import BEST
from tests.conftest import ROOT


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """The sample profile in a folder with nothing else but pyproject.toml, which is also where the test runs."""
    for name in ("params.yaml", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    return load(Path("params.yaml"))


@pytest.fixture(scope="module")
def gone() -> int:
    """The number of a process that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def test_what_doctor_advises_is_of_its_profile(config: Config) -> None:
    """The root's profile is what commands are of that name none."""
    of = replace(config, params="profiles/x/params.yaml", root="../..")
    assert (finding.repro(config), finding.repro(of)) == ("dvc repro", "dvc repro profiles/x/dvc.yaml")
    found = finding.ours(config, "publish"), finding.ours(of, "publish")
    assert found == ("python -m fcn publish", "python -m fcn publish --params profiles/x/params.yaml")
    (warning,) = mlflow_rows.check(of)
    assert warning.cure.startswith("once `dvc repro profiles/x/dvc.yaml` has made the tables, `python -m fcn publish -")


def one(findings: list[Finding], name: str) -> Finding:
    return next(item for item in findings if item.name == name)


def test_an_rwlock(config: Config, gone: int) -> None:
    """A dead holder is a warning, for DVC drops it; a stranger of the same number and a cut file stop DVC: broken."""
    path = Path(".dvc/tmp/rwlock")
    entry = {"pid": gone, "cmd": "dvc repro"}
    write_json(path, {"write": {"tables": entry}, "read": {"tables": [entry]}})
    found = one(dvc_locks.check(config), "dvc rwlock")
    assert (found.state, f"process {gone} (dvc repro), which is gone" in found.message) == ("warning", True)
    with subprocess.Popen(["sleep", "600"]) as stranger:
        write_json(path, {"write": {"tables": entry | {"pid": stranger.pid}}})
        found = one(dvc_locks.check(config), "dvc rwlock")
        stranger.kill()
    assert (found.state, "sleep 600" in found.message) == ("broken", True)
    write_text(path, "")
    assert one(dvc_locks.check(config), "dvc rwlock").state == "broken"
    path.unlink()
    path.mkdir()
    with pytest.raises(
        IsADirectoryError, match="rwlock"
    ):  # which doctor has as its words, for `mend` removes no folder
        dvc_locks.check(config)


def test_results_that_were_set_aside(config: Config) -> None:
    """What lies in removed/ is told with its size: it is no fault, and nobody else would say so."""
    write_text(Places(config).removed / "scores/voc-of-nobody.json", "0" * 2000)
    (found,) = leftovers.removed(config)
    assert found.state == "ok"
    assert "2 kB of runs that params.yaml has no more: scores/voc-of-nobody.json" in found.message


def test_an_unsupported_fastapi(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of a version that pyproject.toml forbids is broken, with what is allowed; a missing one too."""
    metadata = tmp_path / "elsewhere" / "fastapi-0.155.0.dist-info" / "METADATA"
    write_text(metadata, "Metadata-Version: 2.1\nName: fastapi\nVersion: 0.155.0\n")
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    project = Path("pyproject.toml").read_text(encoding="utf-8")
    write_text(Path("pyproject.toml"), project.replace('"torch>=', '"torch-of-nobody>=1",\n    "torch>=', 1))
    found = one(versions.check(config), "packages")
    assert found.state == "broken"
    assert "fastapi is 0.155.0 (allowed: <0.151,>=0.139)" in found.message
    assert "torch-of-nobody is missing" in found.message


def test_states_of_a_run_that_is_gone(config: Config) -> None:
    """A state of a known run waits for it, as far as anybody can tell; that of an unknown run is warned of."""
    for run, state in ((BEST, "ok"), ("voc-of-nobody", "warning")):
        path = Places(config).resume(run, "0123456789abcdef") / "state-000000001-0123456789abcdef.pt"
        write_text(path, "0" * 2000)
        (found,) = leftovers.states(config)
        assert (found.state, f"{path.parent} (2 kB" in found.message) == (state, True)


def test_parts_of_files(config: Config, gone: int) -> None:
    """What a process that is gone had half written is warned of, and not what one that lives is writing."""
    folder = Places(config).data
    write_text(folder / f".timing.json.{gone}.part", "{")
    write_text(folder / f".published.json.{os.getpid()}.part", "{")
    (found,) = leftovers.parts(config)
    assert found.state == "warning"
    assert (".timing.json" in found.message, "published" in found.message) == (True, False)


def test_a_gpu_that_was_asked_for(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """FCN_DEVICE=cuda on a machine without a GPU is broken; without the wish the CPU is fine."""
    monkeypatch.delenv("FCN_DEVICE", raising=False)
    if "none" not in hardware.gpu(config)[0].message:
        pytest.skip("there is a GPU here")
    monkeypatch.setenv("FCN_DEVICE", "cuda")
    assert hardware.gpu(config)[0].state == "broken"


def test_the_disk_needed_is_that_of_the_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the paper's profile needs is near the gigabytes of docs/paper-plan.md, and the sample's below one."""
    monkeypatch.chdir(tmp_path)
    whole = hardware.still_needed(load(ROOT / "profiles/paper/params.yaml"))
    plan = (ROOT / "docs/paper-plan.md").read_text(encoding="utf-8")
    planned = 1e9 * float(plan.partition("**all, one after the other** | ")[2].partition(" ")[0])
    assert 0.8 * planned < whole < 1.3 * planned
    assert hardware.still_needed(load(ROOT / "params.yaml")) < 1e9


def test_a_state_of_other_settings_is_not_gone_on_with(config: Config) -> None:
    """Of two states the newer is not the one that waits, but that of the run's settings as they are."""
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
