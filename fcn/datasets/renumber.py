"""From the numbers that a dataset's own labels have to class indices."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn.datasets.labels import VOID
from fcn.errors import InputError


def renumber(values: NDArray[Any], table: Sequence[int], *, first: int = 0, path: Path) -> NDArray[np.uint8]:
    """H W, whole numbers -> H W: `table` has what becomes of the number `first`, the next, and so on; 255 is void.

    Raises InputError for other numbers; its message begins with `path`, from where the values are.
    """
    if values.dtype == np.uint8 and (first, table) == (0, range(VOID + 1)):
        return values.copy(order="C")
    low, high, last = int(values.min()), int(values.max()), first + len(table) - 1
    if low < first or high > last:
        raise InputError(
            f"{path}: its values are {low}..{high}, and allowed are {first}..{last}; fetch it again, or leave its "
            "image out"
        )
    return np.array(table, np.uint8)[values.astype(np.int64) - first]
