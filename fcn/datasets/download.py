"""Fetching a pinned file: mirrors in order, resumed where it stopped, believed only by its hash."""

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import requests

from fcn.datasets import room
from fcn.datasets.pinned import WrongContentError, check
from fcn.errors import StageFailure
from fcn.files import exclusive
from fcn.paper.downloads import Download

Progress = Callable[[int, int | None], None]  # bytes that are here, bytes in total where known

_CHUNK = 1 << 14  # bytes: what a dropped connection may cost
_TRY_AGAIN = {408, 425, 429, 500, 502, 503, 504}  # answers that may be others in a minute


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait for a mirror, and how often to ask it again.

    `tries` counts requests in a row that brought no byte further. The pause doubles from `pause_s` with each.
    """

    connect_s: float = 15
    stall_s: float = 60
    tries: int = 4
    pause_s: float = 2


class _MirrorError(Exception):
    """This mirror is of no use."""


class _HiccupError(Exception):
    """This request failed, and the next one may not."""


def fetch(download: Download, folder: Path, *, progress: Progress, patience: Patience = Patience()) -> Path:
    """Bring a file into `folder`, and return its path. A right one that is already there is used.

    What has come stays in a `.part` file, so that a fetch that was stopped in any way goes on from there. The file
    has its final name only when its size and hashes are right.
    Raises StageFailure if no mirror gives it, if the disk has no room, or if another process is fetching it.
    """
    path = folder / download.file
    if path.exists():
        try:
            check(path, download)
        except WrongContentError:
            path.unlink()
        else:
            return path
    part = path.with_name(f"{path.name}.part")
    try:
        with exclusive(part), part.open("ab", buffering=0) as file:  # two that write to one file would spoil it
            answers = _from_mirrors(file, download, folder=folder, progress=progress, patience=patience)
            if answers is None:
                part.replace(path)
                return path
            if _size(file) == 0:
                part.unlink()
    except BlockingIOError:
        raise StageFailure(f"{path}: another process is downloading it; wait until it is done") from None
    raise StageFailure(
        f"{download.file} could not be downloaded. {'; '.join(answers)}. Run the same command again to go on where it "
        "stopped, or get the file by other means and give its path as `from` in params.yaml, without an archive"
    )


def _from_mirrors(
    part: BinaryIO, download: Download, *, folder: Path, progress: Progress, patience: Patience
) -> list[str] | None:
    """Fill `part` from the first mirror that can; else return what each answered."""
    answers = []
    for url in download.urls:
        try:
            _from_mirror(url, part, download, folder=folder, progress=progress, patience=patience)
        except _MirrorError as error:
            answers.append(f"{url}: {error}")
        else:
            os.fsync(part.fileno())
            return None
    return answers


def _from_mirror(
    url: str, part: BinaryIO, download: Download, *, folder: Path, progress: Progress, patience: Patience
) -> None:
    """Fill `part` from one mirror with the right content."""
    resumed = _size(part) > 0
    _transfer(url, part, download, folder=folder, progress=progress, patience=patience)
    try:
        check(Path(part.name), download)
    except WrongContentError as error:
        part.truncate(0)
        if not resumed:
            raise _MirrorError(f"wrong content, {error}") from None
        # Its beginning came from another mirror, or from before a power cut: this one gets a chance of its own.
        _from_mirror(url, part, download, folder=folder, progress=progress, patience=patience)


def _transfer(
    url: str, part: BinaryIO, download: Download, *, folder: Path, progress: Progress, patience: Patience
) -> None:
    """Ask a mirror until `part` has all of its bytes; each request goes on where the last one stopped."""
    furthest, failures = _size(part), 0
    while True:
        try:
            _request(url, part, download, folder=folder, progress=progress, patience=patience)
        except _HiccupError as error:
            # Only bytes beyond those that were ever here count, or a mirror that begins anew would never end.
            failures = 0 if _size(part) > furthest else failures + 1
            furthest = max(furthest, _size(part))
            if failures >= patience.tries:
                raise _MirrorError(f"{error} ({failures} tries)") from None
            time.sleep(patience.pause_s * 2 ** max(failures - 1, 0))
        else:
            return


def _request(
    url: str, part: BinaryIO, download: Download, *, folder: Path, progress: Progress, patience: Patience
) -> None:
    """One request. Returns when `part` is complete."""
    if download.bytes is not None and _size(part) > download.bytes:
        part.truncate(0)
    start = _size(part)
    if start == download.bytes:
        return
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        with requests.get(
            url, headers=headers, stream=True, timeout=(patience.connect_s, patience.stall_s)
        ) as response:
            total = _begin(response, part, pinned_bytes=download.bytes)
            if total is not None:
                room.check(folder, total - _size(part), what=download.file)
            if response.status_code != 416:
                _receive(response, part, total=total, progress=progress)
    except requests.exceptions.ConnectTimeout:
        raise _HiccupError(f"no connection within {patience.connect_s:g} s") from None
    except requests.exceptions.Timeout:
        raise _HiccupError(f"no answer for {patience.stall_s:g} s") from None
    except (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
        raise _HiccupError(_reason(error)) from None
    except requests.exceptions.RequestException as error:
        raise _MirrorError(_reason(error)) from None
    if total is None and not download.is_pinned:
        raise _MirrorError("doesn't say how large the file is, of which no hash is known: it may be cut short")
    if total is not None and _size(part) < total:
        raise _HiccupError(f"the connection ended after {_size(part):,} of {total:,} bytes")


def _begin(response: requests.Response, part: BinaryIO, *, pinned_bytes: int | None) -> int | None:
    """Make `part` ready for what the answer brings, and return the file's size where it is known."""
    status, start = response.status_code, _size(part)
    if status in _TRY_AGAIN:
        raise _HiccupError(_status(response))
    if status not in (200, 206, 416):
        raise _MirrorError(_status(response))
    first, total = _announced(response)
    if pinned_bytes is not None and total is not None and total != pinned_bytes:
        raise _MirrorError(f"has a file of {total:,} bytes instead of {pinned_bytes:,}")
    if status == 200:
        part.truncate(0)  # a mirror that doesn't know of ranges sends everything
    elif status == 206 and first != start:
        part.truncate(0)
        raise _HiccupError(f"sent another range than the one from byte {start:,}")
    elif status == 416 and (total != start or start == 0):  # else all of it is here
        part.truncate(0)
        raise _HiccupError(_status(response))
    return total if total is not None else pinned_bytes


