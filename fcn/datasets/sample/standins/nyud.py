"""NYUDv2's files of the sample: rooms in a version 7.3 .mat, with depth and its holes, a split, and a map of names."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from fcn.datasets.formats.nyud import CAMERA, CLASSES, FILES
from fcn.datasets.sample import encoded
from fcn.datasets.sample.scenes import edges
from fcn.datasets.sample.views import View, view
from fcn.entries import Archive

WORDS = ("train", "val")

_TIMES = 4  # smaller than NYUDv2's pictures, and their camera
_NAMES = 894  # of which the labels have numbers, and 40 classes are made
_STEPS = np.float32(1024)  # of depth in a metre; finer ones would be most of the file, and are rounded where it is read
_HOLE_PX, _HOLES = 6, 0.05  # raw depth lacks squares, so often, and edges

# What things are called among the 40; a wall has its own name.
_CALLED = {
    "low": "bed", "middle": "table", "high": "dresser", "mat": "floor mat",
    "animal": "bag", "chair": "chair", "cycle": "lamp", "boat": "person", "star": "television",
}  # fmt: skip
_MATLAB = {"uint8": "uint8", "uint16": "uint16", "float32": "single", "float64": "double"}
_TEXT = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Thu Jan  1 00:00:00 1970 HDF5 schema 1.00 ."


def write(folder: Path, entry: Archive) -> list[str]:
    """Write the labelled .mat, the split and the map: the first `train` pictures are trainval, the others test."""
    assert entry.train is not None
    assert entry.val is not None
    count = entry.train + entry.val
    drawn = [_picture(entry.seed, index) for index in range(count)]
    stacked = {name: np.stack([picture[name] for picture in drawn], axis=-1) for name in drawn[0]}
    labelled, splits, mapping = FILES
    names = [
        f"{CLASSES[number % len(CLASSES)]} {number // len(CLASSES)}".removesuffix(" 0") for number in range(_NAMES)
    ]
    write_labelled(folder / labelled, stacked, names=names)
    numbers = range(1, count + 1)
    (folder / splits).write_bytes(split(numbers[: entry.train], numbers[entry.train :]))
    (folder / mapping).write_bytes(class_map([1 + number % len(CLASSES) for number in range(_NAMES)]))
    return [*FILES]


def scene(seed: int, index: int) -> View:
    """What picture number `index` shows."""
    return view(seed, index, where="room", camera=CAMERA.shrunk(_TIMES))


def write_labelled(path: Path, variables: Mapping[str, NDArray[Any]], *, names: Sequence[str]) -> None:
    """Write variables in MATLAB's shapes, whose last axis counts pictures, and `names`, as MATLAB's `save -v7.3` does.

    That is HDF5 behind a block of MATLAB's own, with axes backwards, and each name behind a reference.
    """
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in variables.items():
            chunk = (1, *values.shape[-2::-1])
            stored = file.create_dataset(name, data=values.T, chunks=chunk, compression="gzip", compression_opts=1)
            stored.attrs["MATLAB_class"] = np.bytes_(_MATLAB[values.dtype.name])
        cells = np.empty((1, len(names)), h5py.ref_dtype)
        for number, name in enumerate(names):
            target = file.create_dataset(
                f"#refs#/{number}", data=np.array([[ord(letter)] for letter in name], np.uint16)
            )
            target.attrs["MATLAB_class"] = np.bytes_("char")
            target.attrs["MATLAB_int_decode"] = np.int32(2)
            cells[0, number] = target.ref
        stored = file.create_dataset("names", data=cells)
        stored.attrs["MATLAB_class"] = np.bytes_("cell")
    with path.open("r+b") as begin:
        begin.write(_TEXT.ljust(116) + bytes(8) + b"\0\2IM")


def split(train: Sequence[int], test: Sequence[int]) -> bytes:
    """splits.mat of these pictures, counted from 1."""
    named = {"trainNdxs": train, "testNdxs": test}
    return encoded.mat({name: np.array(numbers, np.float64)[:, None] for name, numbers in named.items()})


def class_map(classes: Sequence[int]) -> bytes:
    """classMapping40.mat, with the class 1..40 of each name."""
    return encoded.mat({"mapClass": np.array([classes], np.float64), "className": np.array([CLASSES], object)})


def _picture(seed: int, index: int) -> dict[str, NDArray[Any]]:
    """The variables of one picture, H W. Of the names of a class, each thing in it has another."""
    drawn, rng = scene(seed, index), np.random.default_rng([seed, index])
    depth = np.floor(drawn.depth * _STEPS) / _STEPS
    number = [CLASSES.index(_CALLED.get(name, name)) + 1 if name != "sky" else 0 for name in drawn.what]
    label = np.array([each + len(CLASSES) * (index % 22) for index, each in enumerate(number)])[drawn.faces]
    rows, columns = (-(-side // _HOLE_PX) for side in drawn.faces.shape)
    squares = (rng.random((rows, columns)) < _HOLES).repeat(_HOLE_PX, axis=0).repeat(_HOLE_PX, axis=1)
    border = edges(drawn.faces)
    hole = border | squares[: drawn.faces.shape[0], : drawn.faces.shape[1]]
    return {
        "images": drawn.image,
        "depths": depth,
        "rawDepths": np.where(hole, np.float32(0), depth),
        "labels": np.where(border, 0, label).astype(np.uint16),
    }
