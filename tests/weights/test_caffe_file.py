"""Caffe's binary files: the blobs of every layer, in each form that there is of them, and nothing of a damaged one."""

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from fcn.errors import InputError
from fcn.nets import caffe_file

Blob = NDArray[np.float32]

LENET = Path(__file__).resolve().parents[3] / "shared" / "weights" / "lenet_iter_10000.caffemodel"
RANDOM = np.random.default_rng(0)
LAYERS: dict[str, list[Blob]] = {
    "conv": [RANDOM.normal(size=(4, 3, 2, 2)).astype(np.float32), RANDOM.normal(size=4).astype(np.float32)],
    "fc": [RANDOM.normal(size=(5, 300)).astype(np.float32), RANDOM.normal(size=5).astype(np.float32)],
}


def varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first, all but the last byte with their eighth set."""
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def field(number: int, content: int | bytes) -> bytes:
    """A field of a message: a varint, or bytes behind their length."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def blob(array: Blob, *, legacy: bool, packed: bool, double: bool) -> bytes:
    """A BlobProto, with a diff beside its data, and its shape as Caffe wrote it before 2015 or since."""
    kind, number, wire = ("<f8", 8, 1) if double else ("<f4", 5, 5)
    raw = array.astype(kind).tobytes()
    size = int(kind[-1])
    single = (varint(number << 3 | wire) + raw[at : at + size] for at in range(0, len(raw), size))
    data = field(number, raw) if packed else b"".join(single)
    diff = field(6, np.ones(3, "<f4").tobytes())
    if legacy:
        four = (1,) * (4 - array.ndim) + array.shape
        return b"".join(field(place, size) for place, size in enumerate(four, 1)) + data + diff
    dims = b"".join(varint(size) for size in array.shape)
    shape = field(1, dims) if packed else b"".join(field(1, size) for size in array.shape)
    return data + diff + field(7, shape)


def caffemodel(
    layers: Mapping[str, Sequence[Blob]],
    *,
    v1: bool = False,
    legacy: bool = False,
    packed: bool = True,
    double: bool = False,
) -> bytes:
    """A NetParameter with these layers, and one without blobs, each with fields that a reader of weights skips."""
    number, of_name, of_blobs = (2, 4, 6) if v1 else (100, 1, 7)
    made = field(1, b"a net") + field(3, b"data")
    for name, blobs in {"data": (), **layers}.items():
        skipped = field(2 if v1 else 3, b"bottom") + varint(1002 << 3 | 5) + struct.pack("<f", 1)
        wrapped = (field(of_blobs, blob(each, legacy=legacy, packed=packed, double=double)) for each in blobs)
        made += field(number, field(of_name, name.encode()) + skipped + b"".join(wrapped))
    return made


def written(path: Path, content: bytes) -> Path:
    """The file with these bytes."""
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("v1", [False, True], ids=["layer", "layers"])
@pytest.mark.parametrize("packed", [False, True], ids=["one by one", "packed"])
@pytest.mark.parametrize("double", [False, True], ids=["float", "double"])
def test_every_form_holds_the_same_numbers(tmp_path: Path, v1: bool, packed: bool, double: bool) -> None:
    """Layers of either kind give the blobs that were written, packed or not, float or double; no other layer does."""
    found = caffe_file.layers(
        written(tmp_path / "net.caffemodel", caffemodel(LAYERS, v1=v1, packed=packed, double=double))
    )
    assert list(found) == list(LAYERS)
    for name, blobs in LAYERS.items():
        assert [each.shape for each in found[name]] == [each.shape for each in blobs]
        assert all((each.numpy() == wanted).all() for each, wanted in zip(found[name], blobs, strict=True))


def test_the_older_shape_has_four_dimensions(tmp_path: Path) -> None:
    """num, channels, height and width are the shape, with ones before those of a matrix and of a vector."""
    found = caffe_file.layers(written(tmp_path / "net.caffemodel", caffemodel(LAYERS, legacy=True)))
    assert [tuple(each.shape) for each in found["fc"]] == [(1, 1, 5, 300), (1, 1, 1, 5)]
    assert (found["fc"][0].numpy() == LAYERS["fc"][0]).all()


