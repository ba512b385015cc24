"""Image lists as files: an id a line."""

import codecs
import re
import unicodedata
from collections.abc import Collection, Sequence
from pathlib import Path

from fcn.errors import InputError
from fcn.files import regular

_LONGEST = 255  # letters; no disk has longer names
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_FILE = re.compile(r"(?:.*[/\\])?(?P<id>.+)\.(?:jpe?g|png|mat)", re.IGNORECASE)
_TWO_FILES = re.compile(rf"{_FILE.pattern}\s+{_FILE.pattern.replace('<id>', '<same>')}", re.IGNORECASE)


def same(image_id: str) -> str:
    """An id in the one form that all of a dataset's ids have, whatever wrote its letters."""
    return unicodedata.normalize("NFC", image_id)


def text(ids: Sequence[str]) -> str:
    """A list as it stands in its file."""
    return "".join(f"{image_id}\n" for image_id in ids)


def read(path: Path, *, ids: Collection[str] = ()) -> list[str]:
    """The ids in a person's file, whatever saved it; a line may also name a picture's file, or it and its label's.

    A line that is one of `ids` stands for it, x.jpg too. Raises InputError for a file that is no text in UTF-8, or in
    UTF-16 that says so, and for a line that is no id.
    """
    lines = (same(line.strip()) for line in _lines(path))
    return _checked([line if line in ids else _id(line) for line in lines if line], path)


def read_back(path: Path) -> list[str]:
    """The ids in a list that `text` wrote, every letter of them. Raises InputError as `read` does."""
    return _checked([line for line in _lines(path) if line], path)


def _lines(path: Path) -> list[str]:
    content = regular(path).read_bytes()
    encoding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "utf-8")
    try:
        lines = content.decode(encoding).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}: line {line} is not {encoding.upper()[:6]} text; save the list as UTF-8") from None
    if any("\0" in line for line in lines):
        raise InputError(f"{path}: it has zero bytes, as UTF-16 without its mark has; save the list as UTF-8")
    return lines


def _checked(ids: list[str], path: Path) -> list[str]:
    if longest := next((image_id for image_id in ids if len(image_id) > _LONGEST), None):
        raise InputError(
            f"{path}: a line of {len(longest):,} letters, {longest[:20]!r}...; a line is the id of a label, or names "
            "its picture's file"
        )
    return ids


def read_folder(folder: Path) -> dict[str, list[str]]:
    """The lists of a folder, `<list>.txt`, by name."""
    return {name: read(path) for name, path in files(folder).items()}


def files(folder: Path) -> dict[str, Path]:
    """The files of the lists of a folder by name."""
    return {path.stem: path for path in sorted(folder.glob("[!.]*.txt"))}


def without_label(listed: Sequence[str], *, ids: Sequence[str]) -> str:
    """How many of the ids in a list are none of those with a label, in words; nothing where all are."""
    labelled = set(ids)
    missing = [image_id for image_id in listed if image_id not in labelled]
    more, have = ", ..." if len(missing) > 3 else "", "have" if len(missing) > 1 else "has"
    shown = f"{', '.join(missing[:3])}{more}"
    return f"{len(missing)} of its {len(listed)} ids {have} no label ({shown})" if missing else ""


def _id(line: str) -> str:
    """A line that is no file's name is an id as it stands, blanks in it too: whether it has a label is seen later."""
    if (two := _TWO_FILES.fullmatch(line)) and two["id"] == two["same"]:
        return two["id"]
    one = _FILE.fullmatch(line)
    return one["id"] if one and not two else line
