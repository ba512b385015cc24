"""The confusion histogram: rows are the truth, columns the prediction."""

import numpy as np
from numpy.typing import NDArray

from fcn.datasets.labels import VOID
from fcn.datasets.runs import counts, runs


def histogram(truth: NDArray[np.uint8], predicted: NDArray[np.uint8], *, classes: int) -> NDArray[np.int64]:
    """H W and H W class indices -> K K counts; void pixels of the truth don't count.

    Raises ValueError where the two differ in shape or hold a class that there isn't.
    """
    if truth.shape != predicted.shape:
        raise ValueError(f"truth is {truth.shape}, prediction {predicted.shape}; both must have the image's size")
    assert classes <= VOID
    (is_, said), times = runs(truth, predicted)
    if said.max(initial=0) >= classes:
        said = np.where(is_ == VOID, np.uint8(0), said)  # whatever is said of void
    pairs = is_.astype(np.uint16) * np.uint16(classes) + said
    hist = counts(pairs, times, most=(VOID + 1) * classes)
    if said.max(initial=0) >= classes or hist[classes * classes : VOID * classes].any():
        raise ValueError(f"a class index of {max(is_[is_ != VOID].max(), said.max())} with {classes} classes")
    return hist[: classes * classes].reshape(classes, classes)  # behind it is void
