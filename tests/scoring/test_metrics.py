"""Every metric is the paper's formula, and absent classes count as in the reference release."""

import math
from fractions import Fraction
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fcn.scoring.histogram import histogram
from fcn.scoring.metrics import Metrics, class_metrics, constant_answer, metrics

Over = Literal["seen", "truth"]
Hist = NDArray[np.int64]


def mean(values: list[Fraction]) -> float:
    return float(sum(values) / len(values)) if values else math.nan


def by_the_formulas(hist: Hist, *, over: Over) -> Metrics:
    """CVPR section 5 in exact fractions, class by class."""
    n: list[list[int]] = hist.tolist()
    classes = range(len(n))
    t = [sum(n[i][j] for j in classes) for i in classes]
    union = [t[i] + sum(n[j][i] for j in classes) - n[i][i] for i in classes]
    total = sum(t)
    seen = [i for i in classes if (t[i] if over == "truth" else union[i]) > 0]
    present = [i for i in classes if t[i] > 0]
    return Metrics(
        pixel_acc=float(Fraction(sum(n[i][i] for i in classes), total)) if total else math.nan,
        mean_acc=mean([Fraction(n[i][i], t[i]) for i in present]),
        mean_iu=mean([Fraction(n[i][i], union[i]) for i in seen]),
        fw_iu=float(sum(Fraction(t[i] * n[i][i], union[i]) for i in present) / total) if total else math.nan,
    )


def values(of: Metrics) -> list[float]:
    return [of.pixel_acc, of.mean_acc, of.mean_iu, of.fw_iu]


def same(found: Metrics, wanted: Metrics) -> None:
    assert values(found) == pytest.approx(values(wanted), rel=1e-12, abs=1e-15, nan_ok=True)


@st.composite
def histograms(draw: st.DrawFn) -> Hist:
    """Square counts, with empty rows and columns among them, small or as large as a whole data set's."""
    classes = draw(st.integers(1, 8))
    largest = draw(st.sampled_from((1, 5, 10**9)))
    rows = draw(
        st.lists(
            st.lists(st.integers(0, largest), min_size=classes, max_size=classes), min_size=classes, max_size=classes
        )
    )
    hist = np.array(rows, dtype=np.int64)
    hist[draw(st.lists(st.integers(0, classes - 1), max_size=3))] = 0
    hist[:, draw(st.lists(st.integers(0, classes - 1), max_size=3))] = 0
    return hist


@given(hist=histograms(), over=st.sampled_from(("seen", "truth")))
def test_they_equal_an_independent_implementation(hist: Hist, over: Over) -> None:
    """On any histogram the four metrics are those of the formulas in exact fractions."""
    same(metrics(hist, over=over), by_the_formulas(hist, over=over))


EDGES = {
    "nothing was scored": ([[0, 0], [0, 0]], [math.nan] * 4, math.nan),
    "one class": ([[7]], [1, 1, 1, 1], 1),
    "all wrong": ([[0, 3], [5, 0]], [0, 0, 0, 0], 0),
    "absent, but predicted": ([[3, 1], [0, 0]], [3 / 4, 3 / 4, (3 / 4 + 0) / 2, 3 / 4], 3 / 4),
    "absent from both": (
        [[3, 1, 0], [2, 4, 0], [0, 0, 0]],
        [7 / 10, (3 / 4 + 4 / 6) / 2, (3 / 6 + 4 / 7) / 2, 0.4 * 3 / 6 + 0.6 * 4 / 7],
        (3 / 6 + 4 / 7) / 2,
    ),
    "there, but never predicted": ([[4, 0], [4, 0]], [1 / 2, 1 / 2, (4 / 8 + 0) / 2, 1 / 4], 1 / 4),
}


@pytest.mark.parametrize(("rows", "wanted", "over_truth"), EDGES.values(), ids=EDGES)
def test_the_edges_by_hand(rows: list[list[int]], wanted: list[float], over_truth: float) -> None:
    """A class that is nowhere is skipped; one that is only predicted has an IU of 0, or is skipped over "truth"."""
    hist = np.array(rows, dtype=np.int64)
    assert values(metrics(hist)) == pytest.approx(wanted, nan_ok=True)
    assert metrics(hist, over="truth").mean_iu == pytest.approx(over_truth, nan_ok=True)


