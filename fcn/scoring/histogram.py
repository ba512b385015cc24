"""The confusion histogram: rows are the truth, columns the prediction."""

import numpy as np
from numpy.typing import NDArray

from fcn.datasets.labels import VOID


def histogram(truth: NDArray[np.uint8], predicted: NDArray[np.uint8], *, classes: int) -> NDArray[np.int64]:
    """H W and H W class indices -> K K counts; void pixels of the truth don't count.

    Raises ValueError where the two differ in shape or hold a class that there isn't.
    """
    if truth.shape != predicted.shape:
        raise ValueError(f"truth is {truth.shape}, prediction {predicted.shape}; both must have the image's size")
    valid = truth != VOID
    pairs = classes * truth[valid].astype(np.int64) + predicted[valid]
    if pairs.size and (int(truth[valid].max()) >= classes or int(predicted[valid].max()) >= classes):
        raise ValueError(f"a class index of {max(truth[valid].max(), predicted[valid].max())} with {classes} classes")
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)
