"""Reads the weights out of Caffe's .caffemodel files: protobuf's wire format, with the few fields that hold them.

The field numbers are those of BVLC's caffe.proto. What a file asks for in memory, it must hold.
"""

import math
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fcn.errors import InputError

_LAYERS = {100: (1, 7), 2: (4, 6)}  # NetParameter's `layer` and, until 2014, `layers`: which fields are name and blobs
_DATA, _DOUBLES, _SHAPE = 5, 8, 7  # of BlobProto
_OLD_SHAPE = (1, 2, 3, 4)  # num, channels, height, width
_DIM = 1  # of BlobShape
_MOST_DIMENSIONS = 32  # Caffe's own limit
_LONGEST_NAME = 100  # what is longer is of no layer that we know, and has to fit into a sentence
_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5
_VARINT_BYTES = 10  # of 64 bits, 7 in each


def layers(path: Path) -> dict[str, list[Tensor]]:
    """The blobs of every layer that has some, by its name, as the file has them: any shape, float32 or float64.

    A blob of the older form has four dimensions, with 1 for those that a vector or a matrix has not.
    Raises InputError for a missing, truncated or damaged file, and for another format.
    """
    if not path.is_file():
        raise InputError(
            f"{path}: no such file" if not path.exists() else f"{path} is a folder; a .caffemodel is wanted"
        )
    try:
        found = dict(_layers(memoryview(path.read_bytes())))
    except ValueError as error:
        raise InputError(f"{path} can't be read as a .caffemodel: {error}; copy or fetch it again") from None
    if not found:
        raise InputError(f"{path} has no layer with weights; a binary .caffemodel is wanted, no .prototxt and no mean")
    return found


def _layers(net: memoryview) -> Iterator[tuple[str, list[Tensor]]]:
    for number, layer in _fields(net):
        if number in _LAYERS and isinstance(layer, memoryview):
            name, blobs = "", []
            of_name, of_blobs = _LAYERS[number]
            for field, value in _fields(layer):
                if field == of_name and isinstance(value, memoryview):
                    name = str(value[:_LONGEST_NAME], "utf-8", "replace")
                elif field == of_blobs and isinstance(value, memoryview):
                    blobs.append(_blob(value, where=f"layer {name!r}"))
            if blobs:
                yield name, blobs


def _blob(blob: memoryview, *, where: str) -> Tensor:
    """One BlobProto. Its numbers may be packed or not, float or double; its diff is skipped."""
    raw = {_DATA: bytearray(), _DOUBLES: bytearray()}
    shape: list[int] = []
    old = dict.fromkeys(_OLD_SHAPE, 0)
    for field, value in _fields(blob):
        if isinstance(value, int):
            if field in old:
                old[field] = value
        elif field in raw:
            raw[field] += value
        elif field == _SHAPE:
            shape = _dimensions(value)
    shape = list(old.values()) if any(old.values()) else shape
    field = _DOUBLES if raw[_DOUBLES] else _DATA
    size = 8 if field == _DOUBLES else 4
    told = " x ".join(map(str, shape)) or "one number"
    if len(raw[field]) != math.prod(shape) * size:
        raise ValueError(f"{where} has {len(raw[field])} bytes of numbers for a blob of {told}")
    return torch.from_numpy(np.frombuffer(raw[field], f"<f{size}").reshape(shape))


def _dimensions(shape: memoryview) -> list[int]:
    """The numbers of a BlobShape, packed or one by one."""
    found: list[int] = []
    for field, value in _fields(shape):
        if field == _DIM:
            found += [value] if isinstance(value, int) else islice(_varints(value), _MOST_DIMENSIONS + 1)
        if len(found) > _MOST_DIMENSIONS:
            raise ValueError(f"a blob has more than {_MOST_DIMENSIONS} dimensions")
    return found


def _varints(packed: memoryview) -> Iterator[int]:
    at = 0
    while at < len(packed):
        number, at = _varint(packed, at)
        yield number


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and content of every field of a message: a varint as a number, anything else as its bytes."""
    at = 0
    while at < len(message):
        begin = at
        key, at = _varint(message, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            size, at = _varint(message, at)
        elif kind in (_FOUR_BYTES, _EIGHT_BYTES):
            size = 4 if kind == _FOUR_BYTES else 8
        else:
            raise ValueError(f"byte {begin} of a message begins a field of kind {kind}, which Caffe has not")
        if size > len(message) - at:
            raise ValueError(f"a field of {size} bytes is cut off after {len(message) - at}")
        yield key >> 3, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """The number that begins at a byte, and the byte behind it."""
    number = 0
    for place, byte in enumerate(message[at : at + _VARINT_BYTES]):
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return number, at + place + 1
    raise ValueError("a number has no end")
