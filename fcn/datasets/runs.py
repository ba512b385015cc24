"""Pixels of labels counted by runs: neighbours mostly are of one class, and eight of them are compared at once."""

import numpy as np
from numpy.typing import NDArray

_WORD = 8  # bytes


def runs(*maps: NDArray[np.uint8]) -> tuple[list[NDArray[np.uint8]], NDArray[np.int64] | None]:
    """Maps of one shape -> values of each, M, and how often each M-th pixel of all of them stands there; None is once.

    The order of pixels is lost. Where no more than half of the eights repeat the one before, nothing is put together:
    noise costs what counting pixel by pixel does.
    """
    flat = [each.ravel() for each in maps]
    whole = flat[0].size // _WORD * _WORD
    words = [each[:whole].view(np.uint64) for each in flat]
    begins = np.ones(len(words[0]), bool)
    np.not_equal(words[0][1:], words[0][:-1], out=begins[1:])
    for each in words[1:]:
        begins[1:] |= each[1:] != each[:-1]
    at = np.flatnonzero(begins)
    if 2 * len(at) > len(begins) or not len(at):
        return flat, None
    times = np.repeat(np.diff(at, append=len(begins)), _WORD)
    values = [np.concatenate([each[at].view(np.uint8), rest[whole:]]) for each, rest in zip(words, flat, strict=True)]
    return values, np.concatenate([times, np.ones(flat[0].size - whole, times.dtype)])


def counts(numbers: NDArray[np.unsignedinteger], times: NDArray[np.int64] | None, *, most: int) -> NDArray[np.int64]:
    """How often each number below `most` is there: `times`, or once each."""
    if times is None:
        return np.bincount(numbers, minlength=most)
    return np.bincount(numbers, times, minlength=most).astype(np.int64)  # floats that hold whole numbers exactly
