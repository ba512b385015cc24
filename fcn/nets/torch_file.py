"""Reads files of torch.save without running code that may hide in them."""

import errno
import pickle
import pickletools
import warnings
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor
from torch.serialization import safe_globals

from fcn.errors import InputError

_ZIP = b"PK\x03\x04"
# torch.save's magic number before torch 1.6, pickled: the published Caffe conversions are that old.
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
# pytorch-fcn's checkpoints keep their best mean IU as a numpy number, which holds no code. numpy 2 moved its maker.
_MAKE_NUMBER = np.float64(0).__reduce__()[0]
_NUMBERS: list[Any] = [
    (_MAKE_NUMBER, "numpy._core.multiarray.scalar"),
    (_MAKE_NUMBER, "numpy.core.multiarray.scalar"),
    np.dtype,
    np.dtypes.Float64DType,
    np.dtypes.Float32DType,
    np.dtypes.Int64DType,
]
_DTYPES = {torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64}
_LEGACY_PICKLES = 4  # magic number, protocol, system, and the object itself; then come the storages
_LONGEST_WORD = 1000
_MOST_UNFOLDED = 10  # times a file's size: tensors are stored as they are, but a TorchScript program's text isn't
_NESTED = ("model_state_dict", "state_dict")


def read(path: Path) -> object:
    """What torch.save wrote to `path`, if it is plain values and tensors.

    Raises InputError for a missing, truncated or damaged file, another format, and pickled code.
    """
    start = _start(path)
    if start != _LEGACY and not start.startswith(_ZIP):
        raise InputError(
            f"{path} is not a file of torch.save: it starts with {start[:12]!r}. An HTML page starts with '<': "
            "is the download whole?"
        )
    try:
        _check_zip(path) if start.startswith(_ZIP) else _check_legacy(path)
        with warnings.catch_warnings(), safe_globals(_NUMBERS):
            warnings.simplefilter("ignore")  # torch announces what it then refuses with an error
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise InputError(
            f"{path} holds pickled Python objects, which can run code when they are read, or is damaged; only tensors "
            "and plain values are read here. Save the network's state_dict() instead, or fetch the file again"
        ) from None
    except Exception as error:  # damaged bytes break torch's reader in many ways; some make it seek to nowhere
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise
        if "TorchScript" in str(error):
            raise InputError(f"{path} is a TorchScript program, not weights; save its state_dict() instead") from None
        raise InputError(
            f"{path} is truncated or damaged: its bytes are not those that were written; copy or fetch it again"
        ) from None


def state_dict(path: Path) -> dict[str, Tensor]:
    """The state dict in `path`, also where it is an entry of a training's checkpoint."""
    found = read(path)
    for key in _NESTED:
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict) or not found:
        raise InputError(f"{path} holds {_kind(found)} where a state dict is wanted: names and their tensors")
    for name, tensor in found.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            told = repr(name) if isinstance(name, str) else _kind(name)
            raise InputError(
                f"{path} is not a state dict: {told} is {_kind(tensor)}, not a tensor; "
                f"a state dict may also lie under {' or '.join(_NESTED)}"
            )
        if not is_plain(tensor):
            raise InputError(f"{path} holds {name} as no plain tensor of numbers; save the network's state_dict()")
    return {name: tensor.detach() for name, tensor in found.items()}


def is_plain(value: object) -> bool:
    """Whether this is a tensor whose numbers all lie in memory: a small file can ask for terabytes of one zero."""
    return (
        isinstance(value, Tensor)
        and type(value) in (Tensor, torch.nn.Parameter)
        and (value.layout, value.device.type, value.dtype in _DTYPES) == (torch.strided, "cpu", True)
        and not vars(value)
        and value.numel() * value.itemsize <= value.untyped_storage().nbytes()
    )


def _check_zip(path: Path) -> None:
    """Raise zipfile.BadZipFile unless the sums match, which torch doesn't look at, and nothing unfolds to much."""
    with zipfile.ZipFile(path) as archive:
        unfolded = sum(member.file_size for member in archive.infolist())
        if unfolded > _MOST_UNFOLDED * path.stat().st_size or archive.testzip() is not None:
            raise zipfile.BadZipFile(path)
        for name in archive.namelist():
            if name.endswith("/data.pkl"):
                with archive.open(name) as pickled:
                    _check_words(pickled)


def _check_legacy(path: Path) -> None:
    with path.open("rb") as file:
        for _ in range(_LEGACY_PICKLES):
            _check_words(file)


def _check_words(pickled: IO[bytes]) -> None:
    """Raise ValueError for a word of great length: torch's errors repeat it, and search it in quadratic time."""
    for _, value, _ in pickletools.genops(pickled):
        if isinstance(value, str) and max(map(len, value.split()), default=0) > _LONGEST_WORD:
            raise ValueError("a word without end")


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            start = file.read(len(_LEGACY))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder; a file of weights is wanted") from None
    if not start:
        raise InputError(f"{path} is empty; copy or fetch it again")
    return start


def _kind(value: object) -> str:
    return "an empty dict" if value == {} else f"a {type(value).__name__}"
