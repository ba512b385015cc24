"""The sample's pictures: objects with shape, texture and thin parts on textured grounds.

A picture is a pure function of (seed, index). Whole pictures are computed with +, -, *, /, sqrt and floor only,
which every machine rounds alike: no sine or exponential whose last bit depends on the processor.
"""

import colorsys
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fcn.datasets.labels import VOID

# ---- What decides difficulty -------------------------------------------------------------------------------------
# A class is a shape, a texture and a hue: kind = 0..19, its label is kind + 1, because 0 is background.
# Each shape is shared by 4 kinds, each texture by 5 and each hue by 4, so that no single cue names a kind.
SHAPES, TEXTURES = 5, 4
KINDS = SHAPES * TEXTURES
HUES = (0.0, 0.12, 0.33, 0.55, 0.80)
HUE_SPREAD, HUE_ASTRAY = 0.025, 0.1  # standard deviation of an object's hue; how often it is any hue instead
# Sizes near 128x160, the last of them odd: what is true only for multiples of 32 should not pass on the sample.
SIZES_PX = ((128, 160), (160, 128), (144, 144), (120, 160), (133, 155))
OBJECTS = (0.30, 0.45, 0.25)  # how often a scene holds 1, 2, 3 objects; later ones hide earlier ones
RADIUS_PX = (26.0, 54.0)  # half an object's side: smaller than about 26 and stride 32 learns nothing
CROP_RADIUS_PX = (26.0, 50.0)
STRETCH = (0.85, 1.15)  # of each side
TILT_RAD = 0.2  # standard deviation
# Half-width of legs, spokes and arms, in px and as a part of the radius (the larger counts). At 5 px across
# they are lost at stride 32 and seen at stride 8: the gap between 32s, 16s and 8s comes from here.
THIN_PX, THIN_PART = 2.5, 0.075
PERIOD_PX = (5.5, 8.0)  # of an object's stripes and checks; shorter ones JPEG would wash out
SATURATION, VALUE = (0.65, 1.0), (0.6, 1.0)  # an object's first colour
FADE_SATURATION, FADE_VALUE = (0.2, 0.6), (0.25, 0.55)  # and its second, as a part of the first
# Grounds take the objects' hues, paler, so that colour alone finds no object; a third of them carries stripes.
GROUND_SATURATION, GROUND_VALUE = (0.1, 0.45), (0.3, 0.8)
GROUND_CELLS_PX = (16, 24, 40)  # size of the ground's patches
GROUND_STRIPED, GROUND_STRIPES, GROUND_PERIOD_PX = 1 / 3, 0.4, (8.0, 20.0)
GROUND_GRAIN, OBJECT_GRAIN, PIXEL_NOISE = 0.05, 0.05, 0.03
LIGHT, LIGHT_SHIFT = (0.8, 1.15), 0.03  # brightness of the whole picture: factor, and deviation of the offset
# ------------------------------------------------------------------------------------------------------------------

# The second number of every random stream's key, so that scenes and crops share no draw.
_SCENES, _CROPS = 1, 2

