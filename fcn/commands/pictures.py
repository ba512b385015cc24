"""Pictures as people have them: files, folders and URLs in, RGB arrays out."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import requests
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from fcn.datasets.modes import rgb
from fcn.errors import InputError, StageFailure

_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"}
_TIMEOUT_SECONDS = 30
_MOST_BYTES = 200_000_000
_MOST_PIXELS = 100_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Where a picture is, and the stem of what is made of it."""

    where: str
    stem: str


def find(given: Sequence[str]) -> tuple[list[Picture], list[str]]:
    """Every picture that was named: files and URLs as they are, of folders all with a picture's suffix, in order.

    And what is wrong with the rest: paths that aren't there, and folders without pictures.
    """
    found: list[Picture] = []
    wrong: list[str] = []
    for where in given:
        if _is_url(where):
            found.append(Picture(where=where, stem=Path(unquote(urlsplit(where).path)).stem or "picture"))
            continue
        path = Path(where)
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.suffix.lower() in _SUFFIXES)
            if not files:
                wrong.append(f"{path} holds no pictures; looked for {', '.join(sorted(_SUFFIXES))}")
            for file in files:
                found.append(Picture(where=str(file), stem="-".join(file.relative_to(path).with_suffix("").parts)))
        elif path.exists():
            found.append(Picture(where=where, stem=path.stem))
        else:
            wrong.append(f"{path}: no such file or folder")
    return list(_with_own_stems(found)), wrong


def _with_own_stems(found: Sequence[Picture]) -> Iterator[Picture]:
    """Number the stems that occur twice, so that no result overwrites another."""
    seen: dict[str, int] = {}
    for picture in found:
        seen[picture.stem] = seen.get(picture.stem, 0) + 1
        count = seen[picture.stem]
        yield picture if count == 1 else Picture(where=picture.where, stem=f"{picture.stem}-{count}")


def read(picture: Picture) -> NDArray[np.uint8]:
    """H W 3 uint8 RGB: turned as its EXIF says, transparency on white, grey, palette and CMYK converted.

    Raises InputError for what is no picture, StageFailure for a URL that can't be fetched.
    """
    source = io.BytesIO(_fetched(picture.where)) if _is_url(picture.where) else Path(picture.where)
    try:
        with Image.open(source) as image:
            if image.width * image.height > _MOST_PIXELS:
                size = f"{image.width} x {image.height}"
                raise InputError(f"{picture.where} has {size} px; {_MOST_PIXELS:,} are allowed: shrink it first")
            return rgb(image)
    except UnidentifiedImageError:
        raise InputError(f"{picture.where} is not a picture that Pillow knows ({_start(source)})") from None
    except (SyntaxError, OSError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{picture.where} can't be read as a picture: {error}") from None


def _is_url(where: str) -> bool:
    return where.startswith(("http://", "https://"))


def _fetched(url: str) -> bytes:
    try:
        with requests.get(url, timeout=_TIMEOUT_SECONDS, stream=True) as answer:
            answer.raise_for_status()
            content = bytearray()
            for block in answer.iter_content(1 << 20):
                content += block
                if len(content) > _MOST_BYTES:
                    raise InputError(f"{url} is larger than {_MOST_BYTES:,} bytes; download it, and shrink it first")
            return bytes(content)
    except requests.RequestException as error:
        raise StageFailure(f"{url} can't be fetched: {error}") from None


def _start(source: Path | io.BytesIO) -> str:
    content = source.getvalue()[:16] if isinstance(source, io.BytesIO) else _first_bytes(source)
    return f"it starts with {content!r}" if content else "it is empty"


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(16)
