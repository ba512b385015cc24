"""Labels of every format, read as class indices or refused."""

import io
import zlib
from collections.abc import Callable
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

from fcn.datasets import audit, labels, mat
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


def test_a_png_of_colours_is_refused(tmp_path: Path) -> None:
    """A label that was saved as colours is refused and called so, instead of read as wrong classes."""
    path = tmp_path / "a.png"
    Image.open(io.BytesIO(PNG)).convert("RGB").save(path)
    with pytest.raises(InputError, match=r"its pixels are colours \(mode RGB\), not class indices"):
        labels.read(path)


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
        (mat_of(GTcls={"Segmentation": np.full((2, 2), 1j)}), "no array of real numbers"),
        (mat_of(GTcls={"Segmentation": "dog"}), "no array of real numbers, but text of shape"),
        (mat_of(GTcls={"Segmentation": np.full((2, 2), 300, np.uint16)}), "has values 300..300"),
        (mat_of(GTcls={"Segmentation": np.full((2, 2), -1, np.int16)}), "has values -1..-1"),
        (b"", "its 0 bytes don't begin as a version 5 file"),
        (b"<html>Not found</html>", "its 22 bytes don't begin as a version 5 file"),
        (MAT[: len(MAT) // 2], "no variable GTcls, found nothing"),
        (MAT[:-1], "damaged or cut off"),
        (b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(400), "don't begin as a version 5 file"),
        (announced(b"Segmentation\0\0\0\0\x0e\0\0\0", 0xFFFFFFFF), "4,294,967,295 should be"),
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


def audited(folder: Path, values: NDArray[Any], *, image: bytes | None = None) -> NDArray[Any]:
    """Audit a label against an image."""
    path = folder / "a.jpg"
    path.write_bytes(tiny.jpeg() if image is None else image)
    size = audit.size(path)
    return audit.check(values.astype(np.uint8), name="2007_000001", size=size, picture=str(path), classes=21)


def test_the_audit_counts_pixels(tmp_path: Path) -> None:
    """A good label passes, and its pixels are counted by value."""
    pixels = audited(tmp_path, tiny.label("2007_000001", void=True))
    assert pixels.sum() == tiny.SIZE[0] * tiny.SIZE[1]
    assert pixels[255] == tiny.SIZE[1]


@pytest.mark.parametrize("value", [21, 77, 254])
def test_a_value_that_is_no_class_is_refused(tmp_path: Path, value: int) -> None:
    """One pixel with a value that is neither a class nor void is enough, and the message has it."""
    values = tiny.label("2007_000001", void=True)
    values[3, 3] = value
    words = rf"2007_000001: the label has the value {value} in 1 pixels; allowed are 0\.\.20, and 255 for void"
    with pytest.raises(InputError, match=words):
        audited(tmp_path, values)


@pytest.mark.parametrize("size", [(9, 12), (12, 10), (24, 18)])
def test_a_label_of_another_size_is_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    """A label that has not its image's size is refused with both sizes; a turned one too."""
    words = f"2007_000001: the label has 12x9 pixels, its image .* {size[0]}x{size[1]}"
    with pytest.raises(InputError, match=words):
        audited(tmp_path, tiny.label("2007_000001", void=True), image=tiny.jpeg(size))


@pytest.mark.parametrize("keep", [0, 100, -40])
def test_a_cut_image_is_refused(tmp_path: Path, keep: int) -> None:
    """An image that is not whole fails the audit, not the training weeks later."""
    noise = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).save(out, "JPEG")
    with pytest.raises(InputError, match="not a whole image"):
        audited(tmp_path, np.zeros((90, 120)), image=out.getvalue()[:keep])