Floats = NDArray[np.float32]
_Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A picture and its truth: image H W 3 uint8, instances H W uint8 (0 = ground), the class of each instance."""

    image: NDArray[np.uint8]
    instances: NDArray[np.uint8]
    classes: NDArray[np.uint8]

    @property
    def mask(self) -> NDArray[np.uint8]:
        """H W, 0..20, without a void band: how SBD labels."""
        return self.classes[self.instances]

    @property
    def label(self) -> NDArray[np.uint8]:
        """H W, 0..20, and void (255) on both sides of every edge between instances: how VOC labels."""
        return np.where(edges(self.instances), np.uint8(VOID), self.mask)


def scene(seed: int, index: int) -> Scene:
    """Scene number `index`: one to three objects of random kinds.

    The kind of the object in front takes turns with `index`, so any 20 scenes in a row hold every class.
    """
    rng = np.random.default_rng([seed, _SCENES, index])
    height, width = SIZES_PX[rng.integers(len(SIZES_PX))]
    image = ground(rng, height, width)
    instances = np.zeros((height, width), np.uint8)
    count = 1 + int(rng.choice(len(OBJECTS), p=OBJECTS))
    kinds = [int(kind) for kind in rng.integers(KINDS, size=count - 1)] + [index % KINDS]
    for instance, kind in enumerate(kinds, start=1):
        centre = (rng.uniform(0.15, 0.85) * height, rng.uniform(0.12, 0.88) * width)
        _place(rng, image, kind, centre=centre, radius=rng.uniform(*RADIUS_PX), instances=instances, instance=instance)
    classes = np.array([0, *(kind + 1 for kind in kinds)], np.uint8)
    return Scene(image=exposed(rng, image), instances=instances, classes=classes)


def crops(seed: int, count: int, *, size_px: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """`count` pictures of one object each, N H W 3, and their kinds 0..19, N: what the sample's classifiers learn.

    Kinds take turns: crop n is of kind n modulo 20, and a longer call begins with what a shorter one returns.
    """
    images = np.empty((count, size_px, size_px, 3), np.uint8)
    kinds = np.arange(count, dtype=np.int64) % KINDS
    for index, kind in enumerate(kinds.tolist()):
        rng = np.random.default_rng([seed, _CROPS, index])
        image = ground(rng, size_px, size_px)
        centre = (size_px * rng.uniform(0.375, 0.625), size_px * rng.uniform(0.375, 0.625))
        instances = np.zeros((size_px, size_px), np.uint8)
        _place(rng, image, kind, centre=centre, radius=rng.uniform(*CROP_RADIUS_PX), instances=instances, instance=1)
        images[index] = exposed(rng, image)
    return images, kinds


def edges(regions: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels of which one of the 4 neighbours belongs to another region. H W -> H W."""
    found = np.zeros(regions.shape, np.bool_)
    rows = regions[1:] != regions[:-1]
    columns = regions[:, 1:] != regions[:, :-1]
    found[1:] |= rows
    found[:-1] |= rows
    found[:, 1:] |= columns
    found[:, :-1] |= columns
    return found


def _place(
    rng: np.random.Generator,
    image: Floats,
    kind: int,
    *,
    centre: tuple[float, float],
    radius: float,
    instances: NDArray[np.uint8],
    instance: int,
) -> None:
    """Draw one object of `kind` into `image` (H W 3) and `instances` (H W)."""
    height, width = instances.shape
    half_height, half_width = radius * rng.uniform(*STRETCH), radius * rng.uniform(*STRETCH)
    tilt = rng.normal(0.0, TILT_RAD)
    flip = np.float32(-1.0 if rng.random() < 0.5 else 1.0)
    reach = math.ceil(1.5 * radius)  # a tilted, stretched square of this half side stays inside
    top, left = max(0, int(centre[0]) - reach), max(0, int(centre[1]) - reach)
    window = np.s_[top : int(centre[0]) + reach, left : int(centre[1]) + reach]
    y = np.arange(top, min(height, int(centre[0]) + reach), dtype=np.float32)[:, None] - np.float32(centre[0])
    x = np.arange(left, min(width, int(centre[1]) + reach), dtype=np.float32)[None] - np.float32(centre[1])
    cos, sin = np.float32(math.cos(tilt)), np.float32(math.sin(tilt))
    right: Floats = (x * cos + y * sin) * flip  # the object's own axes, in px
    down: Floats = y * cos - x * sin

    texture, family = divmod(kind, SHAPES)
    thin = max(THIN_PX, THIN_PART * radius) / radius
    mask = DRAW[family](rng, right / np.float32(half_width), down / np.float32(half_height), thin)
    image[window][mask] = paint(rng, texture, HUES[(2 * family + texture) % len(HUES)], right[mask], down[mask])
    instances[window][mask] = instance


# ---- Shapes: u to the right and v down, both -1..1; `thin` is the half-width of thin parts -------------------------


def _bar(u: Floats, v: Floats, start: tuple[float, float], end: tuple[float, float], half_width: float) -> _Mask:
    """A straight bar with round ends."""
    (x, y), (across, along) = start, (end[0] - start[0], end[1] - start[1])
    u, v = u - x, v - y
    nearest = np.clip((u * across + v * along) * (1.0 / (across * across + along * along)), 0.0, 1.0)
    u -= across * nearest
    v -= along * nearest
    inside: _Mask = u * u + v * v < half_width * half_width
    return inside


def _disc(u: Floats, v: Floats, x: float, y: float, radius: float) -> _Mask:
    inside: _Mask = (u - x) ** 2 + (v - y) ** 2 < radius * radius
    return inside


