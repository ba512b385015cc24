"""Arrays out of MATLAB's version 5 .mat files, every bound checked: damaged bytes are refused, and do no harm."""

import re
import struct
import zlib
from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn.errors import InputError

# MATLAB's "MAT-File Format", level 5: after the header come elements, each with its type, its size and its content.
_HEADER = 128  # bytes; the last four are version and byte order
_ORDERS = {b"\0\x01IM": "<", b"\x01\0MI": ">"}
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_MATRIX, _COMPRESSED = 14, 15
_CLASSES = {1: "cell", 2: "struct", 3: "object", 4: "text", 5: "sparse", 6: "double", 7: "single"}
_ARRAYS = range(6, 16)  # double, single, and whole numbers of 1 to 8 bytes
_COMPLEX = 0x08
_MOST_BYTES = 1 << 26  # of a variable; the largest of SBD has 0.7 MB


def array(content: bytes, address: str) -> NDArray[Any]:
    """The array at `address`, such as `GTcls.Segmentation`, in the type of number that the file stores.

    Raises InputError for what is no whole such file, and for one without an array there.
    """
    order = _ORDERS.get(content[_HEADER - 4 : _HEADER])
    if order is None:
        raise InputError(f"its {len(content):,} bytes don't begin as a version 5 file, MATLAB's `save -v7`, does")
    name, *fields = address.split(".")
    found = []
    for matrix in _variables(_Elements(memoryview(content)[_HEADER:], order)):
        if matrix.name == name:
            for field in fields:
                matrix = matrix.field(field)
            return matrix.array()
        found.append(matrix.name)
    raise InputError(f"no variable {name}, found {', '.join(found[:5]) or 'nothing'}")


class _Elements:
    """A stretch of bytes, taken element by element."""

    def __init__(self, content: memoryview, order: str) -> None:
        self.content, self.order, self.at = content, order, 0

    def take(self) -> tuple[int, memoryview]:
        """Type and content of the next one."""
        start = self._bytes(8)
        kind, size = struct.unpack(f"{self.order}II", start)
        if kind >> 16:  # a small one: its size stands beside its type, its content where else the size is
            return kind & 0xFFFF, start[4:][: kind >> 16]
        content = self._bytes(size)
        if kind != _COMPRESSED:
            self.at += -size % 8
        return kind, content

    def numbers(self) -> NDArray[Any]:
        """The next one, of numbers."""
        kind, content = self.take()
        if kind not in _NUMBERS or len(content) % int(_NUMBERS[kind][1]):
            raise InputError(f"damaged: {len(content):,} bytes of type {kind} where numbers should be")
        return np.frombuffer(content, self.order + _NUMBERS[kind])

    def _bytes(self, size: int) -> memoryview:
        here = len(self.content) - self.at
        if size > here:
            raise InputError(f"damaged or cut off: {max(here, 0):,} bytes where {size:,} should be")
        self.at += size
        return self.content[self.at - size : self.at]


class _Matrix:
    """A variable or a field: name, class and shape; what is in it is read when it is asked for."""

    def __init__(self, kind: int, content: memoryview, order: str) -> None:
        if kind != _MATRIX:
            raise InputError(f"damaged: type {kind} where a variable should be")
        self._inside = _Elements(content, order)
        flags, shape, name = (self._inside.numbers() for _ in range(3))
        word = int(flags[0]) if flags.dtype.itemsize == 4 and flags.size == 2 else 0
        self.name, self._class, self._complex = _text(name.tobytes()), word & 0xFF, bool(word >> 8 & _COMPLEX)
        self.shape = tuple(shape.tolist())
        if shape.dtype.kind not in "iu" or not 2 <= len(self.shape) <= 8 or min(self.shape) < 0:
            raise InputError(f"damaged: {self.name or 'a variable'} has no shape that there can be")

    def field(self, name: str) -> "_Matrix":
        """A field of a struct."""
        fields: list[str] = []
        if self._class == 2 and prod(self.shape) == 1:
            (width, *_), names = self._inside.numbers().tolist() or [0], self._inside.numbers().tobytes()
            if not 0 < width <= len(names):
                raise InputError(f"damaged: {self.name} has fields without names")
            fields = [_text(names[at : at + width]) for at in range(0, len(names), width)]
        if name not in fields:
            raise InputError(f"{self.name} has no field {name}, found {', '.join(fields) or self._what()}")
        for _ in fields[: fields.index(name)]:
            self._inside.take()
        found = _Matrix(*self._inside.take(), self._inside.order)
        found.name = f"{self.name}.{name}"
        return found

    def array(self) -> NDArray[Any]:
        """Its numbers, in its shape."""
        if self._class not in _ARRAYS or self._complex:
            raise InputError(f"{self.name} is no array of real numbers, but {self._what()}")
        numbers = self._inside.numbers()
        if numbers.size != prod(self.shape):
            raise InputError(f"damaged: {self.name} has {numbers.size:,} numbers for {self._what()}")
        return numbers.reshape(self.shape, order="F")

    def _what(self) -> str:
        return f"{_CLASSES.get(self._class, 'numbers')} of shape {self.shape}"


def _variables(elements: _Elements) -> Iterator[_Matrix]:
    while elements.at < len(elements.content):
        kind, content = elements.take()
        if kind == _COMPRESSED:
            kind, content = _Elements(_decompressed(content), elements.order).take()
        yield _Matrix(kind, content, elements.order)


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