def _announced(response: requests.Response) -> tuple[int | None, int | None]:
    """The first byte of an answer's range and the size of the whole file, where the answer says so."""
    if response.status_code == 200:
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdecimal() else None
    found = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", response.headers.get("Content-Range", ""))
    if found is None:
        return None, None
    return (int(found[1]) if found[1] else None), (int(found[2]) if found[2] != "*" else None)


def _receive(response: requests.Response, part: BinaryIO, *, total: int | None, progress: Progress) -> None:
    done = _size(part)
    for chunk in response.iter_content(_CHUNK):
        done += len(chunk)
        if total is not None and done > total:
            raise _MirrorError(f"sends more than {total:,} bytes")
        _write_all(part, chunk)
        progress(done, total)


def _write_all(part: BinaryIO, chunk: bytes) -> None:
    """An unbuffered write may take less than it is given, as when the disk becomes full."""
    view = memoryview(chunk)
    while view:
        view = view[part.write(view) :]


def _size(part: BinaryIO) -> int:
    return os.fstat(part.fileno()).st_size


def _status(response: requests.Response) -> str:
    return f"answered {response.status_code} {response.reason or ''}".rstrip()


def _reason(error: Exception) -> str:
    """The innermost reason, which is the one that says something, without addresses of objects."""
    seen: BaseException = error
    while (inner := seen.__cause__ or seen.__context__) is not None:
        seen = inner
    text = " ".join(str(seen).split()) or type(seen).__name__
    return re.sub(r"<[^>]*>:? ?", "", text)
