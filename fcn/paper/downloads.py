"""Files that can be downloaded: where from, how large, and by which hash each is known, if any (downloads.toml)."""

import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fcn.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """One file: its addresses in the order to try, its size and hashes where they are known.

    `sha256_prefix` is for files that carry the first digits of their sha256 in their name. Where nobody has published
    a hash, the first download's is held to (fcn/stages/archives.py).
    """

    file: str
    urls: tuple[str, ...]
    source: str
    bytes: int | None = None
    md5: str | None = None
    sha1: str | None = None
    sha256: str | None = None
    sha256_prefix: str | None = None

    def __post_init__(self) -> None:
        assert self.urls

    @property
    def is_pinned(self) -> bool:
        """Whether a hash is known."""
        return any((self.md5, self.sha1, self.sha256, self.sha256_prefix))


def _read(file: Path) -> dict[str, Download]:
    entries: dict[str, dict[str, Any]] = tomllib.loads(file.read_text(encoding="utf-8"))
    return {name: Download(**{**entry, "urls": tuple(entry["urls"])}) for name, entry in entries.items()}


DOWNLOADS = _read(Path(__file__).with_name("downloads.toml"))
"""By the name of the archive in params.yaml."""


def download(name: str) -> Download:
    """The file of the archive called `name`.

    Raises InputError for a name without facts.
    """
    if name in DOWNLOADS:
        return DOWNLOADS[name]
    raise InputError(
        f"{name!r} can't be downloaded: fcn/paper/downloads.toml has addresses and hashes for {', '.join(DOWNLOADS)}; "
        "use one of these names, or give the path of a local file as `from`, which needs no archive"
    )


def pin(name: str) -> dict[str, str | int]:
    """What makes the file of this name that file: its own name, size and hashes, wherever it comes from."""
    facts = asdict(download(name))
    return {key: value for key, value in facts.items() if key not in ("urls", "source") and value is not None}
