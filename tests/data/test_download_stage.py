"""The archives stage downloading, as people call it: the project's own code with a local server as the mirror."""

import contextlib
import dataclasses
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

from fcn.paper import downloads
from fcn.paper.downloads import DOWNLOADS, Download
from tests import forked
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
    datasets = {"voc2012": {"format": "voc", "from": "data/tiny/archives/voc2012"}}
    lists = {"val": {"dataset": "voc2012", "list": "val", "expect": 3}}
    tiny.params(folder, archives={"voc2012": {"kind": "download"}}, datasets=datasets, lists=lists)
    return folder


def pin(
    project: Path, archive: bytes, *mirrors: Mirror, known: bool = True, name: str = "voc2012", file: str = "voc.tar"
) -> None:
    """Write other facts into the project's file of facts: these mirrors and, if `known`, its size and hash."""
    facts = project / "fcn" / "paper" / "downloads.toml"
    head, _, rest = facts.read_text(encoding="utf-8").partition(f"[{name}]")
    _, _, rest = rest.partition("\n[")
    urls = [each.url for each in mirrors]
    pinned = f'file = "{file}"\nsource = "a test"\nurls = {urls!r}\n'
    if known:
        pinned += f'bytes = {len(archive)}\nmd5 = "{hashlib.md5(archive).hexdigest()}"\n'
    facts.write_text(f"{head}[{name}]\n{pinned}\n[{rest}", encoding="utf-8")


def run(project: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    """Run a stage of the copied code."""
    return forked.run(command or COMMAND[3:], project, os.environ)


def test_a_dataset_may_come_in_several_files(project: Path, tmp_path: Path) -> None:
    """Parts that are fetched into one archives folder, archives or not, are one dataset; a damaged one is named."""
    members = tiny.voc()
    named = {name: content for name, content in members.items() if name.endswith(".txt")}
    lists = tiny.pack(tmp_path / "lists.zip", named).read_bytes()
    pictures = tiny.pack(tmp_path / "a.tar", {name: members[name] for name in members.keys() - named}).read_bytes()
    entry = {"kind": "download", "parts": ["voc2012", "voc2011", "sbd"]}
    datasets = {"voc": {"format": "voc", "from": "data/tiny/archives/three"}}
    tiny.params(project, archives={"three": entry}, datasets=datasets)
    with mirror(pictures, serve) as one, mirror(lists, serve) as other, mirror(b"read me", serve) as text:
        pin(project, pictures, one)
        pin(project, lists, other, name="voc2011", file="lists.zip")
        pin(project, b"read me", text, name="sbd", file="readme.txt")
        for command in (["code"], ["archives", "three"], ["datasets", "voc"]):
            done = run(project, *command)
            assert done.returncode == 0, done.stderr
    archives = project / "data/tiny/archives/three"
    assert tiny.tree(archives) == ["lists.zip", "manifest.json", "readme.txt", "voc.tar"]
    assert list(json.loads((archives / "manifest.json").read_text())["beside"]) == ["lists.zip", "readme.txt"]
    assert (project / "data/tiny/lists/voc/val.txt").read_text().split() == tiny.VOC_VAL
    (archives / "voc.tar").write_bytes(pictures[:3000])
    assert "three/voc.tar: damaged or cut off" in run(project, "datasets", "voc").stderr


def test_a_download_goes_all_the_way(project: Path, archive: bytes) -> None:
    """A download that is interrupted and goes on becomes an archive, a dataset and lists; progress is shown."""
    with mirror(archive, drop(HALF), serve) as moody:
        pin(project, archive, moody)
        done = run(project)
    assert done.returncode == 0, done.stderr
    assert "voc.tar: 1.09 MB of 1.09 MB" in done.stderr
    folder = project / "data" / "tiny" / "archives" / "voc2012"
    assert (folder / "voc.tar").read_bytes() == archive
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["content"] == {"bytes": len(archive), "sha256": hashlib.sha256(archive).hexdigest()}
    (kept,) = (project / ".resume" / "downloads").iterdir()
    assert kept.samefile(folder / "voc.tar")
    for command in (["datasets", "voc2012"], ["splits"]):
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
    assert "give its path as `from` in params.yaml" in message
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


def test_what_is_there_is_not_fetched_again(project: Path, archive: bytes) -> None:
    """A right archive is used again without a request, at its place or where DVC emptied that; a wrong one isn't."""
    place = project / "data" / "tiny" / "archives" / "voc2012" / "voc.tar"
    kept = project / ".resume" / "downloads" / "voc.tar"
    with mirror(archive) as good, mirror(archive) as other:
        pin(project, archive, good)
        assert run(project).returncode == 0
        pin(project, archive, other)
        kept.unlink()
        assert run(project).returncode == 0
        assert not kept.exists()
        kept.hardlink_to(place)
        shutil.rmtree(place.parent)
        assert run(project).returncode == 0
        assert (len(good.ranges), len(other.ranges)) == (1, 0)
        assert place.read_bytes() == archive
        for path in (place, kept):
            path.unlink()
            path.write_bytes(archive[:-1] + b"?")
        assert run(project).returncode == 0
        assert (len(good.ranges), len(other.ranges)) == (1, 1)
        assert place.read_bytes() == archive


def test_a_file_got_by_other_means_is_taken(project: Path, archive: bytes) -> None:
    """The pinned file, laid into .resume/downloads by hand, becomes the archive without a request."""
    (project / ".resume" / "downloads").mkdir(parents=True)
    (project / ".resume" / "downloads" / "voc.tar").write_bytes(archive)
    with mirror(archive, status(404)) as closed:
        pin(project, archive, closed)
        done = run(project)
        assert done.returncode == 0, done.stderr
        assert closed.ranges == []
    assert (project / "data" / "tiny" / "archives" / "voc2012" / "voc.tar").read_bytes() == archive


def test_without_a_known_hash_the_first_download_is_held_to(project: Path, archive: bytes) -> None:
    """The hash of the first download is written down beside params.yaml, and another file is refused from then on."""
    note = project / "downloads" / "voc2012.sha256"
    place = project / "data" / "tiny" / "archives" / "voc2012" / "voc.tar"
    with mirror(archive) as first, mirror(archive[:-1] + b"?") as changed:
        pin(project, archive, first, known=False)
        assert run(project).returncode == 0
        assert note.read_text(encoding="utf-8") == f"{hashlib.sha256(archive).hexdigest()}  voc.tar\n"
        pin(project, archive, changed, known=False)
        assert run(project).returncode == 0
        assert changed.ranges == []
        shutil.rmtree(project / ".resume")
        place.unlink()
        done = run(project)
        assert done.returncode == 1
        assert f"instead of {note.read_text(encoding='utf-8').split()[0]}" in done.stderr
        assert "is that of its first download, in downloads/voc2012.sha256" in done.stderr
        pin(project, archive, changed, first, known=False)
        assert run(project).returncode == 0
        assert place.read_bytes() == archive


def test_a_pin_has_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an archive depends on is its file's name, size and hashes: another address or description isn't in it."""
    facts = Download(file="a.tar", urls=("https://one/a.tar",), source="one", bytes=3, md5="0" * 32)
    moved = dataclasses.replace(facts, urls=("https://two/a.tar",), source="two")
    other = dataclasses.replace(facts, md5="1" * 32)
    for name, entry in (("a", facts), ("moved", moved), ("other", other)):
        monkeypatch.setitem(DOWNLOADS, name, entry)
    assert downloads.pin("a") == downloads.pin("moved") == {"file": "a.tar", "bytes": 3, "md5": "0" * 32}
    assert downloads.pin("other") != downloads.pin("a")
