"""The sample's scenes with true depth: rooms, and open country, of flat faces that a tilted camera sees.

Depth tells here what colours don't: an object that stands looks like one that is painted on a wall, the ground or the
sky, and what is low looks like what is high. As in `scenes`, every machine rounds alike.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fcn.datasets.hha import Camera
from fcn.datasets.sample.scenes import DRAW, HUES, KINDS, SHAPES, THIN_PART, THIN_PX, Floats, exposed, ground, paint

# ---- What decides difficulty; metres where nothing else is said ---------------------------------------------------
RADIUS_PX = (24.0, 42.0)  # half an object's side, whether it stands or is painted
PITCH_DEG, ROLL_DEG = {"room": (4.0, 20.0), "country": (-8.0, 8.0)}, 4.0  # down
EYE, CEILING = (1.1, 1.6), (0.9, 1.3)  # of a room: above the floor, and below the ceiling
ASIDE, END = (1.3, 2.3), (3.4, 4.5)  # how far its walls are
HEIGHTS = {"low": (0.4, 0.55), "middle": (0.75, 0.9), "high": (1.2, 1.4)}  # of boxes, whose name this alone decides
BOX_WIDTH, BOX_DEPTH, BOX_AT = (0.8, 1.4), (0.5, 0.9), 2.2  # behind what stands
STANDS_AT, MAT_AT, MAT_RADIUS = (1.6, 2.2), (1.8, 2.6), (0.5, 0.8)
SECOND, PICTURE, MAT = 0.4, 0.7, 0.5  # how often there is a second box and object, a picture, a mat
GROUNDS = {"road": HUES[:1], "field": HUES[1:2], "grass": HUES[2:3], "sea": HUES[3:4]}  # told by their hues; sky isn't
BACKDROPS = {"building": HUES[:1], "tree": HUES[2:3], "mountain": HUES[4:]}
COUNTRY_EYE, BACK, BACKDROP_WIDTH, BACKDROP_HEIGHT = 1.6, 40.0, (14.0, 30.0), (2.0, 14.0)
COUNTRY_STANDS_AT, MARK_AT, MARK_RADIUS, SUN_RISE = (4.0, 9.0), (4.0, 6.0), (1.0, 1.8), (0.1, 0.4)
MARK, SUN = 0.7, 0.6  # how often there is something painted on the ground, or in the sky
# ------------------------------------------------------------------------------------------------------------------

SHAPE_NAMES = ("animal", "chair", "cycle", "boat", "star")  # of DRAW
_STREAMS = {"room": 3, "country": 4}  # beside those of scenes.py
_ANYWHERE = (-math.inf, math.inf)

Range = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """A flat part of a scene: its ranges in metres from the camera, one of which is a single number.

    With a `kind` it is an object of that kind that fills the face, and else a ground whose colours have these `hues`.
    """

    what: str
    right: Range = _ANYWHERE
    down: Range = _ANYWHERE
    ahead: Range = _ANYWHERE
    kind: int | None = None
    hues: tuple[float, ...] = HUES


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A picture H W 3 and its truth: depth in metres, H W, and the number of the face, H W, 0 for the open sky.

    `what` has the names of the faces by number.
    """

    image: NDArray[np.uint8]
    depth: Floats
    faces: NDArray[np.uint8]
    what: tuple[str, ...]

    def labelled(self, numbers: Mapping[str, int]) -> NDArray[np.intp]:
        """H W: the numbers of what is seen."""
        return np.array([numbers[name] for name in self.what])[self.faces]


def view(seed: int, index: int, *, where: str, camera: Camera) -> View:
    """Scene number `index` of the rooms or the country: a pure function of all that it is given.

    The object that stands in front takes turns with `index`, so any 20 scenes in a row hold every kind.
    """
    rng = np.random.default_rng([seed, _STREAMS[where], index])
    pitch, roll = rng.uniform(*PITCH_DEG[where]), rng.uniform(-ROLL_DEG, ROLL_DEG)
    faces = {"room": _room, "country": _country}[where](rng, index, camera)
    rays = towards(camera, pitch=pitch, roll=roll)
    height, width = camera.height, camera.width
    depth, seen = np.full((height, width), np.inf, np.float32), np.zeros((height, width), np.uint8)
    image = ground(rng, height, width)
    for number, face in enumerate(faces, start=1):
        away, inside = hit(face, rays)
        mask = inside & (away < depth)
        if face.kind is None:
            colours = ground(rng, height, width, hues=face.hues)[mask]
        else:
            colours = _drawn(rng, face, rays, away, camera, mask)
        image[mask], depth[mask], seen[mask] = colours, away[mask], number
    return View(image=exposed(rng, image), depth=depth, faces=seen, what=("sky", *(face.what for face in faces)))


