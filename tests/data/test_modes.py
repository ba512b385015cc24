"""Pictures of every kind: one reading of them for training, predict and MLflow's model, and none by other programs."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcn.commands.predictions import pictures
from fcn.datasets import modes
from fcn.datasets.samples import Samples
from fcn.errors import InputError
from fcn.predict import pixels
from tests.data.test_samples import ORIENTATION, dataset

NOISE = np.random.default_rng(0).integers(0, 256, (9, 12, 4), np.uint8)
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(hostile) print\nshowpage\n%%EOF\n"


def file_of(image: Image.Image, kind: str, **options: object) -> bytes:
    """The picture as a file."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def turned() -> Image.Exif:
    """What a camera on its side writes."""
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    return exif


PICTURES = {
    "exif": file_of(Image.fromarray(NOISE[:, :, :3]), "JPEG", exif=turned()),
    "cmyk": file_of(Image.fromarray(NOISE, "CMYK"), "JPEG"),
    "grey": file_of(Image.fromarray(NOISE[:, :, 0]), "JPEG"),
    "rgba": file_of(Image.fromarray(NOISE, "RGBA"), "PNG"),
    "palette": file_of(Image.fromarray(NOISE[:, :, :3]).convert("P"), "PNG", transparency=3),
    "16 bits": file_of(Image.fromarray(NOISE[:, :, 0].astype(np.uint16) * 200), "PNG"),
    "floats": file_of(Image.fromarray(NOISE[:, :, 0].astype(np.float32) / 255), "TIFF"),
    "animation": file_of(Image.new("L", (5, 4), 9), "GIF", save_all=True, append_images=[Image.new("L", (5, 4), 200)]),
}


@pytest.mark.parametrize("content", PICTURES.values(), ids=PICTURES.keys())
def test_everybody_reads_a_picture_alike(tmp_path: Path, content: bytes) -> None:
    """Training and scoring, predict, and MLflow's model see the same pixels in any kind of picture."""
    folder = dataset(tmp_path / "data")
    path = folder / "rgb" / "a.jpg"
    path.write_bytes(content)
    trained = Samples(folder, ["a"]).read_input("a", "rgb")
    assert trained.dtype == np.uint8
    assert trained.shape[2] == 3
    assert np.array_equal(pictures.read(pictures.find([str(path)], out=tmp_path / "out")[0][0]), trained)
    assert np.array_equal(pixels(content), trained)


def read(path: Path) -> list[object]:
    """The first row of the red channel."""
    with modes.opened(path) as image:
        found: list[object] = modes.rgb(image)[0, :, 0].tolist()
    return found


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 257, 65535]], np.uint16), [0, 1, 255]),
        (np.array([[257, 514, 771]], np.uint16), [1, 2, 3]),
        (np.array([[0, 257, 65535]], np.int32), [0, 1, 255]),
        (np.array([[0.0, 0.5, 0.2]], np.float32), [0, 128, 51]),
    ],
)
def test_a_number_is_the_same_grey_in_every_picture(
    tmp_path: Path, values: np.ndarray[tuple[int, int], np.dtype[np.generic]], expected: list[int]
) -> None:
    """16 bits are 0..65535, and floats 0..1, in whatever company: no picture is stretched by its own range."""
    Image.fromarray(values).save(tmp_path / "a.tif")
    assert read(tmp_path / "a.tif") == expected


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.array([[0, np.nan]], np.float32), "a.tif: its numbers are nan..nan, and in a picture of floats 0..1"),
        (np.array([[0, 300]], np.float32), "a.tif: its numbers are 0..300, and in a picture of floats 0..1; save it"),
        (np.array([[-1, 70000]], np.int32), "-1..70000, and in a picture of whole numbers 0..65535; save it with 8"),
    ],
)
def test_numbers_without_a_grey_are_refused(
    tmp_path: Path, values: np.ndarray[tuple[int, int], np.dtype[np.generic]], words: str
) -> None:
    """NaN, and numbers outside of their range, are refused, not guessed at."""
    Image.fromarray(values).save(tmp_path / "a.tif")
    with pytest.raises(InputError) as caught:
        read(tmp_path / "a.tif")
    assert words in str(caught.value)


def test_no_other_program_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """EPS under the name of a JPEG is refused as none, and Ghostscript, were it there, isn't asked."""
    ghostscript = tmp_path / "gs"
    ghostscript.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    ghostscript.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (tmp_path / "a.jpg").write_bytes(EPS)
    with pytest.raises(InputError, match=r"a\.jpg: not a whole picture \(it begins as no JPEG or PNG or .* does\)"):
        read(tmp_path / "a.jpg")
    assert not (tmp_path / "started").exists()


def test_frames_are_counted(tmp_path: Path) -> None:
    """An animation is told from a picture, of which a phone's JPEG may carry a second beside it."""
    (tmp_path / "a.gif").write_bytes(PICTURES["animation"])
    image = Image.fromarray(NOISE[:, :, :3])
    image.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[image])
    for name, count in (("a.gif", 2), ("a.jpg", 1)):
        with modes.opened(tmp_path / name) as opened:
            assert modes.frames(opened) == count


def test_a_picture_that_wants_more_memory_is_told_so(tmp_path: Path) -> None:
    """Whether it has many pixels or a damaged header that says so: the advice is the picture's, not the machine's."""
    Image.fromarray(NOISE[:, :, :3]).save(tmp_path / "a.png")
    words = r"a\.png: not a whole picture \(what it asks for is more memory than there is\); save it anew"
    with pytest.raises(InputError, match=words), modes.opened(tmp_path / "a.png"):
        raise MemoryError
