"""The sample's pictures, labels and members in the file formats of archives: the same bytes at every time of day."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import scipy.io
from numpy.typing import NDArray
from PIL import Image

from fcn.datasets.labels import palette
from fcn.files import whole_file

_JPEG_QUALITY = 92
# scipy writes the time of day into a .mat file's first 116 bytes; any text of that length is valid there.
_MAT_HEADER = b"MATLAB 5.0 MAT-file, Platform: FCN sample, Created on: Thu Jan  1 00:00:00 1970".ljust(116)

Members = Iterable[tuple[str, bytes]]
"""Names and contents, in the archive's order."""


def write_tar(path: Path, members: Members) -> None:
    """Write a plain tar."""
    with (
        whole_file(path) as part,
        part.open("wb") as file,
        tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        _add(tar, members)


def write_tgz(path: Path, members: Members) -> None:
    """Write a tar compressed by gzip."""
    with (
        whole_file(path) as part,
        part.open("wb") as file,
        gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0, compresslevel=1) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        _add(tar, members)


def write_zip(path: Path, members: Members) -> None:
    """Write a zip; what is in it is compressed already. ZipInfo leaves the time at 1980's beginning."""
    with whole_file(path) as part, zipfile.ZipFile(part, "w") as packed:
        for name, content in members:
            packed.writestr(zipfile.ZipInfo(name), content)


def lines(ids: Iterable[str]) -> bytes:
    """A list: an id a line."""
    return "".join(f"{image_id}\n" for image_id in ids).encode()


def jpeg(image: NDArray[np.uint8]) -> bytes:
    """A picture, H W 3."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=_JPEG_QUALITY)
    return file.getvalue()


def png(label: NDArray[np.uint8]) -> bytes:
    """A palette PNG in VOC's colours: its pixels are indices."""
    file = io.BytesIO()
    image = Image.fromarray(label)
    image.putpalette(palette().tobytes())
    image.save(file, "PNG")
    return file.getvalue()


def mat(variables: Mapping[str, object]) -> bytes:
    """A version 5 .mat of these variables."""
    file: Any = io.BytesIO()  # scipy takes open files, its stubs only know names
    scipy.io.savemat(file, dict(variables), do_compression=True)
    content: bytes = file.getvalue()
    return _MAT_HEADER + content[len(_MAT_HEADER) :]


def _add(tar: tarfile.TarFile, members: Members) -> None:
    """Add files, each folder before its first file. TarInfo leaves times, owners and groups at zero."""
    folders: set[str] = set()
    for name, content in members:
        for folder in reversed(PurePosixPath(name).parents[:-1]):
            if str(folder) not in folders:
                folders.add(str(folder))
                info = tarfile.TarInfo(str(folder))
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(info)
        info = tarfile.TarInfo(name)
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