def towards(camera: Camera, *, pitch: float, roll: float) -> tuple[Floats, Floats, Floats]:
    """How far right, down and ahead a pixel's ray leads for each metre of depth, H W each; angles in degrees."""
    cos, sin, cosine, sine = (
        np.float32(turn(math.radians(angle))) for angle in (roll, pitch) for turn in (math.cos, math.sin)
    )
    y = (np.arange(1, camera.height + 1, dtype=np.float32)[:, None] - np.float32(camera.cy)) / np.float32(camera.fy)
    x = (np.arange(1, camera.width + 1, dtype=np.float32)[None] - np.float32(camera.cx)) / np.float32(camera.fx)
    right: Floats = x * cos - y * sin
    lower: Floats = x * sin + y * cos
    return right, lower * cosine + sine, cosine - lower * sine


def hit(face: Face, rays: tuple[Floats, Floats, Floats]) -> tuple[Floats, NDArray[np.bool_]]:
    """The depth at which each ray meets the face's plane, and where that is on the face in front of the camera."""
    ranges = (face.right, face.down, face.ahead)
    axis = next(axis for axis, (low, high) in enumerate(ranges) if low == high)
    along = np.where(np.abs(rays[axis]) < 1e-6, 1e-6, rays[axis])
    away: Floats = (ranges[axis][0] / along).astype(np.float32)
    inside = away > 0
    for other, (low, high) in enumerate(ranges):
        if other != axis:
            point = rays[other] * away
            inside &= (low <= point) & (point <= high)
    return away, inside


def _drawn(
    rng: np.random.Generator,
    face: Face,
    rays: tuple[Floats, Floats, Floats],
    away: Floats,
    camera: Camera,
    mask: NDArray[np.bool_],
) -> Floats:
    """The colours of an object that fills a face, N 3; what is not the object leaves `mask`, H W."""
    assert face.kind is not None
    texture, family = divmod(face.kind, SHAPES)
    level = face.down[0] == face.down[1]  # its top is further away then
    up, upward = (rays[2], face.ahead) if level else (rays[1], face.down)
    (x, half_width), (y, half_height) = (
        (np.float32((low + high) / 2), np.float32((high - low) / 2)) for low, high in (face.right, upward)
    )
    across: Floats = rays[0] * away - x
    along: Floats = (up * away - y) * np.float32(-1.0 if level else 1.0)
    scale = np.float32(camera.fx / ((face.ahead[0] + face.ahead[1]) / 2))  # px a metre, in the middle of it
    thin = max(THIN_PX / float(scale * half_width), THIN_PART)
    mask &= DRAW[family](rng, across / half_width, along / half_height, thin)
    hue = HUES[(2 * family + texture) % len(HUES)]
    return paint(rng, texture, hue, across[mask] * scale, along[mask] * scale)


def _room(rng: np.random.Generator, index: int, camera: Camera) -> list[Face]:
    """Three walls, floor and ceiling, boxes, what stands on the floor, and what is painted on it and on the wall."""
    eye, ceiling, end = rng.uniform(*EYE), rng.uniform(*CEILING), rng.uniform(*END)
    left, right = -rng.uniform(*ASIDE), rng.uniform(*ASIDE)
    faces = [
        Face(what="floor", down=(eye, eye)),
        Face(what="ceiling", down=(-ceiling, -ceiling)),
        Face(what="wall", ahead=(end, end)),
        *(Face(what="wall", right=(side, side)) for side in (left, right)),
    ]
    for number in range(2 if rng.random() < SECOND else 1):
        faces += _box(rng, list(HEIGHTS)[(index + number) % len(HEIGHTS)], eye=eye, end=end)
    if rng.random() < PICTURE:
        at = end - 0.02
        radius, x = _seen(rng, at, camera)
        y = rng.uniform(-0.5, 0.4)
        face = Face(what="picture", right=x, down=(y - radius, y + radius), ahead=(at, at), kind=_any(rng))
        faces.append(face)
    if rng.random() < MAT:
        at, radius, below = rng.uniform(*MAT_AT), rng.uniform(*MAT_RADIUS), eye - 0.01
        ahead, (_, x) = (at - radius, at + radius), _seen(rng, at, camera, radius=radius)
        faces.append(Face(what="mat", right=x, down=(below, below), ahead=ahead, kind=_any(rng)))
    return [*faces, *_standing(rng, index, camera, eye=eye, at=STANDS_AT)]


