"""doctor: it finds nothing in a healthy tree, and in a broken one that which is broken, with what to do."""

import fcntl
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from fcn.cli import main
from tests.commands import healthy
from tests.commands.healthy import Doctor, broken
from tests.conftest import ROOT

# The deprecations are MLflow's own doing, in the client that these tests write with.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


def test_a_healthy_tree_is_healthy(tree: Path, doctor: Doctor) -> None:
    """Nothing is broken or warned of where all agree, every place was compared, and nothing was changed by looking."""
    before = {path: path.stat().st_mtime_ns for path in tree.rglob("*") if ".dvc/tmp" not in path.as_posix()}
    code, found = doctor()
    assert code == 0
    assert {item["state"] for item in found.values()} <= {"ok", "skipped"}, found
    assert int(found["numbers: MLflow"]["said"].split()[1].replace(",", "")) > 60
    assert found["prefect runs"]["state"] == "skipped"
    assert "no server configured" in found["prefect runs"]["said"]
    after = {path: path.stat().st_mtime_ns for path in tree.rglob("*") if ".dvc/tmp" not in path.as_posix()}
    assert after == before


def test_people_get_lines(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --json there is a line a check, and at the end whether all is well; a broken thing ends with 1."""
    assert main(["doctor"]) == 0
    assert "Healthy: " in capsys.readouterr().out
    (tree / ".dvc/tmp/rwlock").write_text("")
    assert main(["doctor"]) == 1
    said = capsys.readouterr()
    assert "BROKEN  dvc rwlock" in said.out
    assert "-> `python -m fcn mend` removes it" in said.out
    assert "checks found something broken: dvc rwlock" in said.err


def test_a_missing_result(tree: Path, doctor: Doctor) -> None:
    """A result that was deleted is broken and named, and after what doctor says to do all is well."""
    (tree / "data/sample/report/report.md").unlink()
    code, found = doctor()
    assert code == 1
    assert broken(found) == {"results"}
    assert "data/sample/report" in found["results"]["said"]
    assert found["results"]["do"].startswith("`dvc repro --single-item report`")
    subprocess.run([*healthy.DVC, "repro", "-q", "--single-item", "report"], cwd=tree, check=True)
    assert doctor()[0] == 0


def test_a_missing_cache_file(tree: Path, doctor: Doctor) -> None:
    """A result whose copy in DVC's cache is gone is broken: nobody could restore or push it."""
    files = [path for path in (tree / ".dvc/cache").rglob("*") if path.is_file() and path.suffix != ".dir"]
    shown = [path for path in files if b"Scores of all runs" in path.read_bytes()]
    assert shown
    shown[0].unlink()
    code, found = doctor()
    assert (code, broken(found)) == (1, {"results"})
    assert re.search(r"^not in DVC's cache .*: data/sample/report$", found["results"]["said"])


def test_stale_stages_are_a_warning(tree: Path, doctor: Doctor) -> None:
    """A changed command makes its stage stale: no damage, and `dvc repro` is what to do."""
    healthy.edit(tree / "dvc.yaml", "fcn report", "fcn report --params params.yaml")
    code, found = doctor()
    assert (code, found["graph"]["state"]) == (0, "warning")
    assert "report" in found["graph"]["said"]
    assert "dvc repro" in found["graph"]["do"]


def test_entries_of_stages_that_are_gone(tree: Path, doctor: Doctor) -> None:
    """What dvc.lock has of stages that dvc.yaml hasn't any more is named, and --mend takes out that alone, once."""
    lock = tree / "dvc.lock"
    before = lock.read_text(encoding="utf-8")
    stage = next(part for part in re.split(r"(?m)^(?=  \S)", before) if part.startswith("  report:"))
    gone = stage.replace("  report:", "  train@voc-of-nobody:", 1)
    lock.write_text(before.replace(stage, gone + stage), encoding="utf-8")
    code, found = doctor()
    assert (code, found["dvc.lock"]["state"]) == (0, "warning")
    assert "train@voc-of-nobody" in found["dvc.lock"]["said"]
    assert "doctor --mend" in found["dvc.lock"]["do"]
    code, found = doctor("--mend")
    assert (code, "dvc.lock" in found, lock.read_text(encoding="utf-8")) == (0, False, before)
    inode = lock.stat().st_ino
    assert doctor("--mend")[0] == 0
    assert lock.stat().st_ino == inode


def test_mending_waits_for_a_dvc(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """While a dvc is at work nothing is taken out of dvc.lock, and who asked is told so."""
    lock = tree / "dvc.lock"
    text = lock.read_text(encoding="utf-8") + "  train@voc-of-nobody:\n    cmd: x\n"
    lock.write_text(text, encoding="utf-8")
    with (tree / ".dvc/tmp/lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert main(["doctor", "--mend"]) == 1
    assert "a dvc is at work here" in capsys.readouterr().err
    assert lock.read_text(encoding="utf-8") == text


def test_a_tree_without_anything(tmp_path: Path, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder with nothing but params.yaml doctor still says what it misses; params.yaml itself must be right."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    code, found = doctor()
    assert code == 1
    assert {"versions", "graph"} <= broken(found)
    (tmp_path / "params.yaml").write_text("profile: [")
    assert main(["doctor"]) == 2