@given(hist=histograms(), data=st.data())
def test_the_order_of_classes_does_not_matter(hist: Hist, data: st.DataObject) -> None:
    """Permuting classes keeps every metric, and permutes what each class has."""
    order = data.draw(st.permutations(range(len(hist))))
    permuted = hist[np.ix_(order, order)]
    same(metrics(permuted), metrics(hist))
    np.testing.assert_array_equal(class_metrics(permuted).iu, class_metrics(hist).iu[order])


@given(hist=histograms(), times=st.integers(1, 9))
def test_repeating_the_images_changes_nothing(hist: Hist, times: int) -> None:
    """The same images scored several times over have the same metrics."""
    same(metrics(times * hist), metrics(hist))


@given(hist=histograms())
def test_metrics_are_fractions_in_their_order(hist: Hist) -> None:
    """Every metric is from 0 to 1; IU is never above accuracy, by class and weighted by frequency."""
    found = metrics(hist)
    assert all(math.isnan(value) or -1e-12 <= value <= 1 + 1e-12 for value in values(found))
    assert math.isnan(found.fw_iu) or found.fw_iu <= found.pixel_acc + 1e-12
    by_class = class_metrics(hist)
    there = hist.sum(1) > 0
    assert (by_class.iu[there] <= by_class.accuracy[there]).all()


@given(hist=histograms(), images=st.integers(2, 4), seed=st.integers(0, 99))
def test_the_score_is_the_data_sets_not_the_images_mean(hist: Hist, images: int, seed: int) -> None:
    """Adding the images' histograms scores their pixels together, as one large image."""
    random = np.random.default_rng(seed)
    classes = len(hist)
    pairs = [random.integers(0, classes, (2, 5, random.integers(1, 9))).astype(np.uint8) for _ in range(images)]
    added = sum(histogram(truth, said, classes=classes) for truth, said in pairs)
    together = np.concatenate(pairs, axis=2)
    same(metrics(np.asarray(added)), metrics(histogram(*together, classes=classes)))


@given(counts=st.lists(st.integers(0, 10**6), min_size=1, max_size=30).filter(any))
def test_a_perfect_prediction_scores_one(counts: list[int]) -> None:
    """Where every pixel is right, all four metrics are 1, whichever classes are absent."""
    hist = np.diag(np.array(counts, dtype=np.int64))
    for over in ("seen", "truth"):
        same(metrics(hist, over=over), Metrics(pixel_acc=1, mean_acc=1, mean_iu=1, fw_iu=1))


@given(hist=histograms())
def test_class_metrics_are_nan_where_there_is_nothing_to_divide_by(hist: Hist) -> None:
    """A class absent from the truth has no accuracy, one absent from both has no IU; shares are of the truth."""
    found = class_metrics(hist)
    there = hist.sum(1) > 0
    np.testing.assert_array_equal(np.isnan(found.accuracy), ~there)
    np.testing.assert_array_equal(np.isnan(found.iu), ~there & (hist.sum(0) == 0))
    if hist.sum():
        assert found.share.sum() == pytest.approx(1)
        assert (found.iu[~there & (hist.sum(0) > 0)] == 0).all()


@given(seed=st.integers(0, 99), classes=st.integers(1, 21), data=st.data())
def test_the_constant_answer_is_that_of_a_constant_prediction(seed: int, classes: int, data: st.DataObject) -> None:
    """It is the histogram of the same truth against one class everywhere, whatever was predicted."""
    random = np.random.default_rng(seed)
    truth, predicted = random.integers(0, classes, (2, 6, 7)).astype(np.uint8)
    answer = data.draw(st.integers(0, classes - 1))
    wanted = histogram(truth, np.full_like(truth, answer), classes=classes)
    found = constant_answer(histogram(truth, predicted, classes=classes), answer=answer)
    np.testing.assert_array_equal(found, wanted)
    assert metrics(found).pixel_acc == pytest.approx((truth == answer).mean())


def test_all_background_on_voc_is_about_three_percent() -> None:
    """With three quarters of background among 21 classes, answering it everywhere has 3/4 / 21 of mean IU."""
    hist = np.diag(np.array([600] + [10] * 20, dtype=np.int64))
    assert metrics(constant_answer(hist)).mean_iu == pytest.approx(0.75 / 21)
