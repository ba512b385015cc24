"""Labels of every format, read as class indices or refused."""

import io
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image

from fcn.datasets import labels, mat
from fcn.datasets.formats import sbd, voc
from fcn.errors import InputError
from tests.data import tiny

MAT = tiny.mat(tiny.label("2008_000004", void=False))
PNG = tiny.png(tiny.label("2008_000004", void=True))


def test_the_palette_is_vocs() -> None:
    """The palette has the colours that the VOC devkit gives its classes, and cream for void."""
    colours = labels.palette()
    assert colours.shape == (256, 3)
    assert colours[:6].tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128], [128, 0, 128]]
    assert colours[15].tolist() == [192, 128, 128]
    assert colours[20].tolist() == [0, 64, 128]
    assert colours[255].tolist() == [224, 224, 192]


def test_the_classes_are_vocs() -> None:
    """Both datasets have background and VOC's twenty classes in alphabetical order."""
    assert len(voc.CLASSES) == 21
    assert list(voc.CLASSES[1:]) == sorted(voc.CLASSES[1:])
    assert sbd.TARGETS == voc.TARGETS
    assert voc.TARGETS["semantic"].classes == voc.CLASSES


@given(values=hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=20)))
def test_a_written_label_reads_the_same(tmp_path_factory: pytest.TempPathFactory, values: NDArray[Any]) -> None:
    """What is written as a palette PNG is read back index for index, 255 too, and shows VOC's colours."""
    path = tmp_path_factory.mktemp("label") / "a.png"
    labels.write(values, path=path)
    assert np.array_equal(labels.read(path), values)
    with Image.open(path) as image:
        assert image.mode == "P"
        assert np.array_equal(np.asarray(image.convert("RGB")), labels.palette()[values])


def shown(values: NDArray[Any], colours: Mapping[int, Sequence[int]], **options: Any) -> bytes:
    """A palette PNG of these indices, with a colour for each of them."""
    image, out = Image.fromarray(values.astype(np.uint8)), io.BytesIO()
    image.putpalette([level for index in range(max(colours) + 1) for level in colours.get(index, (1, 1, 1))])
    image.save(out, "PNG", **options)
    return out.getvalue()


def grey(values: NDArray[Any], *, bits: int) -> bytes:
    """A grey PNG, whose pixels take these bits, as pypng and libpng write it."""
    rows = np.unpackbits(values.astype(np.uint8)[:, :, None], axis=2)[:, :, 8 - bits :].reshape(len(values), -1)
    raw = b"".join(b"\0" + row.tobytes() for row in np.packbits(rows, axis=1))
    head = struct.pack(">IIBBBBB", values.shape[1], len(values), bits, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(raw)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The file of a picture."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


MEANT = np.array([[0, 8, 8], [15, 255, 0]], np.uint8)
ORDER = np.array([[0, 2, 2], [1, 3, 0]], np.uint8)  # as indices, sorted otherwise
COLOURS = labels.palette()
TURNED = Image.Exif()
TURNED[0x0112] = 6  # viewers turn it to the right
CUT = {index: COLOURS[value] for index, value in enumerate((0, 15, 8, 255))}


@pytest.mark.parametrize(
    "content",
    [
        shown(MEANT, dict(enumerate(COLOURS))),
        shown(MEANT, dict(enumerate(COLOURS)), transparency=0),
        shown(MEANT, {**dict(enumerate(COLOURS)), 255: (255, 255, 255)}),
        shown(MEANT, {index: (index, index, index) for index in range(256)}),
        shown(ORDER, CUT, bits=2),
        shown(ORDER, {0: (0, 0, 0), 1: (15, 15, 15), 2: (8, 8, 8), 3: (255, 255, 255)}),
        saved(Image.fromarray(MEANT)),
        saved(Image.fromarray(MEANT.astype(np.uint16))),
        saved(Image.fromarray(np.rot90(MEANT)), exif=TURNED),
    ],
    ids=[
        "vocs",
        "transparent",
        "white void",
        "grey palette",
        "optimised",
        "optimised grey",
        "grey",
        "16 bits",
        "turned",
    ],
)
def test_a_label_is_what_it_shows(tmp_path: Path, content: bytes) -> None:
    """Indices, grey values or colours: where a label can mean one thing alone, that is read."""
    (tmp_path / "a.png").write_bytes(content)
    assert labels.read(tmp_path / "a.png", colours=voc.TARGETS["semantic"].palette).tolist() == MEANT.tolist()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (saved(Image.fromarray(MEANT).convert("RGB")), "its pixels are colours (mode RGB), not class indices"),
        (saved(Image.fromarray(MEANT).convert("1")), "a grey PNG of 1 bits: whether 1 in it is class 1"),
        (grey(MEANT % 2, bits=2), "a grey PNG of 2 bits: whether 1 in it is class 1"),
        (grey(MEANT % 16, bits=4), "a grey PNG of 4 bits: whether 1 in it is class 1"),
        (saved(Image.fromarray(MEANT.astype(np.uint16) * 257)), "the label has the value 65535; a class is 0..254"),
        (shown(ORDER, {**CUT, 2: (250, 50, 83)}), "pixels of index 2 are (250, 50, 83); if the indices are the"),
        (shown(ORDER, {0: COLOURS[0], 1: COLOURS[15], 2: COLOURS[8]}), "pixels of index 3 are without one"),
        (saved(Image.fromarray(MEANT), "JPEG"), "not a whole picture (it begins as no PNG does)"),
        (saved(Image.fromarray(MEANT), "BMP"), "not a whole picture (it begins as no PNG does)"),
        (saved(Image.fromarray(np.zeros((60, 60), np.uint8)))[:-30], "not a whole picture"),
        (saved(Image.fromarray(MEANT), save_all=True, append_images=[Image.fromarray(MEANT[::-1])]), "it has 2 frames"),
        (saved(Image.new("1", (12_000, 12_000))), "it has more than 89,478,485 pixels; shrink it first"),
    ],
)
def test_a_label_that_may_be_read_in_two_ways_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    """Colours, stretched bits, foreign palettes and what is no PNG are refused and called so, never guessed at."""
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        labels.read(path, colours=voc.TARGETS["semantic"].palette)
    assert str(caught.value).startswith(f"{path}: ")
    assert words in str(caught.value)


