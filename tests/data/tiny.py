"""Tiny archives of the datasets in the true formats, as members that a test may spoil before they are packed."""

import io
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
import yaml
from numpy.typing import NDArray
from PIL import Image

from fcn.datasets import labels
from fcn.datasets.formats.siftflow import SCENES as SCENES
from fcn.datasets.sample import encoded
from fcn.datasets.sample.encoded import lines as lines
from fcn.datasets.sample.standins import siftflow as siftflow_standin

VOC = "VOCdevkit/VOC2012/"
SBD = "benchmark_RELEASE/dataset/"
SIZE = (12, 9)  # width, height

VOC_TRAIN = ["2007_000001", "2007_000002", "2008_000003"]
VOC_VAL = ["2007_000033", "2007_000042", "2008_000004"]  # the first two are published ids of seg11valid
SBD_TRAIN = ["2008_000004", "2009_000005", "2009_000006"]  # the first one is also in VOC val
SBD_VAL = ["2009_000007"]


def label(image_id: str, *, void: bool) -> NDArray[np.uint8]:
    """A label, H W, with two classes that depend on the id, and a void column where asked for."""
    values = np.zeros(SIZE[::-1], np.uint8)
    values[2:6, 3:8] = 1 + sum(image_id.encode()) % 20
    if void:
        values[:, 0] = labels.VOID
    return values


def jpeg(size: tuple[int, int] = SIZE, *, colour: tuple[int, int, int] = (90, 140, 60)) -> bytes:
    """An image."""
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "JPEG")
    return out.getvalue()


def png(values: NDArray[np.uint8]) -> bytes:
    """A label as VOC has it: a palette PNG."""
    return encoded.png(values)


def mat(
    values: NDArray[np.uint8], *, variable: str = "GTcls", field: str = "Segmentation", compressed: bool = True
) -> bytes:
    """A label as SBD has it: a struct in a .mat."""
    struct = {field: values, "CategoriesPresent": np.unique(values[values > 0])}
    return mat_of({variable: struct}, compressed=compressed)


def mat_of(variables: Mapping[str, object], *, compressed: bool = True) -> bytes:
    """A .mat with these variables."""
    out = io.BytesIO()
    file: Any = out  # which scipy can write to, though its stubs know paths only
    scipy.io.savemat(file, dict(variables), do_compression=compressed)
    return b"MATLAB 5.0 MAT-file".ljust(116) + out.getvalue()[116:]  # without the time of day


def voc(train: Sequence[str] = VOC_TRAIN, val: Sequence[str] = VOC_VAL, *, prefix: str = VOC) -> dict[str, bytes]:
    """The members of a VOC archive, with some that are of no use here."""
    members = {
        f"{prefix}ImageSets/Segmentation/train.txt": lines(train),
        f"{prefix}ImageSets/Segmentation/val.txt": lines(val),
        f"{prefix}ImageSets/Segmentation/trainval.txt": lines([*train, *val]),
        f"{prefix}ImageSets/Main/train.txt": lines(["2007_999999"]),
        f"{prefix}Annotations/2007_999999.xml": b"<annotation/>",
        f"{prefix}JPEGImages/2007_999999.jpg": jpeg(),
    }
    for image_id in [*train, *val]:
        members[f"{prefix}JPEGImages/{image_id}.jpg"] = jpeg()
        members[f"{prefix}SegmentationClass/{image_id}.png"] = png(label(image_id, void=True))
        members[f"{prefix}SegmentationObject/{image_id}.png"] = png(label(image_id, void=True))
    return members


def sbd(train: Sequence[str] = SBD_TRAIN, val: Sequence[str] = SBD_VAL, *, prefix: str = SBD) -> dict[str, bytes]:
    """The members of an SBD archive, with some that are of no use here."""
    members = {
        f"{prefix}train.txt": lines(train),
        f"{prefix}val.txt": lines(val),
        "benchmark_RELEASE/README": b"read me",
    }
    for image_id in [*train, *val]:
        members[f"{prefix}img/{image_id}.jpg"] = jpeg()
        members[f"{prefix}cls/{image_id}.mat"] = mat(label(image_id, void=False))
        members[f"{prefix}inst/{image_id}.mat"] = mat(label(image_id, void=False), variable="GTinst")
    return members


