"""Taking an archive apart: only regular, wanted files, and none outside of the folder."""

import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from fcn.datasets import room, tree
from fcn.errors import InputError

_SUFFIXES = (".tar", ".tgz", ".tar.gz", ".zip")
_BLOCK = 512  # bytes: a tar is made of such blocks, and ends with one of zeros
_DAMAGE = (tarfile.TarError, EOFError, OSError, ValueError, OverflowError, zlib.error, lzma.LZMAError)
_ZIP_DAMAGE = (*_DAMAGE, zipfile.BadZipFile, RuntimeError)  # the last of what it can't decode or decipher
_MORE = 0xFFFF  # what a zip of more members has as their number, or the lowest 16 bits of it
_MOST_UNPACKED = 1032  # times its size can a zip be, by how deflate writes repetitions
_ADVICE = "fetch it again"
_LEADS_OUT = "leads out of the folder that it is extracted to"


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """A regular file of an archive: its name without a leading ./, its size in bytes when unpacked, and its content."""

    archive: Path
    name: str
    size: int
    open: Callable[[], IO[bytes] | None]


def is_one(path: Path) -> bool:
    """Whether a file is called as an archive is."""
    return path.name.endswith(_SUFFIXES)


def extract(archives: Sequence[Path], folder: Path, *, wanted: Callable[[list[str]], list[str]]) -> None:
    """Write the wanted files of zips, and of tars, plain or compressed, below `folder`, under their names in these.

    `wanted` is given the names of all regular files, and returns those to write.
    Raises InputError for a file that is no whole archive, for a member whose path or link leaves the folder, and
    for a wanted name that occurs twice; StageFailure where the disk has no room.
    """
    called = " and ".join(map(str, archives))
    with ExitStack() as stack:
        members: list[_File] = []
        for archive in archives:
            opened = _zip_files(archive) if _is_zip(archive) else _tar_files(archive, folder)
            members += stack.enter_context(opened)
        files: dict[str, list[_File]] = {}
        for member in members:
            files.setdefault(member.name, []).append(member)
        try:
            names = set(wanted(list(files)))
            tree.check_names(sorted(names))
        except InputError as error:
            raise InputError(f"{called}: {error}") from None
        chosen = [member for member in members if member.name in names]
        for member in chosen:
            if len(files[member.name]) > 1:
                raise InputError(f"{called}: {member.name} is in it {len(files[member.name])} times; {_ADVICE}")
        room.check(
            folder,
            sum(member.size for member in chosen),
            what=f"the files of {' and '.join(archive.name for archive in archives)}",
        )
        for member in chosen:
            _write(member, folder / member.name)


def _is_zip(archive: Path) -> bool:
    try:
        with archive.open("rb") as file:
            return file.read(4) == b"PK\3\4"
    except FileNotFoundError:
        raise InputError(f"{archive}: no such file") from None


@contextmanager
def _zip_files(archive: Path) -> Iterator[list[_File]]:
    """The files of a zip in the order in which they lie in it."""
    try:
        opened = zipfile.ZipFile(archive)
    except _ZIP_DAMAGE as error:
        raise _damaged(archive, str(error)) from None
    with opened:
        members = sorted(opened.infolist(), key=lambda member: member.header_offset)
        if (count := _listed(archive, len(opened.comment))) not in (len(members) & _MORE, _MORE):
            raise _damaged(archive, f"it lists {len(members)} of its {count} members")
        if (unpacked := sum(member.file_size for member in members)) > _MOST_UNPACKED * archive.stat().st_size:
            raise _damaged(archive, f"its members would be {unpacked:,} bytes")
        for member in members:
            _check_path(member.filename, archive)
        yield [
            _File(
                archive=archive,
                name=_name(member.filename),
                size=member.file_size,
                open=partial(opened.open, member),
            )
            for member in members
            if not member.filename.endswith("/")
        ]


def _listed(archive: Path, comment: int) -> int:
    """The number of members that a zip says it has in its last 22 bytes and a comment, which zipfile passes over."""
    with archive.open("rb") as file:
        file.seek(10 - 22 - comment, os.SEEK_END)
        return int.from_bytes(file.read(2), "little")


@contextmanager
def _tar_files(archive: Path, folder: Path) -> Iterator[list[_File]]:
    """The files of a tar in the order in which they lie in it."""
    with _opened(archive) as tar:
        members = _members(tar, archive)
        for member in members:
            _check_inside(member, folder, archive)
        yield [
            _File(
                archive=archive,
                name=_name(member.name),
                size=member.size,
                open=partial(tar.extractfile, member),
            )
            for member in members
            if member.isreg()
        ]


def _opened(archive: Path) -> tarfile.TarFile:
    try:
        return tarfile.open(archive)
    except _DAMAGE:
        size = archive.stat().st_size
        raise InputError(
            f"{archive}: not a tar archive, or cut off at its beginning ({size:,} bytes); a .tar, .tgz, .tar.gz or "
            f".zip is needed: {_ADVICE}, or unpack what it is, and give the folder"
        ) from None


def _members(tar: tarfile.TarFile, archive: Path) -> list[tarfile.TarInfo]:
    """All members; tarfile alone would take a damaged header for the end."""
    assert tar.fileobj is not None
    try:
        members = tar.getmembers()
        tar.fileobj.seek(tar.offset)
        end = tar.fileobj.read(_BLOCK)
        while tar.fileobj.read(1 << 20):  # to the very end, where a compressed stream has its checksum
            pass
    except _DAMAGE as error:
        raise _damaged(archive, str(error)) from None
    # Some writers leave the last block of zeros out. An archive that is cut exactly between two files looks the
    # same; what it lacks is then found by the datasets' own lists.
    if end not in (b"", bytes(_BLOCK)):
        raise _damaged(archive, f"after {len(members)} members comes no header")
    return members


def _check_inside(member: tarfile.TarInfo, folder: Path, archive: Path) -> None:
    link = f" -> {member.linkname}" if member.issym() or member.islnk() else ""
    try:
        tarfile.data_filter(member, str(folder))
    except tarfile.SpecialFileError:
        raise _hostile(archive, f"{member.name}{link} is a device or a pipe") from None
    except tarfile.FilterError:
        raise _hostile(archive, f"{member.name}{link} {_LEADS_OUT}") from None
    _check_path(member.name, archive)


def _check_path(name: str, archive: Path) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise _hostile(archive, f"{name} {_LEADS_OUT}")


def _name(name: str) -> str:
    return PurePosixPath(name).as_posix()  # without a leading ./


def _write(member: _File, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch(exist_ok=False)
    except (FileExistsError, NotADirectoryError):
        raise InputError(f"{member.archive}: {member.name} lies where another of its files is; {_ADVICE}") from None
    with target.open("wb") as out:
        for chunk in _chunks(member):
            out.write(chunk)


def _chunks(member: _File) -> Iterator[bytes]:
    """A member's content. Apart from the writing, so that a full disk isn't taken for a damaged archive."""
    try:
        source = member.open()
        assert source is not None
        while chunk := source.read(1 << 20):
            yield chunk
    except _ZIP_DAMAGE as error:
        raise _damaged(member.archive, f"{member.name}: {error}") from None


def _damaged(archive: Path, how: str) -> InputError:
    return InputError(f"{archive}: damaged or cut off ({how}); {_ADVICE}")


def _hostile(archive: Path, what: str) -> InputError:
    return InputError(
        f"{archive}: its member {what}; nothing was extracted: no original archive has such a member, so get it from "
        "its authors"
    )
