"""The sample's pictures: pure, labelled as VOC labels, balanced."""

from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage

from fcn.config import load
from fcn.datasets.labels import VOID
from fcn.datasets.sample import scenes
from fcn.datasets.sample.scenes import CROP_RADIUS_PX, KINDS, SIZES_PX, crops, edges, scene


@pytest.mark.parametrize("index", [0, 7, 123456])
def test_a_scene_is_a_pure_function_of_seed_and_index(index: int) -> None:
    """The same seed and index give the same picture and label, whatever was drawn in between."""
    first = scene(3, index)
    scene(3, index + 1)
    crops(3, 2, size_px=96)
    again = scene(3, index)
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.label, again.label)


def test_another_seed_or_index_gives_another_picture() -> None:
    """No two of 40 scenes are equal, across two seeds."""
    pictures = {scene(seed, index).image.tobytes() for seed in (0, 1) for index in range(20)}
    assert len(pictures) == 40


def test_shapes_and_types() -> None:
    """Image H W 3 and label H W are uint8 of one size, and every listed size turns up."""
    scenes = [scene(0, index) for index in range(60)]
    for drawn in scenes:
        assert drawn.image.dtype == drawn.label.dtype == drawn.instances.dtype == np.uint8
        assert drawn.image.shape == (*drawn.label.shape, 3)
        assert drawn.label.shape == drawn.instances.shape == drawn.mask.shape
    assert {drawn.label.shape for drawn in scenes} == set(SIZES_PX)


def test_labels_are_classes_or_void() -> None:
    """A label holds 0..20 and 255 only, a mask 0..20 only, and they differ only where the label is void."""
    for index in range(20):
        drawn = scene(1, index)
        assert set(np.unique(drawn.label).tolist()) <= {*range(KINDS + 1), VOID}
        assert int(drawn.mask.max()) <= KINDS
        assert np.array_equal(drawn.label != VOID, drawn.label == drawn.mask)


def test_objects_are_called_what_they_are(repository: Path) -> None:
    """The sample's class names have each kind's texture and shape: striped stands, banded lies, checked is both."""
    down, right = np.mgrid[:60, :60].reshape(2, -1).astype(np.float32)
    words = []
    for texture in range(scenes.TEXTURES):
        drawn = scenes.paint(np.random.default_rng(2), texture, 0.5, right, down).max(1).reshape(60, 60)
        across, along = (bool(np.abs(np.diff(drawn, axis=axis)).mean() > 0.1) for axis in (1, 0))
        words.append([["plain", "banded"], ["striped", "checked"]][across][along])
    shapes = [draw.__name__.strip("_") for draw in scenes.DRAW]
    kinds = [f"{words[kind // len(shapes)]} {shapes[kind % len(shapes)]}" for kind in range(KINDS)]
    for profile in ("params.yaml", "profiles/smoke/params.yaml"):
        named = {name: list(entry.classes) for name, entry in load(repository / profile).datasets.items()}
        assert named["voc2012"] == named["sbd"] == ["background", *kinds], profile


@pytest.mark.parametrize("start", [0, 13])
def test_twenty_scenes_in_a_row_hold_every_class(start: int) -> None:
    """The object in front takes turns, so any 20 scenes in a row hold background, void and all 20 objects."""
    found = {int(value) for index in range(start, start + KINDS) for value in np.unique(scene(2, index).label)}
    assert found == {*range(KINDS + 1), VOID}


def test_void_is_a_band_of_one_pixel_on_both_sides_of_every_edge() -> None:
    """No two instances touch without void, and every void pixel touches another instance."""
    for index in range(20):
        drawn = scene(0, index)
        void = drawn.label == VOID
        assert np.array_equal(void, edges(drawn.instances))
        least = scipy.ndimage.minimum_filter(drawn.instances, footprint=_CROSS)
        most = scipy.ndimage.maximum_filter(drawn.instances, footprint=_CROSS)
        assert np.array_equal(void, least != most)


_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], bool)


def test_label_statistics_are_those_of_the_measured_recipe() -> None:
    """Background is about 79 % of the pixels and void about 6 %: what the sample's recipes were tuned on."""
    labels = np.concatenate([scene(0, index).label.ravel() for index in range(120)])
    assert 0.76 < np.mean(labels == 0) < 0.82
    assert 0.045 < np.mean(labels == VOID) < 0.075


def test_most_objects_have_thin_parts() -> None:
    """Opening the masks with an 8 px square loses between a tenth and two thirds of the objects' pixels."""
    lost = []
    for index in range(40):
        mask = scene(0, index).mask > 0
        kept = scipy.ndimage.binary_opening(mask, np.ones((8, 8), bool))
        lost.append(1 - kept.sum() / mask.sum())
    assert 0.1 < float(np.mean(lost)) < 0.67


def test_crops_are_pure_and_prefix_stable() -> None:
    """A longer call begins with what a shorter one returns, and another seed gives other pictures."""
    few, few_kinds = crops(5, 6, size_px=96)
    more, more_kinds = crops(5, 9, size_px=96)
    other, _ = crops(6, 6, size_px=96)
    assert few.shape == (6, 96, 96, 3)
    assert few.dtype == np.uint8
    assert few_kinds.dtype == np.int64
    assert np.array_equal(few, more[:6])
    assert np.array_equal(few_kinds, more_kinds[:6])
    assert not any(np.array_equal(one, another) for one, another in zip(few, other, strict=True))


def test_crops_are_balanced() -> None:
    """Every kind 0..19 occurs equally often, in the head and in the tail of the crops."""
    _, kinds = crops(0, 60, size_px=32)
    assert np.bincount(kinds[:40], minlength=KINDS).tolist() == [2] * KINDS
    assert np.bincount(kinds[40:], minlength=KINDS).tolist() == [1] * KINDS


def test_crops_take_the_asked_size() -> None:
    """`size_px` is the side of the picture; the object keeps its size in px."""
    images, _ = crops(0, 2, size_px=64)
    assert images.shape == (2, 64, 64, 3)
    assert CROP_RADIUS_PX[0] < 32