def siftflow(
    trainval: Sequence[str] = ("coast_a", "street_b"),
    test: Sequence[str] = ("coast_c", "forest_d"),
    *,
    prefix: str = "",
) -> dict[str, bytes]:
    """The members of SIFT Flow's archive, with some that are of no use here."""
    members = {
        f"{prefix}TestSet1.txt": lines(f"{SCENES}\\{image_id}.jpg" for image_id in test),
        f"{prefix}Images/{SCENES}/highway_bost181.jpg": jpeg(),
        f"{prefix}SemanticLabels/{SCENES}/highway_bost181.mat": scene(np.zeros(SIZE[::-1], np.int16), 33),
    }
    for image_id in [*trainval, *test]:
        members[f"{prefix}Images/{SCENES}/{image_id}.jpg"] = jpeg()
        members[f"{prefix}SemanticLabels/{SCENES}/{image_id}.mat"] = scene(semantic(image_id), 33)
        members[f"{prefix}GeoLabels/{SCENES}/{image_id}.mat"] = scene(geometric(image_id), 3)
    return members


def scene(values: NDArray[np.int16], classes: int) -> bytes:
    """A label as SIFT Flow has it: numbers of 16 bits beside the classes' names."""
    return siftflow_standin.label(values, [f"class {number}" for number in range(1, classes + 1)])


def semantic(image_id: str) -> NDArray[np.int16]:
    """H W: numbers of two of SIFT Flow's 33 classes, and 0, which is none."""
    values = label(image_id, void=False).astype(np.int16)
    values[7:] = 33
    return values


def geometric(image_id: str) -> NDArray[np.int16]:
    """H W: numbers of SIFT Flow's 3 classes of geometry, and -1, which is none."""
    values = np.minimum(semantic(image_id), 1)
    values[:, 9:], values[:, 11:] = (2, 3)
    values[0] = -1
    return values


def context(
    train: Sequence[str] = VOC_TRAIN,
    val: Sequence[str] = VOC_VAL,
    *,
    form: str = "trainval",
    names: bytes,
    prefix: str = "",
) -> dict[str, bytes]:
    """The members of VOC2010's and PASCAL-Context's archives in one, with some that are of no use here.

    `form` is the folder of the labels, `names` what its numbers are called.
    """
    text = {"trainval": "labels.txt", "59_context_labels": "59_labels.txt", "33_context_labels": "33_labels.txt"}[form]
    members = {
        f"{prefix}{text}": names,
        f"{prefix}VOCdevkit/VOC2010/ImageSets/Main/train.txt": lines(train),
        f"{prefix}VOCdevkit/VOC2010/ImageSets/Main/val.txt": lines(val),
        f"{prefix}VOCdevkit/VOC2010/ImageSets/Main/aeroplane_val.txt": b"2007_999999 -1\n",
        f"{prefix}VOCdevkit/VOC2010/ImageSets/Segmentation/train.txt": lines(["2007_999999"]),
        f"{prefix}VOCdevkit/VOC2010/JPEGImages/2007_999999.jpg": jpeg(),
    }
    for image_id in [*train, *val]:
        values = label(image_id, void=False)
        members[f"{prefix}VOCdevkit/VOC2010/JPEGImages/{image_id}.jpg"] = jpeg()
        if form == "trainval":
            members[f"{prefix}{form}/{image_id}.mat"] = mat_of({"LabelMap": values.astype(np.uint16)})
        else:
            members[f"{prefix}{form}/{image_id}.png"] = grey(values)
    return members


def grey(values: NDArray[np.uint8]) -> bytes:
    """A label as a PNG without a palette."""
    out = io.BytesIO()
    Image.fromarray(values).save(out, "PNG")
    return out.getvalue()


def pack(path: Path, members: Mapping[str, bytes], *, extra: Sequence[tarfile.TarInfo] = ()) -> Path:
    """Write members into a .zip, or a .tar, or a .tgz, and after them `extra`, which have no content."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for name, content in members.items():
                file.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
        return path
    with tarfile.open(path, "w:gz" if path.suffix == ".tgz" else "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for info in extra:
            tar.addfile(info)
    return path


def unpack(folder: Path, members: Mapping[str, bytes]) -> Path:
    """Write members as files."""
    for name, content in members.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def params(
    folder: Path,
    *,
    datasets: Mapping[str, object],
    archives: Mapping[str, object] | None = None,
    lists: Mapping[str, object] | None = None,
    disjoint: Sequence[Sequence[str]] = (),
) -> Path:
    """Write a params.yaml with these archives, datasets and lists, and nothing to train."""
    values = {
        "profile": "tiny",
        "root": ".",
        "params": "params.yaml",
        "threads": 1,
        "archives": dict(archives or {}),
        "datasets": dict(datasets),
        "lists": dict(lists or {}),
        "disjoint": [list(pair) for pair in disjoint],
    }
    later = ("backbones", "classifiers", "weights", "nets", "recipes", "runs", "departures")
    nothing: dict[str, object] = {name: {} for name in later}
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump({**values, **nothing}, sort_keys=False), encoding="utf-8")
    return path


def tree(folder: Path) -> list[str]:
    """All files below a folder, sorted, as text."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
