"""Saved states of a training: the newest whole one wins, and the last two are kept."""

import hashlib
import io
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

_NAME = re.compile(r"state-(\d{9})-([0-9a-f]{16})\.pt")
_KEPT = 2


@dataclass(slots=True, kw_only=True)
class Progress:
    """All of a training that isn't in its parameters: how far it came and what it has to say.

    `scored` is the iteration after which it was scored last, `best` the tensors of the best score on the way, on the
    CPU, where they are to be kept.
    """

    iteration: int = 0
    loss_sum: float = 0.0
    pixels: int = 0
    seconds: float = 0.0
    split: int = 1
    history: list[dict[str, float]]
    scored: int = 0
    best: dict[str, torch.Tensor] | None = None


def save(folder: Path, *, progress: Progress, net: dict[str, Any], optimizer: dict[str, Any]) -> None:
    """Write one state under a temporary name, flush it, read it back and rename it; then drop the oldest.

    Raises OSError, with the earlier states intact, where the disk is full or gives back other bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    values = {name: getattr(progress, name) for name in Progress.__slots__}
    torch.save({"progress": values, "net": net, "optimizer": optimizer}, buffer)
    content = buffer.getbuffer()
    digest = hashlib.sha256(content).hexdigest()
    part = folder / "state.part"
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if _digest(part) != digest:
            raise OSError(f"{part} reads back other bytes than were written")
        part.replace(folder / f"state-{progress.iteration:09d}-{digest[:16]}.pt")
    finally:
        part.unlink(missing_ok=True)
    for old in _states(folder)[_KEPT:]:
        old.unlink(missing_ok=True)


def load(folder: Path) -> tuple[Progress, dict[str, Any], dict[str, Any]] | None:
    """The newest state whose bytes match the digest in its name, or None; damaged ones are removed."""
    for path in _states(folder):
        match = _NAME.fullmatch(path.name)
        assert match is not None
        if _digest(path)[:16] != match[2]:
            path.unlink()
            continue
        content = torch.load(path, map_location="cpu", weights_only=True)
        return Progress(**content["progress"]), content["net"], content["optimizer"]
    return None


def _states(folder: Path) -> list[Path]:
    """Newest first."""
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if _NAME.fullmatch(path.name)), reverse=True)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
