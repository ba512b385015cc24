"""The one file format of weights entries and trained nets: tensors and all that is needed to use them."""

import hashlib
import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import Tensor

from fcn import files
from fcn.datasets.facts import Target
from fcn.errors import InputError, StageFailure
from fcn.nets import torch_file, version_1
from fcn.nets.preprocessing import AnyPreprocessing
from fcn.shape import Backbone, Net

_FORMAT = "fcn checkpoint"
_VERSION = 2
_AGAIN = "make or fetch it again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Tensors, the network that they fit, and the preprocessing, by input, that they were trained with.

    A classifier has no `net`, and torchvision's key names; it may lack its last layers. An FCN has a `net` and the key
    names of fcn.nets.fcn. `targets` are its heads' classes; none where a foreign file didn't name them.
    """

    backbone: Backbone
    net: Net | None
    targets: Mapping[str, Target]
    preprocessing: Mapping[str, AnyPreprocessing]
    state: dict[str, Tensor]
    provenance: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _About:
    """What the file says beside its tensors."""

    backbone: Backbone
    net: Net | None
    targets: dict[str, Target]
    preprocessing: dict[str, AnyPreprocessing]
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
        backbone=checkpoint.backbone,
        net=checkpoint.net,
        targets=dict(checkpoint.targets),
        preprocessing=dict(checkpoint.preprocessing),
        provenance=dict(checkpoint.provenance),
        digest=digest(state),
    )
    # As one string of JSON: pickle would write equal strings differently when they are the same object.
    text = json.dumps(_sorted(_ABOUT.dump_python(about, mode="json")))
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
    if files.sha256(path) != writing.sha256.hexdigest():
        raise StageFailure(f"{path} reads back other bytes than were written; the disk or its cable may be failing")


def load(path: Path) -> Checkpoint:
    """Read a checkpoint; no code in it is run.

    Raises InputError for another kind of file, another version of the format, a truncated or damaged file, tensors with
    NaN or infinity, and a description that doesn't fit its net. Whether the tensors do is seen where the net is built,
    in fcn.nets.build.
    """
    content = torch_file.read(path)
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise InputError(
            f"{path} is a file of torch.save, but not a checkpoint of this project; "
            "a state dict is read by a weights entry of kind state_dict"
        )
    version = content.get("version")
    if type(version) is not int or version not in (1, _VERSION):
        found = version if type(version) is int else "?"
        raise InputError(
            f"{path} has version {found} of the checkpoint format, this code reads 1 and {_VERSION}; "
            "make it again with `dvc repro`, or use the code that wrote it"
        )
    if not _is_state(content.get("state"), bytes_there=path.stat().st_size):
        raise InputError(f"{path} has no tensors by name as its `state`; {_AGAIN}")
    try:
        if version == 1:
            content = version_1.converted(content, digest=digest)
        about = _ABOUT.validate_json(content["about"])
    except Exception:  # whatever JSON can be: of another shape, too deep, of numbers without end
        raise InputError(f"{path} doesn't say what its tensors are for; make it again with `dvc repro`") from None
    state: dict[str, Tensor] = content["state"]
    if digest(state) != about.digest:
        raise InputError(f"{path} is damaged: its tensors are not those that were written; {_AGAIN}")
    if odd := next((name for name, tensor in state.items() if not bool(torch.isfinite(tensor).all())), None):
        raise InputError(f"{path} holds NaN or infinity in {odd}; {_AGAIN}")
    if about.net is not None:
        _check_description(about, about.net, path=path)
    return Checkpoint(
        backbone=about.backbone,
        net=about.net,
        targets=about.targets,
        preprocessing=about.preprocessing,
        state=state,
        provenance=about.provenance,
    )


def _is_state(value: object, *, bytes_there: int) -> bool:
    """Whether these are tensors by name, each with numbers of its own, as they are written."""
    return (
        isinstance(value, dict)
        and all(isinstance(name, str) and torch_file.is_plain(tensor) for name, tensor in value.items())
        and sum(tensor.nbytes for tensor in value.values()) <= bytes_there
    )


def _check_description(about: _About, net: Net, *, path: Path) -> None:
    """Each of the net's inputs has its preprocessing, and the heads that have named classes have as many."""
    if set(about.preprocessing) != set(net.inputs):
        found = ", ".join(about.preprocessing) or "no input"
        raise InputError(f"{path} has preprocessing for {found}, its net takes {', '.join(net.inputs)}; {_AGAIN}")
    for name, target in about.targets.items():
        if len(target.classes) != net.heads.get(name):
            raise InputError(
                f"{path} names {len(target.classes)} classes for {name!r}, its net has "
                f"{net.heads.get(name, 'no such head')}; {_AGAIN}"
            )


def _sorted(value: Any, *, of: str = "") -> Any:
    """Keys in one order, but for the heads: whose metrics have the papers' plain names is told by theirs."""
    if not isinstance(value, dict):
        return value
    return {name: _sorted(value[name], of=name) for name in (value if of == "heads" else sorted(value))}


def _own(tensor: Tensor) -> Tensor:
    """The tensor's values in memory of their own: a view would drag along all that it looks into."""
    return tensor.detach().to("cpu", memory_format=torch.contiguous_format, copy=True)


def digest(state: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and bytes: torch.load doesn't notice a flipped bit."""
    total = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        total.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()
