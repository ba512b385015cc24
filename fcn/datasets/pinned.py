"""Whether a file is the one that is pinned: by its size and its hashes."""

import hashlib
from pathlib import Path

from fcn.paper.downloads import Download


class WrongContentError(Exception):
    """A file is not the one that is pinned; the message says in what."""


def check(path: Path, download: Download) -> None:
    """Raise WrongContentError if the file at `path` has not the pinned size and hashes."""
    size = path.stat().st_size
    if download.bytes is not None and size != download.bytes:
        raise WrongContentError(f"{size:,} bytes instead of {download.bytes:,}")
    pinned = {"sha256": download.sha256, "sha1": download.sha1, "md5": download.md5}
    hashes = {name: hashlib.new(name, usedforsecurity=False) for name, value in pinned.items() if value}
    if download.sha256_prefix:
        hashes.setdefault("sha256", hashlib.sha256())
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            for hash_ in hashes.values():
                hash_.update(chunk)
    for name, hash_ in hashes.items():
        found, expected = hash_.hexdigest(), pinned[name]
        if expected and found != expected:
            raise WrongContentError(f"{name} {found} instead of {expected}")
    if download.sha256_prefix and not hashes["sha256"].hexdigest().startswith(download.sha256_prefix):
        found = hashes["sha256"].hexdigest()
        raise WrongContentError(f"sha256 {found} does not begin with {download.sha256_prefix}")
