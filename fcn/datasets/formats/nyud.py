"""NYUDv2 (Silberman et al., ECCV 2012): all pictures with depth in one .mat, a split, and a map of 894 names to 40.

Depth and HHA are made here as the FCN authors had them from Gupta et al.: cropped by the border that projecting depth
leaves blank, depth as whole millimetres. `nyud_png` reads their own files of it.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn.datasets import mat, mat73, tree
from fcn.datasets.facts import Target
from fcn.datasets.formats import Original
from fcn.datasets.hha import Camera, hha
from fcn.datasets.labels import VOID
from fcn.errors import InputError

# As classMapping40.mat has them, "refridgerator" too.
CLASSES = (
    *("wall", "floor", "cabinet", "bed", "chair", "sofa", "table", "door", "window", "bookshelf"),
    *("picture", "counter", "blinds", "desk", "shelves", "curtain", "dresser", "pillow", "mirror", "floor mat"),
    *("clothes", "ceiling", "books", "refridgerator", "television", "paper", "towel", "shower curtain", "box"),
    *("whiteboard", "person", "night stand", "toilet", "sink", "lamp", "bathtub", "bag"),
    *("otherstructure", "otherfurniture", "otherprop"),
)

INPUTS = {"rgb": 3, "depth": 1, "hha": 3}  # depth in mm
TARGETS = {"semantic": Target(classes=CLASSES, background=None, average="seen")}

FIRST_ID = 5001  # of the first picture, in the FCN authors' lists
_LABELLED, _SPLITS, _MAPPING = FILES = ("nyu_depth_v2_labeled.mat", "splits.mat", "classMapping40.mat")
_SIGN = re.compile(r"(?P<root>.*/)?nyu_depth_v2_labeled\.mat")

# The toolbox's camera_params.m, the colour camera, to which depth is projected.
CAMERA = Camera(
    fx=518.85790117450188,
    fy=519.46961112127485,
    cx=325.58244941119034,
    cy=253.73616633400465,
    height=480,
    width=640,
)
_ROWS, _COLUMNS = slice(45, 470), slice(40, 600)  # 425 x 560


def root(members: Sequence[str]) -> str:
    """What stands before the files' names. Raises InputError where the labelled .mat isn't there, or twice."""
    return tree.root(members, sign=_SIGN, dataset="NYUDv2", layout=" and ".join(FILES))


def wanted(members: Sequence[str]) -> list[str]:
    """The three files. Raises InputError where one is missing."""
    start = root(members)
    names = [f"{start}{name}" for name in FILES]
    missing = [name for name in names if name not in set(members)]
    if missing:
        raise InputError(
            f"{' and '.join(missing)} missing; give the one folder that has {', '.join(FILES)}: the labelled dataset, "
            "its split, and the classes of Gupta et al."
        )
    return names


def lists(folders: Mapping[str, Path]) -> Mapping[str, Sequence[str]]:
    """The split of 795 and 654 pictures: trainval and test.

    Raises InputError for a number without a picture, and for a picture in both.
    """
    (folder,) = folders.values()
    numbers = range(1, len(ids(folders)) + 1)
    named = {
        name: numbers_in(folder / _SPLITS, variable, among=numbers).ravel().tolist()
        for name, variable in (("trainval", "trainNdxs"), ("test", "testNdxs"))
    }
    if both := set(named["trainval"]) & set(named["test"]):
        raise InputError(f"{folder / _SPLITS}: {len(both)} pictures are in both lists, such as {min(both)}")
    return {name: [str(FIRST_ID - 1 + number) for number in found] for name, found in named.items()}


def ids(folders: Mapping[str, Path]) -> list[str]:
    """All pictures, from 5001 on."""
    (folder,) = folders.values()
    *_, count = mat73.shape(folder / _LABELLED, "images")
    return [str(FIRST_ID + index) for index in range(count)]


def read(folders: Mapping[str, Path], image_id: str) -> Original:
    """The picture, its depth in mm as uint16, its HHA, and its label; none has the border.

    Raises InputError for what can't be read from the .mat, a depth of 0, and a name that the map lacks.
    """
    (folder,) = folders.values()
    file, at = folder / _LABELLED, int(image_id) - FIRST_ID
    height, width, *_ = mat73.shape(file, "images")
    rows, columns, camera = _view(height, width, file)

    def cropped(name: str, dtype: type[np.generic], *channels: int) -> NDArray[Any]:
        found = mat73.picture(file, name, at, dtype=dtype, size=(height, width, *channels))
        return np.ascontiguousarray(found[rows, columns])

    rgb = cropped("images", np.uint8, 3)
    depth_mm, raw_mm = (_millimetres(cropped(name, np.float32)) for name in ("depths", "rawDepths"))
    try:
        encoded = hha(depth_mm / 1000, missing=raw_mm == 0, camera=camera)
    except InputError as error:
        raise InputError(f"{file}: depths of picture {image_id}: {error}") from None
    label = _label(cropped("labels", np.uint16), folder / _MAPPING, image_id)
    return Original(
        inputs={"rgb": rgb, "depth": depth_mm[:, :, None], "hha": encoded},
        labels={"semantic": label},
    )


def numbers_in(path: Path, name: str, *, among: range) -> NDArray[np.int64]:
    """The whole numbers of a variable of a version 5 .mat. Raises InputError for others than those `among`."""
    try:
        found = mat.array(path.read_bytes(), name)
    except InputError as error:
        raise InputError(f"{path}: {error}; fetch it again") from None
    if not found.size or not np.isin(found, among).all():
        held = f"{found.min():g}..{found.max():g}" if found.size else "nothing"
        raise InputError(f"{path}: {name} holds {held}; allowed are whole numbers {among.start}..{among.stop - 1}")
    return found.astype(np.int64)


def _view(height: int, width: int, file: Path) -> tuple[slice, slice, Camera]:
    """What is cropped from a picture, and the camera of that; the sample's pictures are smaller, of the same view."""
    times = CAMERA.height // max(height, 1)
    if (height * times, width * times) != (CAMERA.height, CAMERA.width):
        raise InputError(
            f"{file}: images have {height} rows and {width} columns, for which no camera is known; NYUDv2's have "
            f"{CAMERA.height} and {CAMERA.width}, or both divided by one whole number"
        )
    rows, columns = (slice(-(-cut.start // times), cut.stop // times) for cut in (_ROWS, _COLUMNS))
    return rows, columns, CAMERA.shrunk(times).cropped(rows, columns)


def _millimetres(depth_m: NDArray[np.float32]) -> NDArray[np.uint16]:
    """As MATLAB's uint16(1000 * depth): half up, saturated, 0 for no number."""
    millimetres = np.nan_to_num(depth_m).clip(0, 66) * np.float32(1000)
    return np.floor(millimetres.astype(np.float64) + 0.5).clip(0, 65535).astype(np.uint16)


def _label(raw: NDArray[np.uint16], mapping: Path, image_id: str) -> NDArray[np.uint8]:
    """0..39 and void, of numbers of names, where 0 is unlabelled."""
    classes = numbers_in(mapping, "mapClass", among=range(1, len(CLASSES) + 1)).ravel()
    if raw.max() > len(classes):
        raise InputError(
            f"{mapping}: it maps {len(classes)} names, but labels of picture {image_id} have the name {raw.max()}; "
            "fetch the map of the whole dataset, which has 894"
        )
    return np.concatenate([[VOID], classes - 1]).astype(np.uint8)[raw]
