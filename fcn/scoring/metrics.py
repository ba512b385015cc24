"""The four metrics of CVPR section 5, and their classes, from one confusion histogram."""

from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Fractions from 0 to 1; NaN where nothing was scored."""

    pixel_acc: float
    mean_acc: float
    mean_iu: float
    fw_iu: float


METRICS = tuple(item.name for item in fields(Metrics))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassMetrics:
    """Per class, shape (K,): NaN where a class has nothing to be divided by."""

    accuracy: NDArray[np.float64]
    iu: NDArray[np.float64]
    share: NDArray[np.float64]


def class_metrics(hist: NDArray[np.int64]) -> ClassMetrics:
    """K K counts, rows = truth -> accuracy n_ii / t_i, IU n_ii / (t_i + sum_j n_ji - n_ii), share t_i / sum t."""
    hits = np.diag(hist).astype(np.float64)
    truth, predicted = hist.sum(1), hist.sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return ClassMetrics(
            accuracy=hits / truth, iu=hits / (truth + predicted - hits), share=truth / np.float64(truth.sum())
        )


def metrics(hist: NDArray[np.int64], *, over: Literal["seen", "truth"] = "seen") -> Metrics:
    """K K counts, rows = truth -> the four metrics.

    Means of IU are taken over the classes seen in truth or prediction, as the reference release does, or over those
    in the truth alone, as in SIFT Flow's table; of accuracy over those in the truth.
    """
    by_class = class_metrics(hist)
    in_truth = hist.sum(1) > 0
    counted = in_truth if over == "truth" else ~np.isnan(by_class.iu)
    total = hist.sum()
    return Metrics(
        pixel_acc=float(np.trace(hist) / total) if total else float("nan"),
        mean_acc=_mean(by_class.accuracy[in_truth]),
        mean_iu=_mean(by_class.iu[counted]),
        fw_iu=float((by_class.share[in_truth] * by_class.iu[in_truth]).sum()) if total else float("nan"),
    )


def constant_answer(hist: NDArray[np.int64], *, answer: int = 0) -> NDArray[np.int64]:
    """The histogram of a predictor that answers one class everywhere, on the same truth."""
    constant = np.zeros_like(hist)
    constant[:, answer] = hist.sum(1)
    return constant


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if values.size else float("nan")
