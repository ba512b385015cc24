"""HHA: a depth picture as horizontal disparity, height above ground, and angle with gravity.

Gupta et al., ECCV 2014. Every constant is that of their own program, saveHHA, and so is what comes out, but for angles
where less than eight pixels of a window were measured: their rounding decides those, and no surface.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fcn.errors import InputError

Floats = NDArray[np.float64]

_ANGLE_RADIUS, _GRAVITY_RADIUS = 3, 10  # px; normals are of planes through windows of 7 x 7 and 21 x 21
_THRESHOLDS = (45.0, 15.0)  # degrees off vertical or horizontal, within which a surface tells where down is
_ITERATIONS = 5
_LEAST_TURN = 0.1  # degrees; below, the camera counts as upright
_FLOOR_SEEN, _FLOOR = -90.0, -130.0  # cm; a camera that sees nothing 90 cm below it is 130 cm above the floor
_DISPARITY, _NEAREST = 31000.0, 100.0  # cm; levels are 31000 / depth
_ANGLE_LEVEL = 128 - 90  # a wall, at 90 degrees, is 128
_DOWN = np.array([0.0, 1.0, 0.0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """Focal lengths and principal point in pixels, the first of which has the number 1, and the picture's size."""

    fx: float
    fy: float
    cx: float
    cy: float
    height: int
    width: int

    def shrunk(self, times: int) -> "Camera":
        """The camera of a picture whose every pixel is the mean of `times` x `times`."""
        cx, cy = ((centre - 0.5) / times + 0.5 for centre in (self.cx, self.cy))
        height, width = self.height // times, self.width // times
        return Camera(fx=self.fx / times, fy=self.fy / times, cx=cx, cy=cy, height=height, width=width)

    def cropped(self, rows: slice, columns: slice) -> "Camera":
        """The camera of `picture[rows, columns]`."""
        top, bottom, _ = rows.indices(self.height)
        left, right, _ = columns.indices(self.width)
        return replace(self, cx=self.cx - left, cy=self.cy - top, height=bottom - top, width=right - left)


def hha(depth_m: NDArray[np.floating], *, missing: NDArray[np.bool_], camera: Camera) -> NDArray[np.uint8]:
    """Disparity, height and angle of a depth in metres, H W -> H W 3.

    Depth is needed everywhere; what of it was not measured but filled in is `missing`, H W, and decides no surface.
    Raises InputError for a depth that isn't above 0, and for another size than the camera's.
    """
    size = (camera.height, camera.width)
    for what, shape in (("depth", depth_m.shape), ("mask of missing depth", missing.shape)):
        if shape != size:
            raise InputError(
                f"the {what} is of shape {' x '.join(map(str, shape))}, the camera's pictures have {size[0]} rows and "
                f"{size[1]} columns; give the camera of this size, cropped as the picture is"
            )
    if wrong := int(np.count_nonzero(~((depth_m > 0) & np.isfinite(depth_m)))):
        raise InputError(
            f"the depth is 0, negative or no number in {wrong:,} of its {depth_m.size:,} pixels; HHA needs metres "
            "above 0 everywhere: take the depth that is filled in, not the raw one"
        )
    points = _points(depth_m.astype(np.float64) * 100, camera)
    down = _gravity(_normals(points, missing, radius=_GRAVITY_RADIUS))
    angle = _degrees(_normals(points, missing, radius=_ANGLE_RADIUS) @ down)
    upright = _degrees(down @ _DOWN) <= _LEAST_TURN
    height = -(points @ (_DOWN if upright else down))
    lowest = height.min() if height.min() <= _FLOOR_SEEN else _FLOOR
    disparity = _DISPARITY / np.maximum(points[:, :, 2], _NEAREST)
    levels = np.stack([disparity, height - lowest, angle + _ANGLE_LEVEL], axis=2)
    return np.floor(levels + 0.5).clip(0, 255).astype(np.uint8)


def _points(z: Floats, camera: Camera) -> Floats:
    """Where each pixel's surface is, H W 3 in cm: X to the right, Y down, Z away from the camera."""
    rows, columns = np.ogrid[1 : camera.height + 1, 1 : camera.width + 1]
    return np.stack([(columns - camera.cx) * z / camera.fx, (rows - camera.cy) * z / camera.fy, z], axis=2)


def _normals(points: Floats, missing: NDArray[np.bool_], *, radius: int) -> Floats:
    """Unit normals H W 3, away from the camera, of the planes through each pixel's window; NaN where all is missing.

    A plane n.p = const is fitted by least squares with weights 1/Z. The system's adjugate has its inverse's direction.
    """
    there = np.where(missing, 0.0, 1.0)
    z = points[:, :, 2]
    x, y, ones = there * points[:, :, 0] / z, there * points[:, :, 1] / z, there

    def window(values: Floats) -> Floats:
        side = 2 * radius + 1
        total = np.pad(values, (radius + 1, radius)).cumsum(axis=0).cumsum(axis=1)
        sums: Floats = total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]
        return sums

    xx, xy, yy, x1, y1, n = (window(each) for each in (x * x, x * y, y * y, x, y, ones))
    xr, yr, r = (window(each / z) for each in (x, y, ones))
    normals = np.stack(
        [
            (yy * n - y1 * y1) * xr + (x1 * y1 - xy * n) * yr + (xy * y1 - x1 * yy) * r,
            (x1 * y1 - xy * n) * xr + (xx * n - x1 * x1) * yr + (x1 * xy - xx * y1) * r,
            (xy * y1 - x1 * yy) * xr + (x1 * xy - xx * y1) * yr + (xx * yy - xy * xy) * r,
        ],
        axis=2,
    )
    normals[n == 0] = np.nan  # a count is exact; the other sums have rounding's rest of what lies before the window
    with np.errstate(invalid="ignore"):  # 0 / 0, where one pixel is all there is
        normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    away: Floats = normals * np.where((normals * points).sum(axis=2, keepdims=True) < 0, -1, 1)
    return away


def _gravity(normals: Floats) -> Floats:
    """Where down is, a unit vector: that to which floors are closest to parallel, and walls to perpendicular."""
    known = normals[~np.isnan(normals).any(axis=2)]
    down = _DOWN
    for threshold in np.repeat(np.radians(_THRESHOLDS), _ITERATIONS):
        along = np.abs(known @ down)
        floors, walls = known[along > np.cos(threshold)], known[along < np.sin(threshold)]
        if len(floors) + len(walls):
            found = np.linalg.eigh(walls.T @ walls - floors.T @ floors).eigenvectors[:, 0]
            down = found if found @ down >= 0 else -found
    return down


def _degrees(cosine: Floats) -> Floats:
    """The angle; 180 of NaN, as the reference has it."""
    angle: Floats = np.degrees(np.arccos(np.where(np.isnan(cosine), -1.0, cosine).clip(-1, 1)))
    return angle
