"""The one file format of weights entries and trained nets: tensors and all that is needed to use them."""

import hashlib
import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from fcn.config import Backbone
from fcn.errors import InputError, StageFailure
from fcn.nets import torch_file
from fcn.nets.preprocessing import Preprocessing

_FORMAT = "fcn checkpoint"
_VERSION = 1
_SHAPE_FIELDS = ("architecture", "width", "fc", "input_px")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Tensors, the network that they fit, and the preprocessing that they were trained with.

    A "classifier" has torchvision's key names and may lack its last layers, an "fcn" has those of fcn.nets.fcn.
    `classes` is 0 where a classifier's last layer is missing. `net` holds an FCN's own settings (stride, skips, pad,
    upsampling), as far as they are known, and is None for a classifier.
    """

    kind: Literal["classifier", "fcn"]
    backbone: Backbone
    classes: int
    net: dict[str, int | str] | None
    preprocessing: Preprocessing
    state: dict[str, Tensor]
    provenance: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _About:
    """What the file says beside its tensors."""

    kind: Literal["classifier", "fcn"]
    backbone: Backbone
    classes: int
    net: dict[str, int | str] | None
    preprocessing: Preprocessing
    provenance: dict[str, str]
    digest: str


_ABOUT = TypeAdapter(_About)


class _Digesting(io.BufferedWriter):
    """A file to write to, which hashes what passes."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path, "w"))
        self.sha256 = hashlib.sha256()

    def write(self, data: bytes) -> int:  # type: ignore[override]  # `Buffer` has a name from Python 3.12 on
        self.sha256.update(data)
        return super().write(data)


def save(checkpoint: Checkpoint, path: Path) -> None:
    """Write `checkpoint`, flush it to disk, read it back and compare; equal content gives equal bytes.

    The name of `path` isn't in the file. Raises StageFailure if the disk gives back other bytes.
    """
    state = {name: _own(tensor) for name, tensor in sorted(checkpoint.state.items())}
    about = _About(
        kind=checkpoint.kind,
        backbone=checkpoint.backbone,
        classes=checkpoint.classes,
        net=checkpoint.net,
        preprocessing=checkpoint.preprocessing,
        provenance=checkpoint.provenance,
        digest=_digest(state),
    )
    # As one string of JSON: pickle would write equal strings differently when they are the same object.
    text = json.dumps(_ABOUT.dump_python(about, mode="json"), sort_keys=True)
    content = {"format": _FORMAT, "version": _VERSION, "about": text, "state": state}
    with _Digesting(path) as writing:
        try:
            torch.save(content, writing)
        except RuntimeError as error:  # torch's writer puts a complaint of its own over that of a full disk
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise
        writing.flush()
        os.fsync(writing.fileno())
    with path.open("rb") as reading:
        found = hashlib.file_digest(reading, "sha256")
    if found.digest() != writing.sha256.digest():
        raise StageFailure(f"{path} reads back other bytes than were written; the disk or its cable may be failing")


def load(path: Path) -> Checkpoint:
    """Read a checkpoint; no code in it is run.

    Raises InputError for another kind of file, another version of the format, and a truncated or damaged file.
    """
    content = torch_file.read(path)
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise InputError(
            f"{path} is a file of torch.save, but not a checkpoint of this project; "
            "a state dict is read by a weights entry of kind state_dict"
        )
    if content.get("version") != _VERSION:
        raise InputError(
            f"{path} has version {content.get('version')} of the checkpoint format, this code reads {_VERSION}; "
            "make it again with `dvc repro`, or use the code that wrote it"
        )
    try:
        about = _ABOUT.validate_json(content["about"])
    except (KeyError, ValidationError):
        raise InputError(f"{path} doesn't say what its tensors are for; make it again with `dvc repro`") from None
    state: dict[str, Tensor] = content["state"]
    if _digest(state) != about.digest:
        raise InputError(f"{path} is damaged: its tensors are not those that were written; make or fetch it again")
    return Checkpoint(
        kind=about.kind,
        backbone=about.backbone,
        classes=about.classes,
        net=about.net,
        preprocessing=about.preprocessing,
        state=state,
        provenance=about.provenance,
    )


def matching(
    checkpoint: Checkpoint, *, backbone: Backbone, classes: int, upsampling: str, where: str = "the checkpoint"
) -> None:
    """Raise InputError unless a net of this backbone, class count and upsampling can start from `checkpoint`.

    A classifier's class count is its own: its last layer is not taken over.
    """
    for field in _SHAPE_FIELDS:
        found, wanted = getattr(checkpoint.backbone, field), getattr(backbone, field)
        if found != wanted:
            raise InputError(
                f"{where} has a backbone with {field} {found}, the run wants {wanted}; "
                "start from weights of the run's own backbone"
            )
    if checkpoint.kind == "classifier":
        return
    if checkpoint.classes != classes:
        raise InputError(
            f"{where} has {checkpoint.classes} classes, the run wants {classes}; start from weights/NAME instead"
        )
    learned = [name for name in checkpoint.state if name.startswith("upscore")]
    if learned and upsampling == "fixed":
        raise InputError(
            f"{where} has learned upsampling ({', '.join(learned)}), the run's is fixed; "
            f"write upsampling: {(checkpoint.net or {}).get('upsampling', 'all')}"
        )


def _own(tensor: Tensor) -> Tensor:
    """The tensor's values in memory of their own: a view would drag along all that it looks into."""
    return tensor.detach().to("cpu", memory_format=torch.contiguous_format, copy=True)


def _digest(state: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and bytes: torch.load doesn't notice a flipped bit."""
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
