"""A room as a depth camera sees it, and NYUDv2's files of such rooms in their true formats."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcn.datasets.formats import nyud
from fcn.datasets.hha import Camera, Floats
from fcn.datasets.sample import encoded, views
from fcn.datasets.sample.standins import nyud as nyud_standin

WALL, FLOOR, CEILING = 1, 2, 22  # counted from 1
CLASS = np.array([WALL, WALL, CEILING, FLOOR, WALL, WALL], np.uint16)  # of left, right, above, below, behind, ahead
PICTURES = 4
TRAIN, TEST = [2, 4], [1, 3]  # counted from 1
RAW_NAMES = 894


def room(camera: Camera, *, pitch: float = 0, roll: float = 0) -> tuple[Floats, NDArray[np.intp]]:
    """Depth in metres and the surface, an index of CLASS, H W, from 1.3 m above the floor; down by `pitch` degrees.

    Walls are 2 m to each side, 4 m ahead and 1 m behind, the ceiling is 1.2 m above.
    """
    faces = [
        *(views.Face(what="wall", right=(at, at)) for at in (-2.0, 2.0)),
        *(views.Face(what="level", down=(at, at)) for at in (-1.2, 1.3)),
        *(views.Face(what="wall", ahead=(at, at)) for at in (-1.0, 4.0)),
    ]
    rays = views.towards(camera, pitch=pitch, roll=roll)
    hits = [views.hit(face, rays) for face in faces]
    depths = np.stack([np.where(inside, away, np.inf) for away, inside in hits])
    return depths.min(axis=0), depths.argmin(axis=0)


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
    """nyu_depth_v2_labeled.mat."""
    nyud_standin.write_labelled(path, variables, names=[f"name {number + 1}" for number in range(named)])
    return path


def v5(**variables: NDArray[Any]) -> bytes:
    """A version 5 .mat of these variables."""
    return encoded.mat(variables)


def folder(path: Path, variables: Mapping[str, NDArray[Any]] | None = None) -> Path:
    """The three files in a folder."""
    path.mkdir(parents=True, exist_ok=True)
    labelled(path / "nyu_depth_v2_labeled.mat", arrays() if variables is None else variables)
    (path / "splits.mat").write_bytes(nyud_standin.split(TRAIN, TEST))
    (path / "classMapping40.mat").write_bytes(
        nyud_standin.class_map([min(number, 40) for number in range(1, RAW_NAMES + 1)])
    )
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
