"""The files that predict leaves, and that none of them takes the place of somebody's own."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, PngImagePlugin

from fcn.datasets.facts import Target
from fcn.errors import InputError
from fcn.figures.overlay import legend
from fcn.files import whole_file

if TYPE_CHECKING:  # torch takes seconds, and wrong arguments are said before
    from fcn.predict import Answer

NAME = re.compile(r"\.fcn\d*-", re.IGNORECASE)  # in every result's name, or its folder's, and in no picture's
PAGE = "index.html"
MADE_BY = "python -m fcn predict"  # stands in every result: what has its name, and not this in it, is somebody's own
_GENERATOR = f'<meta name="generator" content="{MADE_BY}" />'  # and so in a page, whose text may quote the command
_THUMBNAIL_PX = 640
_COMPRESS_LEVEL = 3  # of 9: of a photo the next levels take longer and save little


def is_own(path: Path) -> bool:
    """Whether it is a file that predict has made."""
    mark = _GENERATOR if path.name == PAGE else MADE_BY
    return path.is_file() and mark.encode() in path.read_bytes()


def of_another(begin: Path, *, picture: str) -> bool:
    """Whether results whose names begin so are there, of another picture than this, by the name that they tell."""
    shares = _named(begin, "shares.json")
    try:
        told = json.loads(shares.read_text(encoding="utf-8"))["picture"] if is_own(shares) else picture
    except (ValueError, KeyError, TypeError):  # of another version
        return False
    return os.path.abspath(str(told)) != os.path.abspath(picture)  # noqa: PTH100 - as text: there may be no such file


def clear(folder: Path) -> None:
    """Remove predict's own files there, of a time when there may have been more of them."""
    for path in folder.glob("*.fcn*-*"):
        if is_own(path):
            path.unlink()


@contextmanager
def result(path: Path) -> Iterator[Path]:
    """Yield a temporary file, which then takes the name, if that is free or a result's.

    Raises InputError where somebody's own file, folder or link has it.
    """
    if os.path.lexists(path) and not is_own(path):
        raise InputError(f"{path} is in the way, and doesn't say that predict made it; move it, or name another --out")
    with whole_file(path) as part:
        yield part


def write(
    begin: Path, answers: Mapping[str, "Answer"], *, about: Mapping[str, object], overlays: Mapping[str, Image.Image]
) -> dict[str, Path]:
    """Write for each target the label as a palette PNG, the overlay, and the classes' shares beside `about`.

    And once a small photo, for the page. The names begin as `begin` does; those of the labels are returned.
    """
    labels: dict[str, Path] = {}
    photo = _named(begin, "photo.jpg")
    for name, answer in answers.items():
        of = f"-{name}" if labels else ""  # the first target's results have the plain names
        labels[name], overlay = _named(begin, f"label{of}.png"), _named(begin, f"overlay{of}.png")
        _write_png(labels[name], answer.mask())
        _write_png(overlay, overlays[name])
        height, width = answer.label.shape
        files = {"photo": photo.name, "overlay": overlay.name, "label": labels[name].name}
        size = {"width": width, "height": height}
        write_shares(
            _named(begin, f"shares{of}.json"), answer.shares, about={**about, "target": name, **size, "files": files}
        )
    small = Image.fromarray(next(iter(answers.values())).image)
    small.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX))
    with result(photo) as part:
        small.save(part, format="JPEG", quality=85, comment=MADE_BY)
    return labels


def write_shares(path: Path, shares: Mapping[str, float], *, about: Mapping[str, object]) -> None:
    """Write the shares of the classes, and what is known beside them, as JSON."""
    with result(path) as part:
        rounded = {name: round(share, 6) for name, share in shares.items()}
        content = {"made_by": MADE_BY, **about, "shares": rounded}
        part.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def write_legends(folder: Path, targets: Mapping[str, Target]) -> None:
    """For each target, the colours of the label PNGs with the classes' names, as a picture."""
    for place, (name, target) in enumerate(targets.items()):
        drawn = legend(target, words=dict(enumerate(target.classes)), width=520, colours=target.palette)
        _write_png(folder / f"classes.fcn-legend{f'-{name}' if place else ''}.png", drawn)


def _named(begin: Path, kind: str) -> Path:
    return begin.with_name(f"{begin.name}-{kind}")


def _write_png(path: Path, image: Image.Image) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Software", MADE_BY)
    with result(path) as part:
        image.save(part, format="PNG", pnginfo=text, compress_level=_COMPRESS_LEVEL)
