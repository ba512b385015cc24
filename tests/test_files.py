"""Files and folders are whole or not there, and belong to whom the umask says."""

import os
from pathlib import Path

import pytest

from fcn.errors import InputError
from fcn.files import link_or_copy, read_json, whole_file, whole_folder


@pytest.mark.parametrize(("umask", "folder_mode", "file_mode"), [(0o002, 0o775, 0o664), (0o077, 0o700, 0o600)])
def test_the_umask_holds(tmp_path: Path, umask: int, folder_mode: int, file_mode: int) -> None:
    """A group that shares a clone may replace what one of it made; what is nobody else's business stays so."""
    before = os.umask(umask)
    try:
        with whole_folder(tmp_path / "folder") as part:
            (part / "a").write_text("a")
        with whole_file(tmp_path / "file") as part:
            part.write_text("a")
    finally:
        os.umask(before)
    modes = [path.stat().st_mode & 0o777 for path in (tmp_path / "folder", tmp_path / "folder/a", tmp_path / "file")]
    assert modes == [folder_mode, file_mode, file_mode]


@pytest.mark.parametrize(
    ("content", "found"), [(b'{"a": NaN}', "NaN is no number"), (b"{", "Expecting"), (b"\xff", "utf-8")]
)
def test_what_no_stage_wrote_is_refused(tmp_path: Path, content: bytes, found: str) -> None:
    """A JSON that is cut, or has NaN in it, as a score may that somebody put there, is named, with the way out."""
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError, match=rf"a\.json is not as a stage wrote it \(.*{found}.*\): remove it, and `dvc"):
        read_json(tmp_path / "a.json")


def fail_half_way(folder: Path) -> None:
    """Make a folder whose second file fails."""
    with whole_folder(folder) as part:
        (part / "half").touch()
        raise ZeroDivisionError


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    """Where its making fails, the older one stays, and nothing else; a new one has nothing of the older."""
    folder = tmp_path / "folder"
    with whole_folder(folder) as part:
        (part / "old").touch()
    with pytest.raises(FileNotFoundError), whole_folder(folder) as part:
        (part / "half").rename(part / "nothing")
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "old"]
    with whole_folder(folder) as part:
        (part / "new").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "new"]


def test_a_second_name_or_a_copy(tmp_path: Path) -> None:
    """A file gets a second name; where the disk has none, as in /proc, its content is copied."""
    source = tmp_path / "a"
    source.write_text("a")
    link_or_copy(source, tmp_path / "b")
    assert source.samefile(tmp_path / "b")
    elsewhere = Path("/proc/self/status")
    if not elsewhere.exists():
        pytest.skip("needs a file on another file system")
    link_or_copy(elsewhere, tmp_path / "c")
    assert (tmp_path / "c").read_text().startswith("Name:")
