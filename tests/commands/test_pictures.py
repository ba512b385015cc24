"""Pictures of every kind become RGB as a person sees them, and what is no picture is named."""

import io
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcn.commands import pictures
from fcn.commands.pictures import Picture
from fcn.errors import InputError, StageFailure


def _read(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return pictures.read(Picture(where=str(path), stem=path.stem))


def test_grey_palette_cmyk_and_sixteen_bits_become_rgb(tmp_path: Path) -> None:
    """Whatever the mode, H W 3 comes out, and a mid grey stays one."""
    grey = Image.new("L", (20, 10), 128)
    grey.save(tmp_path / "grey.png")
    grey.convert("RGB").convert("CMYK").save(tmp_path / "cmyk.jpg", quality=95)
    grey.convert("P").save(tmp_path / "palette.png")
    for name in ("grey.png", "cmyk.jpg", "palette.png"):
        image = _read(tmp_path / name)
        assert image.shape == (10, 20, 3)
        assert np.abs(image.astype(int) - 128).max() <= 3, name
    ramp = np.linspace(0, 65535, 200).astype(np.uint16).reshape(10, 20)
    Image.fromarray(ramp).save(tmp_path / "sixteen.png")
    image = _read(tmp_path / "sixteen.png")
    assert (image.min(), image.max()) == (0, 255)
    assert np.array_equal(image[:, :, 0], np.sort(image[:, :, 0].ravel()).reshape(10, 20))


def test_transparency_lies_on_white(tmp_path: Path) -> None:
    """What is wholly transparent is white, what is opaque keeps its colour."""
    image = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    image.putpixel((1, 0), (0, 0, 0, 0))
    image.save(tmp_path / "alpha.png")
    assert _read(tmp_path / "alpha.png").tolist() == [[[255, 0, 0], [255, 255, 255]]]


def test_a_turned_photo_is_turned_back(tmp_path: Path) -> None:
    """EXIF orientation 6 means that the picture was taken with the camera on its side."""
    exif = Image.Exif()
    exif[0x112] = 6
    Image.new("RGB", (40, 30)).save(tmp_path / "turned.jpg", exif=exif)
    assert _read(tmp_path / "turned.jpg").shape == (40, 30, 3)


def test_what_is_no_picture_is_named(tmp_path: Path) -> None:
    """A text file, an empty one and a picture that is cut short are InputErrors with the file's name."""
    (tmp_path / "text.jpg").write_text("hello", encoding="utf-8")
    (tmp_path / "empty.png").touch()
    whole = io.BytesIO()
    Image.effect_noise((80, 80), 50).save(whole, format="PNG")
    (tmp_path / "cut.png").write_bytes(whole.getvalue()[:2000])
    for name, words in (("text.jpg", "not a picture"), ("empty.png", "it is empty"), ("cut.png", "can't be read")):
        with pytest.raises(InputError, match=words) as caught:
            _read(tmp_path / name)
        assert name in str(caught.value)


def test_folders_are_walked_and_nothing_overwrites_anything(tmp_path: Path) -> None:
    """Pictures of a folder come in order; equal stems are numbered; a folder without any, and a typo, are named."""
    for name in ("b.png", "a.jpg", "deep/a.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found, wrong = pictures.find([str(tmp_path), str(tmp_path / "deep" / "a.png")])
    assert ([picture.stem for picture in found], wrong) == (["a", "b", "deep-a", "a-2"], [])
    (tmp_path / "none").mkdir()
    found, wrong = pictures.find([str(tmp_path / "none"), str(tmp_path / "b.png"), str(tmp_path / "typo.jpg")])
    assert [picture.stem for picture in found] == ["b"]
    assert "holds no pictures" in wrong[0]
    assert "no such file or folder" in wrong[1]


class _Pictures(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/photo.png" else 404)
        self.end_headers()
        if self.path == "/photo.png":
            photo = io.BytesIO()
            Image.new("RGB", (6, 4), "blue").save(photo, format="PNG")
            self.wfile.write(photo.getvalue())

    def log_message(self, format: str, *arguments: object) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[str]:
    """A local server with one photo."""
    with HTTPServer(("127.0.0.1", 0), _Pictures) as served:
        thread = threading.Thread(target=served.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()


def test_a_url_is_fetched(server: str) -> None:
    """A picture may be named by its URL; one that isn't there is a StageFailure with the answer."""
    ((picture,), _) = pictures.find([f"{server}/photo.png"])
    assert picture.stem == "photo"
    assert pictures.read(picture)[0, 0].tolist() == [0, 0, 255]
    with pytest.raises(StageFailure, match="404"):
        pictures.read(Picture(where=f"{server}/none.png", stem="none"))
