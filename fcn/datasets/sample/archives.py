"""The sample's archives: generated scenes in the file formats of PASCAL VOC 2012 and SBD."""

import gzip
import io
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import scipy.io
import scipy.sparse
from numpy.typing import NDArray
from PIL import Image

from fcn.datasets.labels import VOID, palette
from fcn.datasets.sample.scenes import KINDS, Scene, edges, scene
from fcn.entries import Scenes
from fcn.errors import InputError
from fcn.files import whole_file

_VOC = "VOCdevkit/VOC2012"
_SBD = "benchmark_RELEASE/dataset"
_JPEG_QUALITY = 92
# scipy writes the time of day into a .mat file's first 116 bytes; any text of that length is valid there.
_MAT_HEADER = b"MATLAB 5.0 MAT-file, Platform: FCN sample, Created on: Thu Jan  1 00:00:00 1970".ljust(116)


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """Which scene is in which list, by scene number, overlapping as the real lists do."""

    sbd_train: range
    sbd_val: range
    voc_train: range
    voc_val: range


def roster(scenes: Scenes) -> Roster:
    """Deal out the scenes: first what only SBD has, then VOC train, then VOC val, of which `leaked` are SBD train.

    So SBD train holds all of VOC train and a part of VOC val, and SBD val is the rest of VOC val.
    Raises InputError where the counts can't overlap in this way.
    """
    shared = scenes.voc_train + scenes.leaked
    if scenes.sbd_train < shared:
        raise InputError(
            f"scenes: sbd_train is {scenes.sbd_train}, but it holds the {scenes.voc_train} scenes of voc_train and the "
            f"{scenes.leaked} leaked ones; make it {shared} or more"
        )
    if scenes.leaked >= scenes.voc_val:
        raise InputError(
            f"scenes: leaked is {scenes.leaked} of {scenes.voc_val} voc_val scenes, which leaves none to score on; "
            "make it less than voc_val"
        )
    first_train = scenes.sbd_train - shared
    first_val = first_train + scenes.voc_train
    end = first_val + scenes.voc_val
    return Roster(
        sbd_train=range(scenes.sbd_train),
        sbd_val=range(scenes.sbd_train, end),
        voc_train=range(first_train, first_val),
        voc_val=range(first_val, end),
    )


def image_id(index: int) -> str:
    """The name of scene `index` in both archives, such as 2008_000123."""
    return f"2008_{index:06d}"


def write_voc_archive(path: Path, *, seed: int, scenes: Scenes) -> None:
    """Write VOCtrainval_11-May-2012.tar of the sample: the same bytes for the same arguments."""
    lists = roster(scenes)
    with (
        whole_file(path) as part,
        part.open("wb") as file,
        tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        _write_members(tar, _voc_members(lists, seed=seed))


def write_sbd_archive(path: Path, *, seed: int, scenes: Scenes) -> None:
    """Write benchmark.tgz of the sample: the same bytes for the same arguments."""
    lists = roster(scenes)
    with (
        whole_file(path) as part,
        part.open("wb") as file,
        gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0, compresslevel=1) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        _write_members(tar, _sbd_members(lists, seed=seed))


_Members = Iterator[tuple[str, bytes]]


def _voc_members(lists: Roster, *, seed: int) -> _Members:
    """Names and contents, in the archive's order."""
    named = {"train": lists.voc_train, "val": lists.voc_val, "trainval": [*lists.voc_train, *lists.voc_val]}
    for name, indices in named.items():
        yield f"{_VOC}/ImageSets/Segmentation/{name}.txt", _lines(indices)
    for index in named["trainval"]:
        drawn, name = scene(seed, index), image_id(index)
        yield f"{_VOC}/JPEGImages/{name}.jpg", _jpeg(drawn.image)
        yield f"{_VOC}/SegmentationClass/{name}.png", _png(drawn.label)
        objects = np.where(drawn.label == VOID, drawn.label, drawn.instances)
        yield f"{_VOC}/SegmentationObject/{name}.png", _png(objects)


def _sbd_members(lists: Roster, *, seed: int) -> _Members:
    """Names and contents, in the archive's order."""
    for name, indices in (("train", lists.sbd_train), ("val", lists.sbd_val)):
        yield f"{_SBD}/{name}.txt", _lines(indices)
    for index in (*lists.sbd_train, *lists.sbd_val):
        drawn, name = scene(seed, index), image_id(index)
        yield f"{_SBD}/img/{name}.jpg", _jpeg(drawn.image)
        yield f"{_SBD}/cls/{name}.mat", _mat(drawn)


def _lines(indices: Iterable[int]) -> bytes:
    return "".join(f"{image_id(index)}\n" for index in indices).encode()


def _jpeg(image: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=_JPEG_QUALITY)
    return file.getvalue()


def _png(label: NDArray[np.uint8]) -> bytes:
    """A palette PNG in VOC's colours: its pixels are indices."""
    file = io.BytesIO()
    image = Image.fromarray(label)
    image.putpalette(palette().tobytes())
    image.save(file, "PNG")
    return file.getvalue()


def _mat(drawn: Scene) -> bytes:
    """SBD's struct GTcls: the class mask, the boundary of each of the 20 classes, and the classes that occur."""
    boundaries = np.empty((KINDS, 1), object)
    for kind in range(KINDS):
        inside = drawn.mask == kind + 1
        boundaries[kind, 0] = scipy.sparse.csc_array(edges(inside.view(np.uint8)) & inside)
    classes = {
        "Boundaries": boundaries,
        "Segmentation": drawn.mask,
        "CategoriesPresent": np.setdiff1d(drawn.mask, [0])[None],
    }
    file: Any = io.BytesIO()  # scipy takes open files, its stubs only know names
    scipy.io.savemat(file, {"GTcls": classes}, do_compression=True)
    content: bytes = file.getvalue()
    return _MAT_HEADER + content[len(_MAT_HEADER) :]


def _write_members(tar: tarfile.TarFile, members: _Members) -> None:
    """Add files, each folder before its first file. TarInfo leaves times, owners and groups at zero."""
    folders: set[str] = set()
    for name, content in members:
        for folder in reversed(PurePosixPath(name).parents[:-1]):
            if str(folder) not in folders:
                folders.add(str(folder))
                info = tarfile.TarInfo(str(folder))
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(info)
        info = tarfile.TarInfo(name)
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