def _box(u: Floats, v: Floats, x: float, y: float, half_width: float, half_height: float) -> _Mask:
    inside: _Mask = (np.abs(u - x) < half_width) & (np.abs(v - y) < half_height)
    return inside


def _animal(rng: np.random.Generator, u: Floats, v: Floats, thin: float) -> _Mask:
    """Body, head, four legs and a tail."""
    mask = _disc(u / 0.62, v / 0.32, 0.0, 0.0, 1.0) | _disc(u, v, 0.68, -0.32 + rng.uniform(-0.08, 0.08), 0.22)
    for hip in (-0.45, -0.2, 0.2, 0.45):
        mask |= _bar(u, v, (hip, 0.2), (hip + rng.uniform(-0.12, 0.12), 0.9), thin)
    return mask | _bar(u, v, (-0.55, -0.1), (-0.95, -0.5 + rng.uniform(-0.3, 0.3)), thin)


def _chair(rng: np.random.Generator, u: Floats, v: Floats, thin: float) -> _Mask:
    """Seat, three legs and a back."""
    mask = _box(u, v, 0.0, -0.12, 0.8, 0.2)
    for foot, spread in ((-0.7, -0.12), (0.7, 0.12)):
        mask |= _bar(u, v, (foot, 0.0), (foot + rng.uniform(0.0, 1.0) * spread, 0.9), thin)
    mask |= _bar(u, v, (0.0, 0.0), (rng.uniform(-0.15, 0.15), 0.9), thin)
    return mask | _bar(u, v, (-0.72, -0.2), (-0.72 + rng.uniform(-0.1, 0.1), -0.92), 1.4 * thin)


def _cycle(rng: np.random.Generator, u: Floats, v: Floats, thin: float) -> _Mask:
    """Two wheels with hubs, a frame, a handlebar and a saddle."""
    mask = _box(u, v, -0.15, -0.42, 0.25, 0.1)
    for axle in (-0.52, 0.52):
        rim = np.sqrt((u - axle) ** 2 + (v - 0.4) ** 2)
        mask |= (np.abs(rim - (0.42 - thin)) < 1.3 * thin) | (rim < 0.17)
    mask |= _bar(u, v, (-0.52, 0.4), (-0.1, -0.35), 1.6 * thin)
    mask |= _bar(u, v, (0.52, 0.4), (0.35, -0.5 + rng.uniform(-0.1, 0.1)), 1.6 * thin)
    mask |= _bar(u, v, (-0.1, -0.35), (0.4, -0.3), 1.6 * thin)
    return mask | _bar(u, v, (0.2, -0.55), (0.6, -0.6), thin)


def _boat(rng: np.random.Generator, u: Floats, v: Floats, thin: float) -> _Mask:
    """Sail, hull, mast and boom."""
    sail = (v > -0.75) & (v < 0.35) & (np.abs(u) < (v + 0.75) * (0.62 / 1.1))
    hull = (v > 0.5) & (v < 0.85) & (np.abs(u) < 0.75 - 0.6 * (v - 0.5))
    boom = 0.2 + rng.uniform(-0.15, 0.15)
    return sail | hull | _bar(u, v, (0.0, -0.95), (0.0, 0.8), thin) | _bar(u, v, (-0.95, boom), (0.95, boom), thin)


def _star(rng: np.random.Generator, u: Floats, v: Floats, thin: float) -> _Mask:
    """A disc with seven arms."""
    mask = _disc(u, v, 0.0, 0.0, 0.42)
    first = rng.uniform(0.0, 2.0 * math.pi)
    for arm in range(7):
        angle, length = first + 2.0 * math.pi * arm / 7.0, rng.uniform(0.75, 0.98)
        mask |= _bar(u, v, (0.0, 0.0), (length * math.cos(angle), length * math.sin(angle)), 1.2 * thin)
    return mask


_Draw = Callable[[np.random.Generator, Floats, Floats, float], _Mask]
DRAW: tuple[_Draw, ...] = (_animal, _chair, _cycle, _boat, _star)


def _colour(hue: float, saturation: float, value: float) -> Floats:
    return np.array(colorsys.hsv_to_rgb(hue % 1.0, min(saturation, 1.0), min(value, 1.0)), np.float32)


