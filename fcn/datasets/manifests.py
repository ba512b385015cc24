"""The manifest of an archives folder: which files it holds, where these came from, and what they are known by."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fcn.errors import InputError
from fcn.files import existing, read_json, sha256, write_json


def write(folder: Path, *, archive: str, kind: str, files: Sequence[str]) -> None:
    """Note the files of a folder, with their sizes and hashes; those after the first one as what lies beside it."""
    file, *beside = files
    content = {name: {"bytes": (folder / name).stat().st_size, "sha256": sha256(folder / name)} for name in files}
    noted: dict[str, Any] = {"archive": archive, "kind": kind, "file": file, "content": content.pop(file)}
    write_json(folder / "manifest.json", {**noted, "beside": content} if beside else noted)


def archive_file(path: Path) -> Path:
    """The first file that the manifest of an archives folder names; any other file or folder is what it is.

    Raises InputError where there is nothing.
    """
    return archive_files(path)[0]


def archive_files(path: Path) -> list[Path]:
    """All files that the manifest of an archives folder names; any other file or folder is what it is.

    Raises InputError where there is nothing.
    """
    if not path.exists():
        raise InputError(
            f"{path}: no such archive or folder; `from` is the path, from the project's root, of an archive, of an "
            "extracted folder, or data/<profile>/archives/NAME, which an earlier stage fills: run `dvc repro`"
        )
    manifest = _manifest(path)
    if manifest is None:
        return [path]
    return [existing(path / name) for name in (str(manifest["file"]), *manifest.get("beside", {}))]


def is_archives_folder(path: Path) -> bool:
    """Whether this is a folder that the archives stage filled, and no person's own file or folder."""
    return _manifest(path) is not None


def is_generated(path: Path) -> bool:
    """Whether what lies there was made by the sample's generator."""
    manifest = _manifest(path)
    return manifest is not None and manifest["kind"] == "sample"


def _manifest(path: Path) -> dict[str, Any] | None:
    file = path / "manifest.json"
    if not file.is_file():
        return None
    manifest: Any = read_json(file)
    return manifest if isinstance(manifest, dict) and {"archive", "kind", "file"} <= manifest.keys() else None
