"""Pictures and labels that are mirrored, shifted and cropped stay together, by the same draws as ever."""

import hashlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fcn.datasets.labels import VOID
from fcn.datasets.sample.scenes import scene
from fcn.datasets.transforms import Prepared, augmented, window

PLAIN: dict[str, Any] = {"mirror": False, "jitter": 0, "crop": None}


def prepared(label: NDArray[np.uint8]) -> Prepared:
    """A label as both targets, and as inputs whose values say where each pixel was and what it is."""
    height, width = label.shape
    place = 1 + np.arange(height * width, dtype=np.float32).reshape(1, height, width)
    return Prepared(inputs={"place": place, "class": label[None] + np.float32(1)}, labels={"one": label, "two": label})


@pytest.mark.parametrize(
    ("settings", "digest"),
    [
        ({"mirror": True}, "749273952740bf45"),
        ({"jitter": 9}, "5271cc8e2869a178"),
        ({"crop": 64}, "a08f675cca8aa3c5"),
        ({"crop": 200}, "ff3510ac55209708"),
        ({"mirror": True, "jitter": 5, "crop": 101}, "06f5c9de38bae3eb"),
    ],
)
def test_the_draws_are_those_of_the_first_trainings(settings: dict[str, Any], digest: str) -> None:
    """Pictures, labels and the next random number are, to the bit, those that commit 803fcf5 trained on."""
    total = hashlib.sha256()
    for index in range(20):
        drawn = scene(0, index)
        random = np.random.default_rng((7, index))
        image = np.ascontiguousarray(drawn.image.transpose(2, 0, 1), dtype=np.float32) - np.float32(115)
        given = Prepared(inputs={"rgb": image}, labels={"semantic": drawn.label})
        found = augmented(given, random, **{**PLAIN, **settings})
        image, label = found.inputs["rgb"], found.labels["semantic"]
        total.update(np.ascontiguousarray(image).tobytes() + np.ascontiguousarray(label).tobytes())
        total.update(repr((image.shape, str(image.dtype), label.shape, str(label.dtype), random.random())).encode())
    assert total.hexdigest()[:16] == digest


@given(
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    mirror=st.booleans(),
    jitter=st.integers(0, 5),
    crop=st.none() | st.integers(1, 15),
    seed=st.integers(0, 1000),
)
def test_all_inputs_and_labels_move_together(
    height: int, width: int, mirror: bool, jitter: int, crop: int | None, seed: int
) -> None:
    """Whatever is drawn, a pixel keeps its values and its classes; what lies outside is 0, and void in all labels."""
    label = np.random.default_rng(seed).integers(0, 21, (height, width), np.uint8)
    random = np.random.default_rng(seed)
    found = augmented(prepared(label), random, mirror=mirror, jitter=jitter, crop=crop)
    size = (height, width) if crop is None else (crop, crop)
    assert {values.shape[1:] for values in found.inputs.values()} == {size}
    assert found.size == size
    assert np.array_equal(found.labels["one"], found.labels["two"])
    inside = found.labels["one"] != VOID
    place = found.inputs["place"][0]
    assert np.array_equal(place != 0, inside)
    assert not found.inputs["class"][0][~inside].any()
    assert np.array_equal(found.inputs["class"][0][inside], found.labels["one"][inside] + np.float32(1))
    assert np.array_equal(label.ravel()[place[inside].astype(int) - 1], found.labels["one"][inside])


def test_nothing_asked_for_draws_nothing() -> None:
    """Without mirror, jitter and crop a sample stays the same object, and no random number is spent."""
    random, other = np.random.default_rng(0), np.random.default_rng(0)
    given = prepared(np.zeros((3, 4), np.uint8))
    assert augmented(given, random, **PLAIN) is given
    assert random.random() == other.random()


def test_a_window_far_outside_is_empty() -> None:
    """A window that misses the picture is all 0 and void."""
    found = window(prepared(np.ones((3, 4), np.uint8)), top=50, left=-50, height=2, width=5)
    assert found.size == (2, 5)
    assert (found.labels["one"] == VOID).all()
    assert not found.inputs["place"].any()