def test_a_true_file_is_read() -> None:
    """Caffe's LeNet on MNIST has the layers and shapes that it was trained with, and their bytes."""
    if not LENET.is_file():
        pytest.skip(f"needs {LENET.name} in ../shared/weights, which is not part of the project")
    found = caffe_file.layers(LENET)
    assert {name: [tuple(each.shape) for each in blobs] for name, blobs in found.items()} == {
        "conv1": [(20, 1, 5, 5), (20,)],
        "conv2": [(50, 20, 5, 5), (50,)],
        "ip1": [(500, 800), (500,)],
        "ip2": [(10, 500), (10,)],
    }
    whole = LENET.read_bytes()
    assert all(each.numpy().tobytes() in whole for blobs in found.values() for each in blobs)
    assert all(0.01 < float(blobs[0].std()) < 0.3 for blobs in found.values())


WHOLE = caffemodel(LAYERS)


def of_one_blob(content: bytes) -> bytes:
    """A net with one layer "a", whose one blob has these bytes."""
    return field(100, field(1, b"a") + field(7, content))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "has no layer with weights; a binary .caffemodel is wanted"),
        (blob(LAYERS["fc"][1], legacy=True, packed=True, double=False), "has no layer with weights"),
        (b"<!DOCTYPE html>", r"can't be read as a .caffemodel: byte 0 of a message begins a field of kind 4, .*again$"),
        (b'name: "LeNet"', "begins a field of kind 6, which Caffe has not"),
        (WHOLE[:-1], r"a field of \d+ bytes is cut off after \d+; copy or fetch it again"),
        (WHOLE[: len(WHOLE) // 2], "is cut off after"),
        (b"\x08" + b"\xff" * 11, "a number has no end"),
        (b"\x08\xff", "a number has no end"),
        (of_one_blob(field(5, bytes(12)) + field(7, field(1, b"\x04"))), "layer 'a' has 12 bytes of .* a blob of 4"),
        (of_one_blob(field(5, bytes(7)) + field(7, field(1, b"\x02"))), "has 7 bytes of numbers for a blob of 2"),
        (of_one_blob(b""), "has 0 bytes of numbers for a blob of one number"),
        (of_one_blob(field(7, field(1, varint(2**63) * 2))), "has 0 bytes of numbers for a blob of 9223"),
        (of_one_blob(field(7, field(1, b"\x00" + varint(2**63)))), "can't be read as a .caffemodel"),
        (of_one_blob(field(7, field(1, b"\x01" * 33))), "a blob has more than 32 dimensions"),
        (of_one_blob(field(7, field(1, 1) * 33)), "a blob has more than 32 dimensions"),
        (of_one_blob(field(7, field(1, b"\x01" * 32))), "has 0 bytes of numbers for a blob of 1 x 1 x"),
        (of_one_blob(field(5, bytes(12)) + field(1, 3)), "has 12 bytes of numbers for a blob of 3 x 0 x 0 x 0"),
        (field(1, b"abcde")[:-2], "a field of 5 bytes is cut off after 3;"),
        (field(100, field(1, b"a\xff") + field(7, b"")), "layer 'a\ufffd' has 0 bytes"),
        (field(100, field(1, b"a" * 5000) + field(7, b"")), "layer 'a{100}' has 0 bytes"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else None,
)
def test_what_is_no_whole_file_is_a_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    """An empty, foreign, cut off or contradictory file says what was found, and asks for no memory that it lacks."""
    with pytest.raises(InputError, match=sentence):
        caffe_file.layers(written(tmp_path / "net.caffemodel", content))


def test_what_is_no_file_is_a_sentence(tmp_path: Path) -> None:
    """A path that leads nowhere, and a folder, are told."""
    with pytest.raises(InputError, match=r"gone\.caffemodel: no such file"):
        caffe_file.layers(tmp_path / "gone.caffemodel")
    with pytest.raises(InputError, match=r"is a folder; a \.caffemodel is wanted"):
        caffe_file.layers(tmp_path)


def test_a_damaged_file_is_read_or_refused_in_a_sentence(tmp_path: Path) -> None:
    """A byte that is changed, anywhere but in the numbers, gives an InputError, if any error."""
    small = caffemodel({"a": [np.ones((2, 3), np.float32), np.ones(2, np.float32)]})
    refused = 0
    for position in range(len(small)):
        changed = small[:position] + bytes([small[position] ^ 0xFF]) + small[position + 1 :]
        try:
            caffe_file.layers(written(tmp_path / "net.caffemodel", changed))
        except InputError:
            refused += 1
    assert refused > 20
