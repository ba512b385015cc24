"""Arrays out of MATLAB's version 5 .mat files, every bound checked: damaged bytes are refused, and do no harm."""

import re
import struct
import zlib
from collections.abc import Iterator
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn.errors import InputError

# MATLAB's "MAT-File Format", level 5: after the header come elements, each with its type, its size and its content.
_HEADER = 128  # bytes; the last four are version and byte order
_ORDERS = {b"\0\x01IM": "<", b"\x01\0MI": ">"}
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_MATRIX, _COMPRESSED = 14, 15
_STRUCT = 2
_CLASSES = {1: "cell", 2: "struct", 3: "object", 4: "text", 5: "sparse", 6: "double", 7: "single"}
_ARRAYS = range(6, 16)  # double, single, and whole numbers of 1 to 8 bytes
_COMPLEX = 0x800
_NOTHING = (0, memoryview(b""))
_MOST_WHOLE = 2**31  # classes are smaller, and what isn't may be infinite, or no number
_MOST_BYTES = 1 << 26  # of a variable; the largest of SBD has 0.7 MB


def array(content: bytes, address: str) -> NDArray[Any]:
    """The array at `address`, such as `GTcls.Segmentation`, in the type of number that the file stores.

    Raises InputError for what is no whole such file, and for one without an array there.
    """
    order = _ORDERS.get(content[_HEADER - 4 : _HEADER])
    if order is None:
        if content.startswith(b"MATLAB 7.3"):
            raise InputError("it is a .mat of version 7.3, where one of version 5 is expected (MATLAB's `save -v7`)")
        raise InputError(f"its {len(content):,} bytes don't begin as a version 5 file, MATLAB's `save -v7`, does")
    name, *fields = address.split(".")
    found = []
    for kind, element in _elements(memoryview(content)[_HEADER:], order):
        if kind == _COMPRESSED:
            kind, element = next(_elements(_decompressed(element), order), _NOTHING)
        matrix = _Matrix(kind, element, order)
        if matrix.name == name:
            for field in fields:
                matrix = matrix.field(field)
            return matrix.array()
        found.append(matrix.name)
    raise InputError(f"no variable {name}, found {', '.join(found[:5]) or 'nothing'}")


def label(path: Path, address: str, *, dataset: str) -> NDArray[Any]:
    """The whole numbers, H W, that a dataset has for a picture in a file of its own.

    Raises InputError for a file that is no whole .mat, or holds no such array; the message begins with its path.
    """
    try:
        values = array(path.read_bytes(), address)
    except FileNotFoundError:
        raise InputError(f"{path}: no such label; every listed image needs one") from None
    except InputError as error:
        raise InputError(
            f"{path}: no label of {dataset} can be read from it: {error}; it should be a whole .mat file of version 5 "
            f"with {address}: fetch it again, name what is meant, or leave its image out"
        ) from None
    if values.dtype.kind == "f" and bool(((np.abs(values) < _MOST_WHOLE) & (values == np.rint(values))).all()):
        values = values.astype(np.int64)  # MATLAB's numbers are doubles, if nobody says otherwise
    if values.ndim != 2 or values.dtype.kind not in "ui" or values.size == 0:
        raise InputError(f"{path}: {address} is {values.dtype} of shape {values.shape}; expected whole numbers, H x W")
    return values


class _Matrix:
    """A variable or a field: name, class and shape; what is in it is read when it is asked for."""

    def __init__(self, kind: int, content: memoryview, order: str) -> None:
        if kind != _MATRIX:
            raise InputError(f"damaged: type {kind} where a variable should be")
        self._inside, self._order = _elements(content, order), order
        flags, shape, name = (self._numbers() for _ in range(3))
        word = int(flags[0]) if flags.dtype.itemsize == 4 and flags.size == 2 else 0
        self.name, self._class, self._complex = _text(name.tobytes()), word & 0xFF, bool(word & _COMPLEX)
        self._shape = tuple(shape.tolist())
        if shape.dtype.kind not in "iu" or not 2 <= len(self._shape) <= 8 or min(self._shape) < 0:
            raise InputError(f"damaged: {self.name or 'a variable'} has no shape that there can be")

    def field(self, name: str) -> "_Matrix":
        """A field of a struct."""
        fields: list[str] = []
        if self._class == _STRUCT and prod(self._shape) == 1:
            (width, *_), names = self._numbers().tolist() or [0], self._numbers().tobytes()
            if not 0 < width <= len(names):
                raise InputError(f"damaged: {self.name} has fields without names")
            fields = [_text(names[at : at + width]) for at in range(0, len(names), width)]
        if name not in fields:
            raise InputError(f"{self.name} has no field {name}, found {', '.join(fields) or self._what()}")
        found = _Matrix(*next(islice(self._inside, fields.index(name), None), _NOTHING), self._order)
        found.name = f"{self.name}.{name}"
        return found

    def array(self) -> NDArray[Any]:
        """Its numbers, in its shape."""
        if self._class not in _ARRAYS or self._complex:
            raise InputError(f"{self.name} is no array of real numbers, but {self._what()}")
        numbers = self._numbers()
        if numbers.size != prod(self._shape):
            raise InputError(f"damaged: {self.name} has {numbers.size:,} numbers for {self._what()}")
        return numbers.reshape(self._shape, order="F")

    def _numbers(self) -> NDArray[Any]:
        kind, content = next(self._inside, _NOTHING)
        if kind not in _NUMBERS or len(content) % int(_NUMBERS[kind][1]):
            raise InputError(f"damaged: {len(content):,} bytes of type {kind} where numbers should be")
        return np.frombuffer(content, self._order + _NUMBERS[kind])

    def _what(self) -> str:
        return f"{'complex ' * self._complex}{_CLASSES.get(self._class, 'numbers')} of shape {self._shape}"


def _elements(content: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Type and content of each."""
    at = 0
    while at < len(content):
        start = content[at : at + 8]
        kind, size = struct.unpack(f"{order}II", start) if len(start) == 8 else (0, 0)
        if kind >> 16:  # a small one: its size stands beside its type, its content where else the size is
            yield kind & 0xFFFF, start[4:][: kind >> 16]
        elif len(start) < 8 or size > len(content) - at - 8:
            raise InputError(f"damaged or cut off: {len(content) - at:,} bytes where {size + 8:,} should be")
        else:
            yield kind, content[at + 8 : at + 8 + size]
            at += size if kind == _COMPRESSED else size + -size % 8
        at += 8


def _decompressed(content: memoryview) -> memoryview:
    stream = zlib.decompressobj()
    try:
        plain = stream.decompress(content, _MOST_BYTES)
    except zlib.error as error:
        raise InputError(f"damaged ({error})") from None
    if not stream.eof:
        how = f"more than {_MOST_BYTES:,} bytes in a variable" if len(plain) >= _MOST_BYTES else "cut off"
        raise InputError(f"damaged or cut off: {how}")
    return memoryview(plain)


def _text(content: bytes) -> str:
    """A name, in which MATLAB has letters, digits and _ alone; anything else, which is damage, is shown as `?`."""
    return re.sub(r"\W", "?", content.split(b"\0")[0].decode("latin-1"), flags=re.ASCII)
