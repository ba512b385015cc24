"""The confusion histogram counts every valid pixel once, in the row of its truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fcn.datasets.labels import VOID
from fcn.scoring.histogram import histogram


def counted(truth: NDArray[np.uint8], predicted: NDArray[np.uint8], classes: int) -> list[list[int]]:
    """Pixel by pixel."""
    rows = [[0] * classes for _ in range(classes)]
    for is_, said in zip(truth.ravel().tolist(), predicted.ravel().tolist(), strict=True):
        if is_ != 255:
            rows[is_][said] += 1
    return rows


@st.composite
def labelled(draw: st.DrawFn) -> tuple[NDArray[np.uint8], NDArray[np.uint8], int]:
    """A truth with void, a prediction of its size, and how many classes there are: noise, or runs of one class."""
    classes = draw(st.sampled_from((1, 2, 3, 21, 60, 255)))
    height, width = draw(st.integers(0, 9)), draw(st.integers(0, 9))
    random = np.random.default_rng(draw(st.integers(0, 999)))
    truth = random.integers(0, classes, (height, width)).astype(np.uint8)
    truth[random.random((height, width)) < draw(st.sampled_from((0, 0.3, 1)))] = VOID
    predicted = random.integers(0, classes, (height, width)).astype(np.uint8)
    run, other = draw(st.sampled_from(((1, 1), (9, 9), (40, 40), (60, 20), (20, 60))))
    truth, predicted = (values.repeat(times, 1) for values, times in ((truth, run), (predicted, other)))
    start, end = draw(st.integers(0, 9)), min(truth.shape[1], predicted.shape[1])
    return truth[:, start:end], predicted[:, start:end], classes


@given(labelled())
def test_it_counts_what_a_loop_counts(case: tuple[NDArray[np.uint8], NDArray[np.uint8], int]) -> None:
    """Entry (i, j) is the number of pixels of class i that were called j; void pixels are in none."""
    truth, predicted, classes = case
    hist = histogram(truth, predicted, classes=classes)
    assert hist.dtype == np.int64
    assert hist.shape == (classes, classes)
    assert hist.tolist() == counted(truth, predicted, classes)
    assert hist.sum() == (truth != VOID).sum()


@given(labelled(), st.integers(0, 999))
def test_it_does_not_care_where_pixels_are(case: tuple[NDArray[np.uint8], NDArray[np.uint8], int], seed: int) -> None:
    """Pixels shuffled alike in truth and prediction, or split over two images, give the same histogram."""
    truth, predicted, classes = case
    order = np.random.default_rng(seed).permutation(truth.size)
    whole = histogram(truth, predicted, classes=classes)
    shuffled = truth.ravel()[order], predicted.ravel()[order]
    assert (histogram(*shuffled, classes=classes) == whole).all()
    cut = seed % (truth.size + 1)
    parts = [
        histogram(*(pixels[part] for pixels in shuffled), classes=classes) for part in (slice(cut), slice(cut, None))
    ]
    assert (parts[0] + parts[1] == whole).all()


def test_what_is_said_of_void_does_not_matter() -> None:
    """A prediction out of range where the truth is void is no error and counts nowhere."""
    truth = np.array([[0, VOID]], dtype=np.uint8)
    predicted = np.array([[1, 250]], dtype=np.uint8)
    assert histogram(truth, predicted, classes=2).tolist() == [[0, 1], [0, 0]]


def test_two_sizes_are_refused() -> None:
    """A prediction of another size than its truth is refused with both sizes, even where it could be broadcast."""
    truth = np.zeros((4, 5), dtype=np.uint8)
    for shape in ((5, 4), (1, 5), (20,)):
        with pytest.raises(ValueError, match=r"truth is \(4, 5\), prediction \("):
            histogram(truth, np.zeros(shape, dtype=np.uint8), classes=2)


@pytest.mark.parametrize(("is_", "said"), [(2, 0), (0, 2), (77, 1), (254, 0), (1, 255)])
def test_a_class_that_there_is_not_is_refused(is_: int, said: int) -> None:
    """A class index beyond the count is refused by its number, in truth and in prediction, void beside it."""
    truth, predicted = (np.array([[0, value, void]], dtype=np.uint8) for value, void in ((is_, VOID), (said, 200)))
    with pytest.raises(ValueError, match=f"class index of {max(is_, said)} with 2 classes"):
        histogram(truth, predicted, classes=2)