def read_mat(folder: Path, content: bytes) -> NDArray[Any]:
    """Read content as an SBD label."""
    (folder / "cls").mkdir(exist_ok=True)
    (folder / "cls" / "a.mat").write_bytes(content)
    return sbd.read({"sbd": folder}, "a").labels["semantic"]


def mat_of(compressed: bool = False, /, **variables: object) -> bytes:
    """A .mat with these variables."""
    out = io.BytesIO()
    file: Any = out  # which scipy can write to, though its stubs know paths only
    scipy.io.savemat(file, variables, do_compression=compressed)
    return out.getvalue()


def test_a_mat_is_read(tmp_path: Path) -> None:
    """The label in a .mat is GTcls.Segmentation as it was saved."""
    values = read_mat(tmp_path, MAT)
    assert values.dtype == np.uint8
    assert np.array_equal(values, tiny.label("2008_000004", void=False))


LABEL = np.arange(12, dtype=np.uint8).reshape(3, 4)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("number", ["u1", "i1", "u2", "i4", "u8", "f4", "f8", "?"])
def test_a_mat_is_read_as_scipy_reads_it(number: str, compressed: bool) -> None:
    """Every kind of number in a .mat is read as by scipy: a variable, a field, small, large, empty, after others."""
    random = np.random.default_rng(0)
    for shape in ((1, 1), (3, 4), (0, 0), (40, 30), (5, 6, 3)):
        values = random.integers(0, 2, shape).astype(number)
        struct = {"Boundaries": scipy.sparse.csc_array(LABEL), "Names": ["a", "bc"], "Segmentation": values}
        content = mat_of(compressed, first=LABEL, S=values, GTcls=struct)
        file: Any = io.BytesIO(content)
        theirs = scipy.io.loadmat(file)
        for address, expected in (("S", theirs["S"]), ("GTcls.Segmentation", theirs["GTcls"]["Segmentation"].item())):
            found = mat.array(content, address)
            assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
            assert np.array_equal(found, expected)


def announced(words: bytes, size: int) -> bytes:
    """An element of 8 bytes, after these words, with another size than it has: what flipped bits make."""
    content = bytearray(mat_of(False, GTcls={"Segmentation": LABEL}))
    at = content.index(words) + len(words)
    content[at : at + 4] = size.to_bytes(4, "little")
    return bytes(content)


