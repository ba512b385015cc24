"""A disk that becomes full in the middle of a dataset, for real: a small one of its own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.data import tiny


def on_a_small_disk(
    command: Sequence[str], *, project: Path, repository: Path, size: str
) -> tuple[int, str, list[str]]:
    """Run a stage with data/ on a disk of its own; exit code, errors, and what the disk holds afterwards."""
    script = (
        f'mkdir -p "$1" && mount -t tmpfs -o size={size} tmpfs "$1" && cp -r kept/. "$1" || exit 99\n'
        'data="$1"; shift; "$@"; code=$?; find "$data" -type f -printf "%P\\n"; exit $code'
    )
    done = subprocess.run(
        [
            "unshare",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            script,
            "sh",
            "data",
            sys.executable,
            "-m",
            "fcn",
            *command,
        ],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 99 or "unshare" in done.stderr:
        pytest.skip(f"can't make a small disk here: {done.stderr.strip()}")
    return done.returncode, done.stderr, sorted(done.stdout.split())


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare, of util-linux, to make a small disk")
@pytest.mark.parametrize(
    ("size", "words"),
    [
        pytest.param("200k", "no room for the files of sbd.tgz: ", id="too small by the archive's own count"),
        pytest.param("900k", "No space left on device", id="full while extracting: many small files take whole blocks"),
        pytest.param("3300k", "No space left on device", id="full while labels are written"),
    ],
)
def test_a_full_disk_stops_the_stage(tmp_path: Path, repository: Path, size: str, words: str) -> None:
    """A disk too small for the dataset ends the stage with exit code 1, and the disk holds what it held before."""
    train = [f"2009_{number:06d}" for number in range(300)]
    tiny.pack(tmp_path / "sbd.tgz", tiny.sbd(train=train))
    tiny.params(tmp_path, datasets={"sbd-tiny": {"format": "sbd", "from": "sbd.tgz"}})
    (tmp_path / "kept" / "tiny").mkdir(parents=True)
    (tmp_path / "kept" / "tiny" / "old").write_text("old")
    code, errors, found = on_a_small_disk(["datasets", "sbd-tiny"], project=tmp_path, repository=repository, size=size)
    assert code == 1, errors
    assert words in errors
    assert "Traceback" not in errors
    assert found == ["tiny/old"]
