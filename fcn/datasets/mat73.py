"""Pictures out of MATLAB's version 7.3 .mat files, which are HDF5: one of many at a time, every bound checked."""

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import DTypeLike, NDArray

from fcn.errors import InputError

# What a file says that it holds, it needn't hold.
_MOST_BYTES = 1 << 28  # of a picture, and of the pieces that they are kept in
_MOST_PACKED = 1100  # zlib makes at most 1,032 bytes of one


def shape(path: Path, name: str) -> tuple[int, ...]:
    """A variable's shape in MATLAB's order, which is HDF5's backwards. Raises InputError where it can't be read."""
    with _variable(path, name) as found:
        return tuple(found.shape[::-1])


def picture(path: Path, name: str, at: int, *, dtype: DTypeLike, size: tuple[int, ...]) -> NDArray[Any]:
    """`name(:, :, at)` of MATLAB, counted from 0, such as H W or H W C: its last dimension counts pictures.

    Raises InputError for another type of number or another `size`, and where it can't be read.
    """
    with _variable(path, name) as found:
        *one, count = found.shape[::-1]
        if found.dtype != dtype or tuple(one) != size or at >= count:
            raise InputError(
                f"{path}: {name} is {found.dtype} of shape {_by(found.shape[::-1])}; expected {np.dtype(dtype)} of "
                f"{_by(size)} x {at + 1} or more: fetch the file again"
            )
        values: NDArray[Any] = found[at]
    return values.T


@contextmanager
def _variable(path: Path, name: str) -> Iterator[h5py.Dataset]:
    with path.open("rb") as begin:
        if begin.read(10) == b"MATLAB 5.0":
            raise InputError(f"{path}: a version 5 .mat, where one of version 7.3 is expected (MATLAB's `save -v7.3`)")
    try:
        with h5py.File(path, "r") as file:
            linked = isinstance(file.get(name, getlink=True), h5py.HardLink)  # another may lead out of the file
            if not linked:
                others = [other for other in file if not other.startswith("#")]
                raise InputError(f"{path}: no variable {name}, found {', '.join(others[:8]) or 'nothing'}")
            found = file[name]
            if not isinstance(found, h5py.Dataset) or found.shape is None:
                raise InputError(f"{path}: {name} is no array of pictures, but a struct, or empty")
            sizes = (prod(found.shape[1:]), prod(found.chunks or ()), prod(found.shape) // _MOST_PACKED)
            most = (_MOST_BYTES, _MOST_BYTES, path.stat().st_size)
            large = any(size * found.dtype.itemsize > allowed for size, allowed in zip(sizes, most, strict=True))
            if found.ndim < 2 or large or found.external or found.is_virtual:
                raise InputError(f"{path}: {name} is no array of pictures, but {found.dtype} {_by(found.shape[::-1])}")
            yield found
    except InputError:
        raise
    except Exception as error:  # damaged bytes break h5py in many ways
        reason = "".join(letter for letter in " ".join(str(error).split()) if letter.isprintable())
        raise InputError(
            f"{path}: {name} can't be read from it as HDF5, which a .mat of version 7.3 is ({reason}); "
            "fetch or copy the file again"
        ) from None


def _by(sizes: tuple[int, ...]) -> str:
    return " x ".join(map(str, sizes))
