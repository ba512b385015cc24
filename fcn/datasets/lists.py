"""Image lists as files: an id a line."""

from collections.abc import Sequence
from pathlib import Path


def text(ids: Sequence[str]) -> str:
    """A list as it stands in its file."""
    return "".join(f"{image_id}\n" for image_id in ids)


def read(path: Path) -> list[str]:
    """The ids in a file."""
    return path.read_text(encoding="utf-8").split()


def read_folder(folder: Path) -> dict[str, list[str]]:
    """The lists of a folder, `<list>.txt`, by name."""
    return {path.stem: read(path) for path in sorted(folder.glob("[!.]*.txt"))}
