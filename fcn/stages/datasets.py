"""Stage: turn a dataset's archive or folder into pictures, palette PNGs and lists in one layout, and audit all."""

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from fcn.config import Config
from fcn.datasets import archive, audit, convert, formats, manifests, pinned, room, tree
from fcn.datasets.facts import Facts
from fcn.datasets.formats import Format
from fcn.errors import InputError, printable
from fcn.files import whole_folder, write_json
from fcn.paper.downloads import DOWNLOADS
from fcn.stages.places import Places


def run(config: Config, name: str | None) -> None:
    """Write data/<profile>/datasets/<name>, its lists and the metric data/<profile>/audit/<name>.json."""
    if name is None:
        raise InputError(f"which dataset? add its name; known are: {', '.join(config.datasets)}")
    entry, places = config.dataset(name), Places(config)
    reader, targets = formats.reader(entry), formats.targets(entry)
    files = manifests.archive_files(Path(entry.from_))
    if not manifests.is_archives_folder(Path(entry.from_)):
        _check_pin(name, files[0])
    with whole_folder(places.dataset(name)) as part, whole_folder(places.own_lists(name)) as lists:
        source = _opened(files, reader, part)
        try:
            ids = reader.ids(source.folders)
            doubts = convert.write_lists(reader.lists(source.folders), ids=ids, out=lists)
            with tqdm(total=len(ids), desc=f"datasets {name}", disable=None) as bar:
                audited = convert.convert(
                    reader, source.folders, part, targets=targets, place=source.place, step=bar.update
                )
            doubts += audit.judge(dict(zip(ids, audited, strict=True)), targets=targets)
        except InputError as error:
            raise InputError(f"dataset {name!r}: {source.named(str(error))}") from None
        if source.temporary is not None:
            shutil.rmtree(source.temporary)
        facts = Facts(
            format=entry.format,
            generated=manifests.is_generated(Path(entry.from_)),
            inputs=reader.INPUTS,
            targets=targets,
            images=len(audited),
            sha256=convert.digest(part),
        )
        write_json(part / "dataset.json", facts.as_json())
    classes = {target: found.classes for target, found in targets.items()}
    metric = audit.metric(audited, classes=classes)
    write_json(places.audit(name), {**metric, "sha256": facts.sha256})  # for those who only name the data
    for doubt in doubts:
        print(printable(f"datasets {name}: warning: {source.named(doubt)}"), file=sys.stderr)
    print(f"datasets {name}: {len(audited)} pictures, all labels with classes or void alone", file=sys.stderr)


def _check_pin(name: str, origin: Path) -> None:
    """A person's own archive under the name of a pinned one must be that one."""
    facts = DOWNLOADS.get(name)
    if facts is None or not origin.is_file():
        return
    try:
        pinned.check(origin, facts)
    except pinned.WrongContentError as error:
        raise InputError(
            f"{origin}: not the file {facts.file} that dataset {name!r} is: {error}; fetch it again, "
            "or give the dataset a name of its own"
        ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """Folders as a format reads them, and how a picture gets from there into the dataset.

    What was extracted is moved. A person's own files are copied, never linked: DVC makes what it holds read-only.
    """

    origin: Path
    root: str
    folders: dict[str, Path]
    temporary: Path | None
    place: Callable[[Path, Path], object]

    def named(self, message: str) -> str:
        """A message in which an extracted file is called by its place in the archive."""
        if self.temporary is None:
            return message
        return message.replace(f"{self.folders[self.origin.name]}/", f"{self.origin}: {self.root}")


def _opened(files: Sequence[Path], reader: Format, part: Path) -> _Source:
    """What is read: an archive or several, unpacked into one folder, or a folder, or a file, as it is."""
    origin, packed = files[0].parent, [file for file in files if archive.is_one(file)]
    if len(files) == 1:
        origin = files[0]
        packed = [origin] if origin.is_file() and not _is_known(origin, reader) else []
    if packed:
        beside = [file for file in files if file not in packed]
        return _extracted(origin, packed, beside, reader, part / ".members")
    folder = origin if origin.is_dir() else origin.parent
    there = _files(origin) if origin.is_dir() else [origin]
    members = [path.relative_to(folder).as_posix() for path in there]
    try:
        root, wanted = reader.root(members), reader.wanted(members)
        tree.check_names(wanted)
    except InputError as error:
        links = [name for top, names, _ in os.walk(origin) for name in names if Path(top, name).is_symlink()]
        left_out = f"; not followed are links to folders, such as {links[0]}: link the files" if links else ""
        raise InputError(f"{origin}: {error}{left_out}") from None
    size = sum((folder / member).stat().st_size for member in wanted)
    room.check(part, size, what=f"the copy of {origin}")
    folders = {origin.name: folder / root}
    return _Source(origin=origin, root=root, folders=folders, temporary=None, place=shutil.copyfile)


def _is_known(origin: Path, reader: Format) -> bool:
    """Whether the format knows this very file, as one that keeps all pictures in a .mat, and it is no archive."""
    with suppress(InputError):
        return not archive.is_one(origin) and reader.root([origin.name]) == ""
    return False


def _extracted(origin: Path, packed: Sequence[Path], beside: Sequence[Path], reader: Format, folder: Path) -> _Source:
    """The wanted members of archives in one folder, with the files that lie beside them."""
    root = ""

    def wanted(members: list[str]) -> list[str]:
        nonlocal root
        every = [*members, *(file.name for file in beside)]
        root = reader.root(every)
        return reader.wanted(every)

    folder.mkdir()
    archive.extract(packed, folder, wanted=wanted)
    for file in beside:
        shutil.copyfile(file, folder / file.name)
    folders = {origin.name: folder / root}
    return _Source(origin=origin, root=root, folders=folders, temporary=folder, place=Path.replace)


def _files(folder: Path) -> list[Path]:
    """All files of a folder, sorted by path; links are followed to files, not into folders."""
    return sorted(Path(top, name) for top, _, names in os.walk(folder) for name in names if Path(top, name).is_file())
