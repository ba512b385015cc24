"""A room as a depth camera sees it, and NYUDv2's files of such rooms in their true formats."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io
from numpy.typing import NDArray
from PIL import Image

from fcn.datasets.formats import nyud
from fcn.datasets.hha import Camera, Floats

WALL, FLOOR, CEILING = 1, 2, 22  # counted from 1
CLASS = np.array([WALL, WALL, CEILING, FLOOR, WALL, WALL], np.uint16)  # of left, right, above, below, behind, ahead
PICTURES = 4
TRAIN, TEST = [2, 4], [1, 3]  # counted from 1
RAW_NAMES = 894
_TEXT = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Thu Jan  1 00:00:00 1970 HDF5 schema 1.00 ."


def room(camera: Camera, *, pitch: float = 0, roll: float = 0) -> tuple[Floats, NDArray[np.intp]]:
    """Depth in metres and the surface, an index of CLASS, H W, from 1.3 m above the floor; down by `pitch` degrees.

    Walls are 2 m to each side, 4 m ahead and 1 m behind, the ceiling is 1.2 m above.
    """
    rows, columns = np.mgrid[1 : camera.height + 1, 1 : camera.width + 1]
    rays = np.stack([(columns - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy, np.ones(rows.shape)], axis=2)
    (sine, cosine), (sin, cos) = ((np.sin(angle), np.cos(angle)) for angle in np.radians([-pitch, roll]))
    tilt = np.array([[1, 0, 0], [0, cosine, sine], [0, -sine, cosine]])
    rays = rays @ (np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]) @ tilt)
    depths = [
        np.where(along > 0, ahead, behind) / np.where(np.abs(along) < 1e-9, 1e-9, along)
        for along, ahead, behind in zip(np.moveaxis(rays, 2, 0), (2.0, 1.3, 4.0), (-2.0, -1.2, -1.0), strict=True)
    ]
    depth, nearest = np.min(depths, axis=0), np.argmin(depths, axis=0)
    return depth, 2 * nearest + (np.take_along_axis(rays, nearest[:, :, None], axis=2)[:, :, 0] > 0)


def arrays(times: int = 4) -> dict[str, NDArray[Any]]:
    """The variables with pictures, in MATLAB's shapes, of pictures that are smaller than NYUDv2's so many times."""
    camera, random = nyud.CAMERA.shrunk(times), np.random.default_rng(0)
    depths, surfaces = zip(*(room(camera, pitch=10 * number, roll=5) for number in range(PICTURES)), strict=True)
    depth, label = np.stack(depths, axis=2), CLASS[np.stack(surfaces, axis=2)]
    label[: camera.height // 2, camera.width // 2] = 0
    hole = random.random(depth.shape) < 0.1
    return {
        "images": random.integers(0, 256, (camera.height, camera.width, 3, PICTURES), np.uint8),
        "depths": depth.astype(np.float32),
        "rawDepths": np.where(hole, 0, depth).astype(np.float32),
        "labels": label,
    }


def labelled(path: Path, variables: Mapping[str, NDArray[Any]], *, named: int = RAW_NAMES) -> Path:
    """nyu_depth_v2_labeled.mat: HDF5 behind a block of MATLAB's, axes backwards, names behind references."""
    classes = {"uint8": "uint8", "uint16": "uint16", "float32": "single", "float64": "double"}
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in variables.items():
            chunk = (1, *values.shape[-2::-1])
            stored = file.create_dataset(name, data=values.T, chunks=chunk, compression="gzip", compression_opts=1)
            stored.attrs["MATLAB_class"] = np.bytes_(classes[values.dtype.name])
        cells = np.empty((1, named), h5py.ref_dtype)
        for number in range(named):
            letters = np.array([[ord(letter)] for letter in f"name {number + 1}"], np.uint16)
            target = file.create_dataset(f"#refs#/{number}", data=letters)
            target.attrs["MATLAB_class"] = np.bytes_("char")
            target.attrs["MATLAB_int_decode"] = np.int32(2)
            cells[0, number] = target.ref
        names = file.create_dataset("names", data=cells)
        names.attrs["MATLAB_class"] = np.bytes_("cell")
    with path.open("r+b") as begin:
        begin.write(_TEXT.ljust(116) + bytes(8) + b"\0\2IM")
    return path


def v5(**variables: NDArray[Any]) -> bytes:
    """A version 5 .mat of these variables."""
    out: Any = io.BytesIO()  # which scipy can write to, though its stubs know paths only
    scipy.io.savemat(out, dict(variables), do_compression=True)
    content: bytes = out.getvalue()
    return content


def mapping() -> bytes:
    """classMapping40.mat, where names beyond the 39th are class 40."""
    each = np.minimum(np.arange(1, RAW_NAMES + 1), 40)[None].astype(np.float64)
    return v5(mapClass=each, className=np.array([nyud.CLASSES], object))


def split() -> bytes:
    """splits.mat."""
    return v5(
        **{
            name: np.array(each, np.float64)[:, None]
            for name, each in zip(("trainNdxs", "testNdxs"), (TRAIN, TEST), strict=True)
        }
    )


def folder(path: Path, variables: Mapping[str, NDArray[Any]] | None = None) -> Path:
    """The three files in a folder."""
    path.mkdir(parents=True, exist_ok=True)
    labelled(path / "nyu_depth_v2_labeled.mat", arrays() if variables is None else variables)
    (path / "splits.mat").write_bytes(split())
    (path / "classMapping40.mat").write_bytes(mapping())
    return path


def png(values: NDArray[Any]) -> bytes:
    """A PNG of bytes or of 16 bits."""
    out = io.BytesIO()
    Image.fromarray(values).save(out, "PNG")
    return out.getvalue()


def prepared(found: Mapping[str, Any], *, prefix: str = "nyud/") -> dict[str, bytes]:
    """The members of the authors' prepared folder, from what `nyud.read` gave by id."""
    members = {
        f"{prefix}train.txt": b"5002",  # as theirs, without a newline at the end
        f"{prefix}val.txt": b"5004",
        f"{prefix}test.txt": b"5003\n5001",
    }
    for image_id, original in found.items():
        inputs, label = original.inputs, original.labels["semantic"]
        members |= {
            f"{prefix}data/images/img_{image_id}.png": png(inputs["rgb"]),
            f"{prefix}data/depth/img_{image_id}.png": png(inputs["depth"][:, :, 0]),
            f"{prefix}data/rawdepth/img_{image_id}.png": png(inputs["depth"][:, :, 0]),
            f"{prefix}data/hha/img_{image_id}.png": png(inputs["hha"]),
            f"{prefix}segmentation/img_{image_id}.mat": v5(segmentation=(label + np.uint8(1))),
        }
    return members
