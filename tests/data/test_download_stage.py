"""The archives stage downloading, as people call it: the project's own code with a local server as the mirror."""

import contextlib
import hashlib
import json
import os
import pty
import random
import shutil
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from tests.data import tiny
from tests.data.mirror import Mirror, drop, flip, mirror, serve, stall, status

COMMAND = [sys.executable, "-m", "fcn", "archives", "voc2012"]
HALF = 16384


@pytest.fixture
def archive(tmp_path: Path) -> bytes:
    """A tiny VOC archive, padded so that it doesn't fit into one packet."""
    return tiny.pack(tmp_path / "made.tar", {**tiny.voc(), "README": random.Random(0).randbytes(1 << 20)}).read_bytes()


@pytest.fixture
def project(tmp_path: Path, repository: Path) -> Path:
    """A copy of the code, with a params.yaml that downloads VOC 2012."""
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copytree(repository / "fcn", folder / "fcn", ignore=shutil.ignore_patterns("__pycache__"))
    source = {"dataset": "voc", "kind": "download", "from": "fcn/paper/downloads.py"}
    lists = {"val": {"source": "voc2012", "list": "val", "expect": 3}}
    tiny.params(folder, sources={"voc2012": source}, lists=lists)
    return folder


def pin(project: Path, archive: bytes, *mirrors: Mirror) -> None:
    """Write other facts into the project's file of facts: these mirrors, and this archive's size and hash."""
    facts = project / "fcn" / "paper" / "downloads.py"
    urls = tuple(each.url for each in mirrors)
    with facts.open("a", encoding="utf-8") as file:
        file.write(
            f'DOWNLOADS["voc2012"] = Download(file="voc.tar", urls={urls!r}, source="a test", '
            f'bytes={len(archive)}, md5="{hashlib.md5(archive).hexdigest()}")\n'
        )


def run(project: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    """Run a stage of the copied code."""
    words = [sys.executable, "-m", "fcn", *command] if command else COMMAND
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(words, cwd=project, env=environment, capture_output=True, text=True, check=False)


def test_a_download_goes_all_the_way(project: Path, archive: bytes) -> None:
    """A download that is interrupted and goes on becomes an archive, labels and lists; progress is shown."""
    with mirror(archive, drop(HALF), serve) as moody:
        pin(project, archive, moody)
        done = run(project)
    assert done.returncode == 0, done.stderr
    assert "voc.tar: 1.09 MB of 1.09 MB" in done.stderr
    folder = project / "data" / "tiny" / "archives" / "voc2012"
    assert (folder / "voc.tar").read_bytes() == archive
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["content"] == {"bytes": len(archive), "sha256": hashlib.sha256(archive).hexdigest()}
    assert list((project / ".resume" / "downloads").iterdir()) == []
    for command in (["raw", "voc2012"], ["labels", "voc2012"], ["splits"]):
        done = run(project, *command)
        assert done.returncode == 0, done.stderr
    assert (project / "data" / "tiny" / "splits" / "val.txt").read_text().split() == tiny.VOC_VAL


def test_a_terminal_shows_a_bar(project: Path, archive: bytes) -> None:
    """On a terminal a download is shown as a bar that ends at 100 %."""
    ours, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 80))
    with mirror(archive) as good:
        pin(project, archive, good)
        code = subprocess.run(COMMAND, cwd=project, stderr=terminal, check=False).returncode
    os.close(terminal)
    shown = ""
    with contextlib.suppress(OSError):  # how a terminal ends that nobody writes to any more
        while piece := os.read(ours, 1 << 16):
            shown += piece.decode()
    os.close(ours)
    assert code == 0, shown
    assert "voc.tar: 100%" in shown
    assert "1.09M/1.09M" in shown


def test_a_wrong_hash_everywhere_ends_the_stage(project: Path, archive: bytes) -> None:
    """Where every mirror has something else, each is named with its fault, the exit code is 1, and nothing is left."""
    with mirror(archive, flip(1000)) as spoilt, mirror(archive, status(403)) as closed:
        pin(project, archive, spoilt, closed)
        done = run(project)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    message = done.stderr.splitlines()[-1]
    assert message.startswith("error: voc.tar could not be downloaded. ")
    assert f"{spoilt.url}: wrong content, md5 " in message
    assert f"{closed.url}: answered 403 Forbidden" in message
    assert "`kind: local, from: PATH`" in message
    assert tiny.tree(project / "data") == []
    assert tiny.tree(project / ".resume") == []


def test_a_killed_stage_goes_on(project: Path, archive: bytes) -> None:
    """After kill -9 in the middle there is no archive, and the same command asks only for what is missing."""
    part = project / ".resume" / "downloads" / "voc.tar.part"
    with mirror(archive, stall(40 * HALF), serve) as moody:
        pin(project, archive, moody)
        stage = subprocess.Popen(COMMAND, cwd=project, stderr=subprocess.DEVNULL)
        while not part.exists() or part.stat().st_size < 40 * HALF:
            assert stage.poll() is None
            time.sleep(0.01)
        stage.kill()
        stage.wait()
        assert not (project / "data" / "tiny" / "archives" / "voc2012").exists()
        done = run(project)
        assert done.returncode == 0, done.stderr
        assert moody.ranges == [None, f"bytes={40 * HALF}-"]
    assert (project / "data" / "tiny" / "archives" / "voc2012" / "voc.tar").read_bytes() == archive


def test_another_name_for_the_file_is_refused(project: Path) -> None:
    """A params.yaml that calls a pinned file by another name is told so, before anything is fetched."""
    source = {"dataset": "voc", "kind": "download", "from": "fcn/paper/downloads.py", "archive": "other.tar"}
    tiny.params(project, sources={"voc2012": source})
    done = run(project)
    assert done.returncode == 2
    assert "'other.tar', but what is downloaded is 'VOCtrainval_11-May-2012.tar'" in done.stderr
