"""Scenes with true depth: pure, of faces that lie where they are said to, with labels that depth and horizon decide."""

import numpy as np
import pytest

from fcn.datasets.hha import Camera, hha
from fcn.datasets.sample import views
from fcn.datasets.sample.scenes import KINDS
from fcn.datasets.sample.views import HEIGHTS, SHAPE_NAMES, Face, View, hit, towards, view

CAMERA = Camera(fx=130, fy=130, cx=80.5, cy=60.5, height=120, width=160)
BOTH = pytest.mark.parametrize("where", ["room", "country"])


def seen(drawn: View) -> set[str]:
    """The names of what is in a picture."""
    return {drawn.what[number] for number in np.unique(drawn.faces)}


@BOTH
def test_a_view_is_a_pure_function(where: str) -> None:
    """The same arguments give the same picture, depth and faces, another seed or index gives another picture."""
    first, again = (view(3, 7, where=where, camera=CAMERA) for _ in range(2))
    assert first.image.dtype == first.faces.dtype == np.uint8
    assert first.depth.dtype == np.float32
    for one, other in ((first.image, again.image), (first.depth, again.depth), (first.faces, again.faces)):
        assert np.array_equal(one, other)
    assert not np.array_equal(first.image, view(4, 7, where=where, camera=CAMERA).image)
    assert not np.array_equal(first.image, view(3, 8, where=where, camera=CAMERA).image)


@BOTH
def test_twenty_views_in_a_row_hold_every_thing(where: str) -> None:
    """The object in front, boxes and grounds take turns, so that a small archive has every class."""
    things = set().union(*(seen(view(0, index, where=where, camera=CAMERA)) for index in range(KINDS)))
    rooms, country = {"wall", "floor", "ceiling", "picture", "mat", *HEIGHTS}, {*views.GROUNDS, *views.BACKDROPS}
    assert things == {*SHAPE_NAMES, *(rooms if where == "room" else country | {"sky", "sun", "mark"})}


def test_a_face_is_met_where_it_is() -> None:
    """From any camera, each pixel's point on a face lies in the face's plane, and rays that miss it are none of it."""
    rays = towards(CAMERA, pitch=15, roll=4)
    floor, _ = hit(Face(what="floor", down=(1.3, 1.3)), rays)
    front, inside = hit(Face(what="front", right=(-0.5, 0.5), down=(0.2, 1.0), ahead=(2.0, 2.0)), rays)
    below = rays[1] > 0.01
    assert np.allclose((rays[1] * floor)[below], 1.3)
    points = [ray * front for ray in rays]
    assert np.allclose(points[2], 2.0, atol=1e-4)
    assert np.array_equal(inside, (np.abs(points[0]) <= 0.5) & (points[1] >= 0.2) & (points[1] <= 1.0))
    assert 0 < inside.mean() < 1


@BOTH
def test_depth_is_that_of_the_nearest_face(where: str) -> None:
    """A pixel's depth is where its ray meets the face that is seen there, and no whole face lies before it."""
    for index in range(4):
        drawn, rng = (
            view(1, index, where=where, camera=CAMERA),
            np.random.default_rng([1, views._STREAMS[where], index]),
        )
        pitch, roll = rng.uniform(*views.PITCH_DEG[where]), rng.uniform(-views.ROLL_DEG, views.ROLL_DEG)
        faces = {"room": views._room, "country": views._country}[where](rng, index, CAMERA)
        rays = towards(CAMERA, pitch=pitch, roll=roll)
        for number, face in enumerate(faces, start=1):
            away, inside = hit(face, rays)
            here = drawn.faces == number
            assert inside[here].all()
            assert np.array_equal(drawn.depth[here], away[here])
            assert face.kind is not None or (drawn.depth <= away)[inside].all()
        assert drawn.faces.all() == (where == "room")  # whose walls leave nothing open


def test_what_is_painted_has_no_depth_of_its_own() -> None:
    """A picture is as deep as the wall around it, where what stands is nearer: depth tells apart what looks alike."""
    pictures = 0
    for index in range(12):
        drawn = view(2, index, where="room", camera=CAMERA)
        names = np.array(drawn.what)[drawn.faces]
        for name in ("picture", *SHAPE_NAMES):
            beside = (names[:, 1:] == name) & (names[:, :-1] == "wall")
            step = np.abs(np.diff(drawn.depth, axis=1))[beside]
            assert not step.size or (np.median(step) < 0.1) == (name == "picture")
            pictures += name == "picture" and step.size > 0
    assert pictures


def test_height_tells_boxes_apart() -> None:
    """The level top of a box, by HHA, is as high above the floor as its name says."""
    found = set()
    for index in range(12):
        drawn = view(0, index, where="room", camera=CAMERA)
        encoded = hha(drawn.depth, missing=np.zeros(drawn.depth.shape, bool), camera=CAMERA)
        names = np.array(drawn.what)[drawn.faces]
        for name, (low, high) in HEIGHTS.items():
            top = (names == name) & (encoded[:, :, 2] < 42)  # a floor has 38
            if top.sum() > 50 and (names == "floor").sum() > 500:
                height_m = np.median(encoded[:, :, 1][top]) / 100
                assert low - 0.05 < height_m < high + 0.05
                found.add(name)
    assert {"low", "middle"} <= found  # the camera is mostly below the top of a high one


def test_the_horizon_parts_sky_and_ground() -> None:
    """Nothing level is above the horizon, and no open sky below it."""
    for index in range(12):
        drawn = view(5, index, where="country", camera=CAMERA)
        names = np.array(drawn.what)[drawn.faces]
        assert np.isinf(drawn.depth[names == "sky"]).all()
        assert np.isfinite(drawn.depth[names != "sky"]).all()
        ground = np.isin(names, [*views.GROUNDS, "mark"])
        rows = np.arange(CAMERA.height)[:, None] + np.zeros(CAMERA.width)
        for column in range(0, CAMERA.width, 20):
            level, sky = ground[:, column], names[:, column] == "sky"
            if level.any() and sky.any():
                assert rows[sky, column].max() < rows[level, column].min()
