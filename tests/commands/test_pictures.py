"""Pictures of every kind become RGB as a person sees them, and what is no picture is named."""

import io
import os
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcn.commands.predictions import pictures, results
from fcn.commands.predictions.pictures import Picture
from fcn.errors import InputError, StageFailure


def _read(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return pictures.read(_named(path))


def _named(where: str | Path) -> Picture:
    ((picture,), wrong, _) = pictures.find([str(where)], out=Path("none"))
    assert not wrong
    return picture


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
    for name, words in (("text.jpg", "it begins as no"), ("empty.png", "it begins as no"), ("cut.png", "truncated")):
        with pytest.raises(InputError, match=words) as caught:
            _read(tmp_path / name)
        assert name in str(caught.value)


def test_a_folder_s_pictures_come_in_order(tmp_path: Path) -> None:
    """Hidden files, folders and predict's results are passed over; a folder without pictures, and a typo, are named.

    Other files that are passed over are counted by their kinds, and so is a photo that has the name of a result.
    """
    names = (
        "b.PNG",
        "a.jpg",
        "deep/a.png",
        "notes.txt",
        "._a.jpg",
        ".cache/c.png",
        "deep/IMG.HEIC",
        "IMG.heic",
        "READ",
    )
    for name in (*names, "a.jpg.fcn-label.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "b.PNG.fcn-shares.json").write_text(f'{{"made_by": "{results.MADE_BY}"}}', encoding="utf-8")
    for name in ("folder.png", "none"):
        (tmp_path / name).mkdir()
    (tmp_path / "linked").symlink_to("folder.png")
    given = [str(tmp_path), str(tmp_path / "deep" / "a.png"), str(tmp_path / "deep")]
    found, wrong, passed = pictures.find(given, out=tmp_path / "out")
    begins = ["a.jpg.fcn", "b.PNG.fcn", "deep/a.png.fcn", "a.png.fcn", "a.png.fcn2"]
    assert ([str(picture.result) for picture in found], wrong) == (begins, [])
    assert "2 .heic, 1 .txt, 1 linking to a folder, 1 named like results of predict, 1 without a suffix" in passed[0]
    assert "1 .heic; of folders pictures alone are taken" in passed[1]
    os.mkfifo(tmp_path / "pipe")
    given = [str(tmp_path / name) for name in ("none", "b.PNG", "typo.jpg", "pipe")]
    found, wrong, _ = pictures.find(given, out=tmp_path / "out")
    assert [picture.where for picture in found] == [str(tmp_path / "b.PNG")]
    assert "holds no pictures" in wrong[0]
    assert "no such file or folder" in wrong[1]
    assert "neither a file nor a folder; what a pipe gives is read as -" in wrong[2]


@pytest.mark.parametrize(
    ("url", "told", "result"),
    [
        ("https://me:marked@host.org:8/a/dog.jpg?token=marked#marked", "https://host.org:8/a/dog.jpg", "dog.jpg.fcn"),
        ("http://[::1]:80/%2e%2e/%00d%2Fx.jpg", "http://[::1]:80/%2e%2e/%00d%2Fx.jpg", "x.jpg.fcn"),
        ("http://me:mar/ked@host.org/x.jpg", "http://host.org/x.jpg", "x.jpg.fcn"),
        ("http://host.org/x.jpg;jsessionid=marked", "http://host.org/x.jpg", "x.jpg.fcn"),
        ("HTTP://host.org", "HTTP://host.org", "picture.fcn"),
        ("http://host.org/..", "http://host.org/..", "picture.fcn"),
        ("http://host.org/a.fcn-label.png", "http://host.org/a.fcn-label.png", "a_label.png.fcn"),
    ],
)
def test_an_address_is_told_without_what_is_secret_in_it(url: str, told: str, result: str) -> None:
    """User, password, query and fragment are left out, and a result's name has the last part of the path alone."""
    picture = _named(url)
    assert (picture.shown, str(picture.result)) == (told, result)


def test_of_several_pictures_the_first_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An animation's first picture is read, and it is said that there are more."""
    first, second = (Image.new("RGB", (4, 3), colour) for colour in ("red", "blue"))
    first.save(tmp_path / "moving.gif", save_all=True, append_images=[second])
    assert _read(tmp_path / "moving.gif")[0, 0].tolist() == [255, 0, 0]
    assert "moving.gif holds 2 pictures; the first is taken" in capsys.readouterr().err


@pytest.mark.parametrize("size", ["12000 9000", "100000 100000"])
def test_a_picture_that_unfolds_is_refused_by_its_size(tmp_path: Path, size: str) -> None:
    """A small file that says it has very many pixels is refused before room is made for them."""
    (tmp_path / "bomb.ppm").write_text(f"P6\n{size}\n255\n", encoding="ascii")
    with pytest.raises(InputError, match=r"bomb\.ppm: it has more than 89,478,485 pixels; shrink it first"):
        _read(tmp_path / "bomb.ppm")


class _Pictures(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path.startswith("/moved"):
            self.send_response(302)
            self.send_header("Location", "/photo.png")
            self.end_headers()
            return
        self.send_response(404 if self.path.startswith("/none") else 200)
        self.end_headers()
        if self.path == "/photo.png":
            photo = io.BytesIO()
            Image.new("RGB", (6, 4), "blue").save(photo, format="PNG")
            self.wfile.write(photo.getvalue())
        if self.path == "/drip.png":
            self.server.dripping.wait(60)  # type: ignore[attr-defined]  # of the fixture's own

    def log_message(self, format: str, *arguments: object) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[str]:
    """A local server with one photo, under two addresses, and one that never ends."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Pictures) as served:
        served.dripping = threading.Event()  # type: ignore[attr-defined]
        thread = threading.Thread(target=served.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.dripping.set()  # type: ignore[attr-defined]
        served.shutdown()


@pytest.mark.parametrize("name", ["photo.png", "moved.png"])
def test_a_url_is_fetched(server: str, name: str) -> None:
    """A picture may be named by its URL, and redirects are followed."""
    assert pictures.read(_named(f"{server}/{name}"))[0, 0].tolist() == [0, 0, 255]


@pytest.mark.parametrize(
    ("name", "words"), [("none.png?key=marked", "the server answers 404"), ("drip.png", "whole after")]
)
def test_a_url_that_gives_no_picture_is_named(server: str, name: str, words: str) -> None:
    """What isn't there, and what doesn't come to an end, is a StageFailure with the reason and without the query."""
    with pytest.raises(StageFailure, match=words) as caught:
        pictures.read(_named(f"{server}/{name}"), patience_seconds=0.5)
    assert "marked" not in str(caught.value)


def test_a_proxy_that_can_t_be_used_is_not_called_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a SOCKS proxy, for which a package would be needed, a good address isn't called invalid."""
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    with pytest.raises(StageFailure, match="through a kind of proxy, that can't be used here"):
        pictures.read(_named("http://host.invalid/x.jpg"))


def test_a_proxy_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the picture's server would seem to refuse."""
    monkeypatch.setenv("http_proxy", "http://me:marked@127.0.0.1:9")
    with pytest.raises(StageFailure, match=r"the proxy that the environment names, .*: Connection refused") as caught:
        pictures.read(_named("http://host.invalid/x.jpg"))
    assert "marked" not in str(caught.value)


def test_a_picture_is_read_from_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is piped in is a picture like any other; where nothing is, it is no picture."""
    Image.new("RGB", (6, 4), "blue").save(tmp_path / "photo.png")
    with (tmp_path / "photo.png").open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        assert pictures.read(_named("-"))[0, 0].tolist() == [0, 0, 255]
        with pytest.raises(InputError, match="standard input: not a whole picture"):
            pictures.read(_named("-"))
