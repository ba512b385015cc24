"""Room on the disk for what is about to be written."""

import shutil
from pathlib import Path

from fcn.errors import StageFailure


def check(folder: Path, needed_bytes: int, *, what: str) -> None:
    """Raise StageFailure if `needed_bytes` don't fit on the disk of `folder`."""
    free = shutil.disk_usage(folder).free
    if needed_bytes > free:
        raise StageFailure(
            f"no room for {what}: {size(needed_bytes)} needed, {size(free)} free on the disk of {folder}; "
            "free some space, or move the project to a larger disk, and run the same command again"
        )


def size(bytes_: int) -> str:
    """A number of bytes for people, to three digits: 1.42 GB."""
    value = float(bytes_)
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if value < 999.5 or unit == "TB":
            return f"{value:.3g} {unit}"
        value /= 1000
    raise AssertionError
