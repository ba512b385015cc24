"""Taking an archive apart: only regular, wanted files, and none outside of the folder."""

import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from fcn.datasets import room, tree
from fcn.errors import InputError

_BLOCK = 512  # bytes: a tar is made of such blocks, and ends with one of zeros
_DAMAGE = (tarfile.TarError, EOFError, OSError, ValueError, OverflowError, zlib.error, lzma.LZMAError)
_ADVICE = "fetch it again"


def extract(archive: Path, folder: Path, *, wanted: Callable[[list[str]], list[str]]) -> None:
    """Write the wanted files of a tar, plain or compressed, below `folder`, under their names in the archive.

    `wanted` is given the names of all regular files, and returns those to write.
    Raises InputError for a file that is no whole archive, for a member whose path or link leaves the folder, and
    for a wanted name that occurs twice; StageFailure where the disk has no room.
    """
    with _opened(archive) as tar:
        members = _members(tar, archive)
        files: dict[str, list[tarfile.TarInfo]] = {}
        for member in members:
            _check_inside(member, folder, archive)
            if member.isreg():
                files.setdefault(_name(member), []).append(member)
        try:
            names = wanted(list(files))
            tree.check_names(names)
        except InputError as error:
            raise InputError(f"{archive}: {error}") from None
        for name in names:
            if len(files[name]) > 1:
                raise InputError(f"{archive}: {name} is in it {len(files[name])} times; {_ADVICE}")
        chosen = sorted((files[name][0] for name in names), key=lambda member: member.offset)
        room.check(folder, sum(member.size for member in chosen), what=f"the files of {archive.name}")
        for member in chosen:
            _write(tar, member, folder / _name(member), archive)


def _opened(archive: Path) -> tarfile.TarFile:
    try:
        return tarfile.open(archive)
    except FileNotFoundError:
        raise InputError(f"{archive}: no such file") from None
    except _DAMAGE:
        size = archive.stat().st_size
        raise InputError(
            f"{archive}: not a tar archive, or cut off at its beginning ({size:,} bytes); a .tar, .tgz or .tar.gz is "
            f"needed: {_ADVICE}, or unpack what it is, and give the folder"
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
    path = PurePosixPath(member.name)
    try:
        tarfile.data_filter(member, str(folder))
    except tarfile.SpecialFileError:
        fault = "is a device or a pipe"
    except tarfile.FilterError:
        fault = "leads out of the folder that it is extracted to"
    else:
        if not path.is_absolute() and ".." not in path.parts:
            return
        fault = "leads out of the folder that it is extracted to"
    link = f" -> {member.linkname}" if member.issym() or member.islnk() else ""
    raise InputError(
        f"{archive}: its member {member.name}{link} {fault}; nothing was extracted: no original archive has such a "
        "member, so get it from its authors"
    )


def _name(member: tarfile.TarInfo) -> str:
    return PurePosixPath(member.name).as_posix()  # without a leading ./


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path, archive: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch(exist_ok=False)
    except (FileExistsError, NotADirectoryError):
        raise InputError(f"{archive}: {_name(member)} lies where another of its files is; {_ADVICE}") from None
    with target.open("wb") as out:
        for chunk in _chunks(tar, member, archive):
            out.write(chunk)


def _chunks(tar: tarfile.TarFile, member: tarfile.TarInfo, archive: Path) -> Iterator[bytes]:
    """A member's content. Apart from the writing, so that a full disk isn't taken for a damaged archive."""
    try:
        source = tar.extractfile(member)
        assert source is not None
        while chunk := source.read(1 << 20):
            yield chunk
    except _DAMAGE as error:
        raise _damaged(archive, f"{member.name}: {error}") from None


def _damaged(archive: Path, how: str) -> InputError:
    return InputError(f"{archive}: damaged or cut off ({how}); {_ADVICE}")
