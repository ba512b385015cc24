"""Pictures as people have them: files, folders, URLs and standard input in, RGB arrays out."""

import hashlib
import io
import itertools
import os
import re
import sys
import threading
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from fcn.commands.predictions import results, video
from fcn.datasets import modes
from fcn.errors import InputError, StageFailure, printable, without_secrets

_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"}
STDIN = "-"
_LONGEST_NAME = 160  # bytes of 255: a result's ending, and that of the file while it is written, come behind
_SILENCE_SECONDS = 30
_PATIENCE_SECONDS = 120.0
_MOST_BYTES = 200_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Where a picture is, how that is told, and what its results' names begin with.

    Results are called NAME.fcn-KIND, with the picture's whole name; where another picture has that, .fcn2-KIND and so
    on.
    No picture may have such a name, so that no result is ever taken for a picture, or takes the place of one.
    """

    where: str
    shown: str
    result: Path

    @property
    def moves(self) -> bool:
        """Whether it is a video, which ffmpeg reads."""
        return not _is_url(self.where) and Path(self.where).suffix.lower() in video.SUFFIXES


def find(given: Sequence[str], *, out: Path) -> tuple[list[Picture], list[str], list[str]]:
    """Every picture that was named: files and URLs as they are, of folders all with a picture's suffix, in order.

    Then what is wrong with the rest: paths that aren't there, folders without pictures, and results of predict. And
    what was passed over in folders, as how many files of which kind; results and what is hidden don't count.
    """
    named: list[tuple[str, Path]] = []
    wrong: list[str] = []
    passed: list[str] = []
    for where in given:
        try:
            named += _named(where, passed)
        except InputError as error:
            wrong.append(str(error))
        except OSError as error:
            wrong.append(f"{shown(where)}: {error.strerror}")
    taken: set[str] = set()
    found = []
    for where, name in named:
        short, told = _short(name), "standard input" if where == STDIN else shown(where)
        names = (short.with_name(f"{short.name}.fcn{number if number > 1 else ''}") for number in itertools.count(1))
        result = next(it for it in names if _key(it) not in taken and not results.of_another(out / it, picture=told))
        taken.add(_key(result))
        found.append(Picture(where=where, shown=told, result=result))
    return found, wrong, passed


def _key(name: Path) -> str:
    """What two names share that some file systems take for one."""
    return unicodedata.normalize("NFC", str(name)).casefold()


def _named(where: str, passed: list[str]) -> list[tuple[str, Path]]:
    """The pictures in one place, each with its name, or below a folder its path from there."""
    if where == STDIN:
        return [(where, Path("stdin"))]
    if _is_url(where):
        return [(where, Path(_url_name(where)))]
    if not where:
        raise InputError("a picture's name is empty, as a shell gives of a variable that isn't set")
    path = Path(where)
    if path.is_dir():
        inside, others = _names_in(path)
        if others:
            kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(others.items()))
            passed.append(f"passed over in {shown(where)}: {printable(kinds)}; of folders pictures alone are taken")
        if not inside:
            raise InputError(f"{shown(where)} holds no pictures; looked for {', '.join(sorted(_SUFFIXES))}")
        return [(str(path / name), name) for name in inside]
    if not path.is_file():
        other = "neither a file nor a folder; what a pipe gives is read as -"
        raise InputError(f"{shown(where)}: {other if path.exists() else 'no such file or folder'}")
    if results.NAME.search(path.name):
        raise InputError(f"{shown(where)} has the name of a result of predict; rename it, if it is a picture of yours")
    return [(where, Path(path.name))]


def shown(where: str | Path) -> str:
    """A place as it is told and written down: a URL without user, password and query, odd bytes of a name escaped."""
    text = printable(os.fsencode(where).decode("utf-8", "backslashreplace"))
    return re.split(r"[;?#]", without_secrets(text), maxsplit=1)[0] if _is_url(text) else text


def read(picture: Picture, *, patience_seconds: float = _PATIENCE_SECONDS) -> NDArray[np.uint8]:
    """H W 3 uint8 RGB, as fcn.datasets.modes makes it of every picture.

    Raises InputError for what is no picture, StageFailure for a URL that can't be fetched in time.
    """
    source: Path | io.BytesIO = Path(picture.where)
    if picture.where == STDIN:
        if sys.stdin is None or sys.stdin.isatty():
            raise InputError("- is a picture on standard input: `cat photo.jpg | python -m fcn predict NET -`")
        source = io.BytesIO(_bounded(sys.stdin.buffer.read(_MOST_BYTES + 1), picture))
    elif _is_url(picture.where):
        source = io.BytesIO(_fetched(picture, patience_seconds=patience_seconds))
    with modes.opened(source, name=picture.shown) as image:
        if (frames := modes.frames(image)) > 1:
            print(f"{picture.shown} holds {frames} pictures; the first is taken", file=sys.stderr)
        return modes.rgb(image)


def _is_url(where: str) -> bool:
    return where.lower().startswith(("http://", "https://"))


def _names_in(folder: Path) -> tuple[list[Path], Counter[str]]:
    """The pictures below `folder`, relative to it, and how many files of which kinds are none.

    What is hidden, macOS's ._ files among it, and results are neither; a file that only has the name of one is told.
    """
    found, others = [], Counter[str]()
    for name in sorted(path.relative_to(folder) for path in folder.rglob("*")):
        path = folder / name
        if any(part.startswith(".") for part in name.parts) or not path.is_file():
            others["linking to a folder"] += path.is_dir() and path.is_symlink() and not name.name.startswith(".")
            continue
        if results.NAME.search(str(name)) or name.name == results.PAGE:
            others["named like results of predict"] += not results.is_own(path)
        elif name.suffix.lower() in _SUFFIXES:
            found.append(name)
        else:
            others[name.suffix.lower() or "without a suffix"] += 1
    return found, +others


def _url_name(url: str) -> str:
    """The last part of the path, with what file systems know and predict's own results don't."""
    path = shown(url).partition("://")[2].partition("/")[2]
    name = re.sub(r"[^\w.-]", "_", PurePosixPath(unquote(path)).name).lstrip(".")
    return results.NAME.sub("_", name) or "picture"


def _short(name: Path) -> Path:
    """The name, or of a very long one the beginning and a hash."""
    whole = os.fsencode(name.name)
    if len(whole) <= _LONGEST_NAME:
        return name
    return name.with_name(f"{name.name[:30]}~{hashlib.sha256(whole).hexdigest()[:12]}")


def _fetched(picture: Picture, *, patience_seconds: float) -> bytes:
    """What the URL gives. A thread fetches it: at any step a server can hold up whoever waits for its next byte."""
    answer: list[bytes | str] = []
    thread = threading.Thread(target=lambda: answer.append(_answer(picture.where)), daemon=True)
    thread.start()
    thread.join(patience_seconds)
    found = answer[0] if answer else f"it isn't whole after {patience_seconds:.0f} seconds"
    if isinstance(found, str):
        raise StageFailure(f"{picture.shown} can't be fetched: {found}")
    return _bounded(found, picture)


def _bounded(content: bytes, picture: Picture) -> bytes:
    if len(content) > _MOST_BYTES:
        raise InputError(f"{picture.shown} is larger than {_MOST_BYTES:,} bytes; shrink it first")
    return content


def _answer(url: str) -> bytes | str:
    """The bytes as sent, or why there are none, in words that don't repeat the URL and what may be secret in it."""
    import requests  # only now: it takes a tenth of a second

    try:
        sent = requests.get(url, timeout=_SILENCE_SECONDS, stream=True, headers={"Accept-Encoding": "identity"})
        with sent:
            if not sent.ok:
                return f"the server answers {sent.status_code}"
            content: bytes = sent.raw.read(_MOST_BYTES + 1, decode_content=False)
            return content
    except requests.exceptions.ProxyError as error:
        return f"the proxy that the environment names, as https_proxy or the like, fails: {_cause(error)}"
    except requests.exceptions.InvalidSchema:
        return "it leads to a kind of address, or through a kind of proxy, that can't be used here"
    except Exception as error:  # of requests, of urllib3, of the codec of host names
        if isinstance(error, ValueError):
            return "it is no valid address"
        return _cause(error)


def _cause(error: BaseException) -> str:
    """In the system's words, or by its name: what lies at the bottom of an error, without an address."""
    cause = error
    while (inner := cause.__cause__ or cause.__context__) is not None:
        cause = inner
    return getattr(cause, "strerror", None) or type(error).__name__