def _stripes(position: Floats, period: float, phase: float) -> _Mask:
    turns = position * (1.0 / period) + phase
    odd: _Mask = turns - np.floor(turns) < 0.5
    return odd


def paint(rng: np.random.Generator, texture: int, hue: float, right: Floats, down: Floats) -> Floats:
    """Colours of the pixels at (`right`, `down`) on an object, in px along its own axes. N, N -> N 3."""
    hue = rng.random() if rng.random() < HUE_ASTRAY else hue + rng.normal(0.0, HUE_SPREAD)
    saturation, value = rng.uniform(*SATURATION), rng.uniform(*VALUE)
    bright = _colour(hue, saturation, value)
    faded = _colour(
        hue + rng.normal(0.0, 0.03), saturation * rng.uniform(*FADE_SATURATION), value * rng.uniform(*FADE_VALUE)
    )
    period, phase = rng.uniform(*PERIOD_PX), rng.random()
    mix: Floats
    match texture:
        case 0:  # plain: a slow triangle wave, 125 px long, between a tenth and two fifths of the faded colour
            turns = right * 0.008 + phase
            mix = 0.1 + 0.6 * np.abs(turns - np.floor(turns) - 0.5)
        case 1:
            mix = _stripes(right, period, phase).astype(np.float32)
        case 2:
            mix = (_stripes(right, period, phase) ^ _stripes(down, period, phase)).astype(np.float32)
        case _:
            mix = _stripes(down, period, phase).astype(np.float32)
    grain = 1.0 + OBJECT_GRAIN * rng.standard_normal(mix.shape, dtype=np.float32)
    colours: Floats = (bright + (faded - bright) * mix[:, None]) * grain[:, None]
    return colours


def ground(rng: np.random.Generator, height: int, width: int, *, hues: tuple[float, ...] = HUES) -> Floats:
    """Two pale colours of these hues in patches, perhaps striped, with grain. H W 3."""
    first, second = (
        _colour(
            hues[rng.integers(len(hues))] + rng.normal(0.0, 0.04),
            rng.uniform(*GROUND_SATURATION),
            rng.uniform(*GROUND_VALUE),
        )
        for _ in range(2)
    )
    patches = 2.0 * _value_noise(rng, height, width, GROUND_CELLS_PX[rng.integers(len(GROUND_CELLS_PX))])
    mix = 0.5 + 0.5 * patches / np.sqrt(1.0 + patches * patches)
    if rng.random() < GROUND_STRIPED:
        angle, period = rng.uniform(0.0, math.pi), rng.uniform(*GROUND_PERIOD_PX)
        y = np.arange(height, dtype=np.float32)[:, None]
        x = np.arange(width, dtype=np.float32)[None]
        across = x * math.cos(angle) + y * math.sin(angle)
        mix = (1.0 - GROUND_STRIPES) * mix + GROUND_STRIPES * _stripes(across, period, rng.random())
    grain = GROUND_GRAIN * _value_noise(rng, height, width, 3)
    image: Floats = first + (second - first) * mix[..., None] + grain[..., None]
    return image


def _value_noise(rng: np.random.Generator, height: int, width: int, cell_px: int) -> Floats:
    """Normal numbers on a grid of `cell_px`, bilinear in between. H W."""
    grid = rng.standard_normal((height // cell_px + 2, width // cell_px + 2), dtype=np.float32)
    y, y_part = np.divmod(np.arange(height), cell_px)
    x, x_part = np.divmod(np.arange(width), cell_px)
    lower = (y_part / cell_px).astype(np.float32)[:, None]
    right = (x_part / cell_px).astype(np.float32)[None]
    rows = grid[y] * (1.0 - lower) + grid[y + 1] * lower
    noise: Floats = rows[:, x] * (1.0 - right) + rows[:, x + 1] * right
    return noise


def exposed(rng: np.random.Generator, image: Floats) -> NDArray[np.uint8]:
    """The picture as a camera would have it: light, noise, 8 bits. H W 3 -> H W 3."""
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    noise *= PIXEL_NOISE
    noise += image * rng.uniform(*LIGHT)
    noise += rng.normal(0.0, LIGHT_SHIFT)
    return (np.clip(noise, 0.0, 1.0) * 255.0).astype(np.uint8)
