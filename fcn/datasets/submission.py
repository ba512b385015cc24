"""Results for VOC's test servers, whose labels nobody else has: one archive in the devkit's layout."""

import gzip
import io
import os
import re
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcn.datasets import archive, labels, lists, manifests, modes, tree
from fcn.datasets.formats import voc
from fcn.errors import InputError
from fcn.files import whole_file

_NAMED = 3  # files of a fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """What is asked: the challenge's name, as VOC2012, and its pictures by id, in the list's order."""

    name: str
    pictures: Mapping[str, Path]

    @property
    def folder(self) -> str:
        """Where its results lie in an archive: comp6 is segmentation learned from any data, such as SBD or ImageNet."""
        return f"results/{self.name}/Segmentation/comp6_test_cls/"


def challenge(where: Path, part: Path, *, split: str) -> Challenge:
    """Read off a VOC tree, with masks or without, as the test archives are: an archive, or a folder.

    Of an archive the list `split` and its pictures are unpacked into `part`. Raises InputError where one is missing.
    """
    files = manifests.archive_files(where)
    packed = where.is_file() or files != [where]
    members = _packed(files, part) if packed else _lying(where)
    try:
        root = voc.root(members)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    name, lists_at = PurePosixPath(root).name or where.resolve().name, f"{root}ImageSets/Segmentation/"
    if not re.fullmatch(r"VOC20\d\d", name):
        raise InputError(f"{where}: its tree lies in {name!r}; the servers know a challenge by VOC2011 or VOC2012")
    asked = f"{lists_at}{split}.txt"
    if asked not in members:
        there = tree.by_id(members, lists_at, suffixes=(".txt",))
        raise InputError(f"{where}: it has no list {split!r}; there are {', '.join(sorted(there))}")
    base = part if packed else where
    if packed:
        archive.extract(files, part, wanted=lambda _: [asked])
    ids = lists.read(base / asked)
    found = tree.by_id(members, f"{root}JPEGImages/", suffixes=tree.PICTURES, among=ids)
    if missing := [image_id for image_id in ids if image_id not in found]:
        raise InputError(f"{where}: no picture of {_some(missing)} of its list {split!r}")
    if packed:
        archive.extract(files, part, wanted=lambda _: [*found.values()])
    return Challenge(name=name, pictures={image_id: base / found[image_id] for image_id in ids})


def write(path: Path, answers: Iterable[tuple[str, NDArray[np.uint8]]], *, asked: Challenge) -> None:
    """Write each picture's class indices, H W, as a palette PNG into a .tgz; the same ones give the same bytes."""
    with (
        whole_file(path) as part,
        part.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed,
        tarfile.open(mode="w", fileobj=packed) as tar,
    ):
        for image_id, label in answers:
            image, png = Image.fromarray(label), io.BytesIO()
            image.putpalette(labels.palette().tobytes())
            image.save(png, "PNG")
            member = tarfile.TarInfo(f"{asked.folder}{image_id}.png")
            member.size = png.tell()
            png.seek(0)
            tar.addfile(member, png)


def is_one(path: Path, *, asked: Challenge) -> bool:
    """Whether the file holds nothing but answers to this challenge, right or wrong."""
    try:
        names = _packed([path], path.parent)
    except InputError:
        return False
    return bool(names) and all(name.startswith(asked.folder) for name in names)


def faults(path: Path, part: Path, *, asked: Challenge) -> list[str]:
    """What a server would refuse, or score as wrong, in an archive that is unpacked into `part`: a sentence each."""
    wanted = {f"{asked.folder}{image_id}.png": picture for image_id, picture in asked.pictures.items()}
    there: set[str] = set()

    def known(members: list[str]) -> list[str]:
        there.update(members)
        return [name for name in members if name in wanted]

    try:
        archive.extract([path], part, wanted=known)
    except InputError as error:
        return [str(error)]
    found = []
    if others := sorted(there - wanted.keys()):
        found.append(f"{_some(others)} should not be in it, but {asked.folder}ID.png alone, once for each listed id")
    if missing := [name for name in wanted if name not in there]:
        found.append(f"{len(missing):,} of {len(wanted):,} listed ids have no answer: there is no {_some(missing)}")
    checked = (_fault(part / name, picture, name=name) for name, picture in wanted.items() if name in there)
    return [*found, *(fault for fault in checked if fault)]


def _fault(png: Path, picture: Path, *, name: str) -> str | None:
    with modes.opened(picture) as image:
        height, width = modes.size(image)
    try:
        with modes.opened(png, name=name, formats=("PNG",), remedy="write it anew") as image:
            if image.mode != "P":
                return f"{name}: its pixels are of mode {image.mode}, not indices into a palette (mode P)"
            colours, values = image.getpalette() or [], np.asarray(image)
    except InputError as error:
        return str(error)
    if colours != labels.palette().ravel()[: len(colours)].tolist():
        return f"{name}: its palette is not VOC's"
    if values.shape != (height, width):
        return f"{name}: it has {values.shape[1]} x {values.shape[0]} px, and its picture {width} x {height}"
    if values.max() >= len(voc.CLASSES):
        return f"{name}: it has the index {values.max()}; classes are 0..{len(voc.CLASSES) - 1}, and nothing is void"
    return None


def _packed(files: Sequence[Path], part: Path) -> list[str]:
    """The names in archives, of which nothing is unpacked."""
    names: list[str] = []

    def nothing(found: list[str]) -> list[str]:
        names.extend(found)
        return []

    archive.extract(files, part, wanted=nothing)
    return names


def _lying(folder: Path) -> list[str]:
    return [Path(top, name).relative_to(folder).as_posix() for top, _, names in os.walk(folder) for name in names]


def _some(names: Sequence[str]) -> str:
    """The first of them, and how many others."""
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