def _box(rng: np.random.Generator, what: str, *, eye: float, end: float) -> list[Face]:
    """Front, sides and top of a box on the floor."""
    top, near, middle = eye - rng.uniform(*HEIGHTS[what]), rng.uniform(BOX_AT, end - 1.0), rng.uniform(-0.9, 0.9)
    half, far = rng.uniform(*BOX_WIDTH) / 2, near + rng.uniform(*BOX_DEPTH)
    right, down, ahead, hues = (middle - half, middle + half), (top, eye), (near, far), (HUES[rng.integers(len(HUES))],)
    return [
        Face(what=what, right=right, down=down, ahead=(near, near), hues=hues),
        *(Face(what=what, right=(side, side), down=down, ahead=ahead, hues=hues) for side in right),
        Face(what=what, right=right, down=(top, top), ahead=ahead, hues=hues),
    ]


def _country(rng: np.random.Generator, index: int, camera: Camera) -> list[Face]:
    """A level ground, a backdrop, what stands on the ground, and what is painted on it and in the sky."""
    eye, floor = COUNTRY_EYE, list(GROUNDS)[index % len(GROUNDS)]
    faces = [Face(what=floor, down=(eye, eye), hues=GROUNDS[floor])]
    back, start = list(BACKDROPS)[int(rng.integers(len(BACKDROPS)))], -rng.uniform(20.0, 40.0)
    for _ in range(3):
        end = start + rng.uniform(*BACKDROP_WIDTH)
        down = (eye - rng.uniform(*BACKDROP_HEIGHT), eye)
        faces.append(Face(what=back, right=(start, end), down=down, ahead=(BACK, BACK), hues=BACKDROPS[back]))
        start = end
    if rng.random() < SUN:
        at = 2 * BACK
        radius, x = _seen(rng, at, camera)
        y = -at * rng.uniform(*SUN_RISE)
        faces.append(Face(what="sun", right=x, down=(y - radius, y + radius), ahead=(at, at), kind=_any(rng)))
    if rng.random() < MARK:
        at, radius, below = rng.uniform(*MARK_AT), rng.uniform(*MARK_RADIUS), eye - 0.01
        ahead, (_, x) = (at - radius, at + radius), _seen(rng, at, camera, radius=radius)
        faces.append(Face(what="mark", right=x, down=(below, below), ahead=ahead, kind=_any(rng)))
    return [*faces, *_standing(rng, index, camera, eye=eye, at=COUNTRY_STANDS_AT)]


def _standing(rng: np.random.Generator, index: int, camera: Camera, *, eye: float, at: Range) -> list[Face]:
    """One or two objects on the ground, of which the first takes turns with `index`."""
    kinds = [index % KINDS, *([_any(rng)] if rng.random() < SECOND else [])]
    faces = []
    for kind in kinds:
        ahead = rng.uniform(*at)
        radius, x = _seen(rng, ahead, camera)
        what, down = SHAPE_NAMES[kind % SHAPES], (eye - 2 * radius, eye)
        faces.append(Face(what=what, right=x, down=down, ahead=(ahead, ahead), kind=kind))
    return faces


def _seen(rng: np.random.Generator, at: float, camera: Camera, *, radius: float | None = None) -> tuple[float, Range]:
    """The radius of an object `at` metres ahead, one that suits the picture where none is given, and its range."""
    radius = rng.uniform(*RADIUS_PX) * at / camera.fx if radius is None else radius
    middle = at * rng.uniform(-0.35, 0.35) * camera.width / camera.fx
    return radius, (middle - radius, middle + radius)


def _any(rng: np.random.Generator) -> int:
    return int(rng.integers(KINDS))