def bomb() -> bytes:
    """A variable that is a kilobyte for each megabyte that it would take."""
    content = zlib.compress(bytes(1 << 27), 9)
    return MAT[:128] + (15).to_bytes(4, "little") + len(content).to_bytes(4, "little") + content


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (mat_of(GTinst={"Segmentation": np.zeros((2, 2), np.uint8)}), "no variable GTcls, found GTinst"),
        (mat_of(GTcls={"Boundaries": np.zeros((2, 2), np.uint8)}), "no field Segmentation, found Boundaries"),
        (mat_of(GTcls=np.zeros((2, 3))), "no field Segmentation, found double of shape (2, 3)"),
        (mat_of(GTcls={"Segmentation": np.zeros((2, 2, 3), np.uint8)}), "uint8 of shape (2, 2, 3); expected whole"),
        (mat_of(GTcls={"Segmentation": np.full((2, 2), 0.5)}), "float64 of shape (2, 2); expected whole"),
        (mat_of(GTcls={"Segmentation": np.full((2, 2), 1e300)}), "float64 of shape (2, 2); expected whole"),
        (mat_of(GTcls={"Segmentation": np.full((2, 2), np.inf)}), "float64 of shape (2, 2); expected whole"),
        (mat_of(GTcls={"Segmentation": np.full((2, 2), 1j)}), "no array of real numbers, but complex double of"),
        (mat_of(GTcls={"Segmentation": "dog"}), "no array of real numbers, but text of shape"),
        (mat_of(GTcls={"Segmentation": np.full((2, 2), 300, np.uint16)}), "300..300, and allowed are 0..255"),
        (mat_of(GTcls={"Segmentation": np.full((2, 2), -1, np.int16)}), "-1..-1, and allowed are 0..255"),
        (b"", "its 0 bytes don't begin as a version 5 file"),
        (b"<html>Not found</html>", "its 22 bytes don't begin as a version 5 file"),
        (MAT[: len(MAT) // 2], "no variable GTcls, found nothing"),
        (MAT[:-1], "damaged or cut off"),
        (b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(400), "of version 7.3, where one of version 5"),
        (announced(b"Segmentation\0\0\0\0\x0e\0\0\0", 0xFFFFFFFF), "4,294,967,303 should be"),
        (announced(b"Segmentation\0\0\0\0", 9), "damaged: type 9 where a variable should be"),
        (bomb(), "more than 67,108,864 bytes in a variable"),
    ],
)
def test_a_mat_without_the_label_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    """A .mat without GTcls.Segmentation, a damaged or hostile one, is named with what was found instead."""
    with pytest.raises(InputError) as caught:
        read_mat(tmp_path, content)
    assert str(caught.value).startswith(str(tmp_path / "cls" / "a.mat"))
    assert words in str(caught.value)


def check_end(read: Callable[[], NDArray[Any]]) -> None:
    """Reading ends with a label, or with an error of one line."""
    try:
        ended: NDArray[Any] | str = read()
    except InputError as error:
        ended = str(error)
    assert "\n" not in ended if isinstance(ended, str) else ended.ndim == 2


@given(at=st.integers(0, len(MAT) - 1), flip=st.integers(1, 255), keep=st.integers(1, len(MAT)))
def test_a_damaged_mat_never_ends_otherwise(
    tmp_path_factory: pytest.TempPathFactory, at: int, flip: int, keep: int
) -> None:
    """Whatever byte of a .mat is wrong, and wherever it is cut off, the end is a label or one clear error."""
    spoilt = bytearray(MAT)
    spoilt[at] ^= flip
    folder = tmp_path_factory.mktemp("mat")
    check_end(lambda: read_mat(folder, bytes(spoilt[:keep])))


@given(at=st.integers(0, len(PNG) - 1), flip=st.integers(1, 255), keep=st.integers(0, len(PNG)))
def test_a_damaged_png_never_ends_otherwise(
    tmp_path_factory: pytest.TempPathFactory, at: int, flip: int, keep: int
) -> None:
    """Whatever byte of a PNG is wrong, and wherever it is cut off, the end is a label or one clear error."""
    path = tmp_path_factory.mktemp("png") / "a.png"
    spoilt = bytearray(PNG)
    spoilt[at] ^= flip
    path.write_bytes(spoilt[:keep])
    check_end(lambda: labels.read(path))
