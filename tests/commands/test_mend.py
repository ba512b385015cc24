"""mend: what is cut short of DVC's own files is put right, what is whole or in use is left as it is."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fcn.cli import main
from fcn.commands.mend import REPOSITORY, RWLOCK, is_torn, mend
from fcn.files import exclusive
from tests.conftest import ROOT
from tests.training import tiny

WHOLE = b"schema: '2.0'\nstages:\n  code:\n    cmd: python -m fcn code\n    outs:\n    - path: code\n      md5: abc\n"
CUT = WHOLE[:-6]
GIT = ["git", "-c", "user.name=test", "-c", "user.email=test@example.org"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a git repository in which a DVC has worked, with a committed dvc.lock."""
    (tmp_path / REPOSITORY.parent).mkdir(parents=True)
    (tmp_path / "dvc.lock").write_bytes(WHOLE)
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "whole"]):
        subprocess.run([*GIT, *command], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_beginning_is_no_lock() -> None:
    """A dvc.lock is whole; its beginnings are not, unless they end with a line, as one in forty does by chance."""
    lock = (ROOT / "dvc.lock").read_bytes()
    assert not is_torn(lock)
    assert not is_torn(b"schema: '2.0'\nstages: {}\n")
    cuts = [lock[:length] for length in (*range(40), *range(40, len(lock), 4099))]
    assert all(is_torn(cut) for cut in cuts if not cut.endswith(b"\n"))
    assert all(map(is_torn, (b"", b"schema: '2.0'\n", b"schema: '2.0'\nstages:\n", b"a: 'b\n")))


@pytest.mark.parametrize("left", [b"", CUT, b"schema: '2.0'\nstages:\n  code:\n", WHOLE.partition(b"    - path")[0]])
def test_a_torn_lock(project: Path, left: bytes) -> None:
    """It becomes the committed one; where none was committed, as of a profile of one's own, it goes: DVC can start."""
    (project / "profiles/own").mkdir(parents=True)
    for lock in ("dvc.lock", "profiles/own/dvc.lock"):
        (project / lock).write_bytes(left)
    said = list(mend())
    assert [line.partition(":")[0] for line in said] == [
        "dvc.lock was cut short, by a kill or a full disk",
        "profiles/own/dvc.lock was cut short, by a kill or a full disk",
    ]
    assert (project / "dvc.lock").read_bytes() == WHOLE
    assert not (project / "profiles/own/dvc.lock").exists()


def test_what_is_whole_or_in_use_stays(project: Path) -> None:
    """A whole lock, newer than the committed one, is left; so is one with the marks of a merge; so is any under DVC."""
    newer = WHOLE.replace(b"abc", b"abd")
    for content in (newer, b"<<<<<<< ours\n" + CUT):
        (project / "dvc.lock").write_bytes(content)
        assert list(mend()) == []
        assert (project / "dvc.lock").read_bytes() == content
    (project / "dvc.lock").write_bytes(CUT)
    with exclusive(REPOSITORY):
        assert list(mend()) == []
    assert (project / "dvc.lock").read_bytes() == CUT


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a checkout away")
def test_a_checkout_of_another_owner(project: Path) -> None:
    """Where git refuses to read because the checkout is somebody else's, the committed lock still comes back."""
    (project / "dvc.lock").write_bytes(CUT)
    for path in (project, project / ".git"):
        os.chown(path, 12345, 12345)
    assert subprocess.run(["git", "status"], cwd=project, capture_output=True, check=False).returncode != 0
    assert len(list(mend())) == 1
    assert (project / "dvc.lock").read_bytes() == WHOLE


@pytest.mark.parametrize("left", ["", '{"write": {"/a": {"pi', "[]", '{"write": {"/a": {"cmd": "dvc"}}}', "a process"])
def test_a_torn_rwlock(project: Path, left: str) -> None:
    """One that is no such JSON goes, and one of a process whose number another has by now; a DVC's own stays."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        named = {"write": {"/a": {"pid": other.pid, "cmd": "dvc repro"}}}
        RWLOCK.write_text(json.dumps(named) if left == "a process" else left)
        assert [line.partition(" was ")[0] for line in mend()] == [str(RWLOCK)]
        other.kill()
    assert not RWLOCK.exists()
    with subprocess.Popen([sys.executable, "-c", "input()", "dvc"], stdin=subprocess.PIPE) as dvc:
        RWLOCK.write_text(json.dumps({"write": {"/a": {"pid": dvc.pid, "cmd": "dvc repro"}}}))
        assert list(mend()) == []
        dvc.kill()
    assert RWLOCK.exists()


@pytest.mark.parametrize("name", ["dvc.lock", str(RWLOCK), str(REPOSITORY)])
def test_a_folder_of_its_name(project: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """Where a folder lies in the place of one of DVC's files, a sentence names it and says what to do."""
    tiny.write(project, tiny.params())
    (project / name).unlink(missing_ok=True)
    (project / name).mkdir()
    assert main(["mend"]) != 0
    said = capsys.readouterr().err
    assert name in said
    assert "a file should be there" in said
    assert "move it away" in said


def test_the_command_says_what_it_did(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m fcn mend` says a line for each thing that it mended, and nothing where all is well."""
    tiny.write(project, tiny.params())
    (project / "dvc.lock").write_bytes(CUT)
    assert main(["mend"]) == 0
    assert capsys.readouterr().err.startswith("dvc.lock was cut short")
    assert main(["mend"]) == 0
    assert capsys.readouterr().err == ""
