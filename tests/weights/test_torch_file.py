"""Reading files of torch.save: tensors come through, code does not, and every damage is one sentence."""

import io
import os
import pickle
import re
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from fcn.errors import InputError
from fcn.nets import torch_file

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.tensor([1.0, 2.0])}


class Trap:
    """An object whose unpickling makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


def torch_bytes(value: object, *, zipped: bool = True) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


@pytest.mark.parametrize("zipped", [True, False], ids=["today's format", "the format before torch 1.6"])
@pytest.mark.parametrize("key", [None, "state_dict", "model_state_dict"])
def test_state_dicts_are_read_in_every_wrapping(tmp_path: Path, zipped: bool, key: str | None) -> None:
    """A state dict is found at the top and inside of a training's checkpoint, in both of torch's formats."""
    path = tmp_path / "net.pth"
    path.write_bytes(torch_bytes(STATE if key is None else {"epoch": 3, "said": "", key: STATE}, zipped=zipped))
    found = torch_file.state_dict(path)
    assert set(found) == set(STATE)
    assert all(torch.equal(found[name], STATE[name]) for name in STATE)


def rezipped(content: bytes, compression: int, old: bytes = b"", new: bytes = b"") -> bytes:
    """The same members in an archive of their own, with other bytes in them."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as before, zipfile.ZipFile(buffer, "w", compression) as after:
        for name in before.namelist():
            after.writestr(name, before.read(name).replace(old, new))
    return buffer.getvalue()


@pytest.mark.parametrize("zipped", [True, False], ids=["today's format", "the format before torch 1.6"])
def test_tensors_from_a_gpu_are_read_without_one(tmp_path: Path, zipped: bool) -> None:
    """A file whose tensors lay on a GPU gives them on the CPU."""
    path, places = tmp_path / "net.pth", (b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0")
    content = torch_bytes(STATE, zipped=zipped)
    assert places[0] in content
    path.write_bytes(rezipped(content, zipfile.ZIP_STORED, *places) if zipped else content.replace(*places))
    found = torch_file.state_dict(path)
    assert all(torch.equal(found[name], STATE[name]) for name in STATE)


@pytest.mark.parametrize(("letters", "read"), [(1000, True), (1001, False)])
def test_a_word_has_a_thousand_letters_at_most(tmp_path: Path, letters: int, read: bool) -> None:
    """A text may be long, one word in it may not."""
    path = tmp_path / "net.pth"
    path.write_bytes(torch_bytes({"said": f"{'x' * letters} {'y' * 999}", "state_dict": STATE}))
    if read:
        assert set(torch_file.state_dict(path)) == set(STATE)
    else:
        with pytest.raises(InputError, match="is truncated or damaged"):
            torch_file.state_dict(path)


def test_a_numpy_number_beside_the_weights_is_no_obstacle(tmp_path: Path) -> None:
    """pytorch-fcn's checkpoints, whose best mean IU is a numpy number, made by numpy 1 or 2, can be read."""
    content = {"epoch": 11, "arch": "FCN8s", "model_state_dict": STATE, "best_mean_iu": np.float64(0.65)}
    new = torch_bytes(content, zipped=False)
    old = new.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert old != new
    for number, content_bytes in enumerate((new, old)):
        path = tmp_path / f"{number}.pth.tar"
        path.write_bytes(content_bytes)
        assert set(torch_file.state_dict(path)) == set(STATE)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_is_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool) -> None:
    """A file whose unpickling would make a folder is refused, and there is no folder, whatever torch is told to do."""
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    folder = tmp_path / "made by the file"
    path = tmp_path / "net.pth"
    path.write_bytes(torch_bytes({"state_dict": STATE, "extra": Trap(folder)}, zipped=zipped))
    with pytest.raises(InputError, match="holds pickled Python objects, which can run code"):
        torch_file.read(path)
    assert not folder.exists()


def test_a_pickled_module_is_refused(tmp_path: Path) -> None:
    """A whole pickled network is refused with advice to save its state dict."""
    torch.save(nn.Linear(2, 2), tmp_path / "net.pth")
    with pytest.raises(InputError, match=r"Save the network's state_dict\(\) instead"):
        torch_file.read(tmp_path / "net.pth")


def test_a_torchscript_program_is_refused(tmp_path: Path) -> None:
    """A TorchScript archive is refused for what it is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that TorchScript is on its way out, in a class that changes with torch
        torch.jit.script(nn.Linear(2, 2)).save(tmp_path / "net.pt")  # type: ignore[no-untyped-call]  # as torch leaves it
    with pytest.raises(InputError, match="is a TorchScript program, not weights"):
        torch_file.read(tmp_path / "net.pt")


def zip_of(name: str, content: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty; copy or fetch it again"),
        (b"<!DOCTYPE html><html>quota exceeded</html>", "is not a file of torch.save: it starts with b'<!DOCTYPE ht'"),
        (pickle.dumps({"a": 1}), "is not a file of torch.save"),
        (zip_of("a.txt", "hello"), "is truncated or damaged"),
        (torch_bytes(STATE)[:-300], "is truncated or damaged"),
        (torch_bytes(STATE, zipped=False)[:-3], "is truncated or damaged"),
        (torch_bytes(STATE, zipped=False)[:20], "is truncated or damaged"),
        (torch_bytes([1, 2]), "holds a list where a state dict is wanted"),
        (torch_bytes({}), "holds an empty dict where a state dict is wanted"),
        (torch_bytes({"epoch": 3, **STATE}), "is not a state dict: 'epoch' is a int, not a tensor"),
        (torch_bytes({10**400: 3}), "is not a state dict: a int is a int, not a tensor"),
        (torch_bytes({"a": torch.zeros(1).expand(10**12)}), "holds a as no plain tensor of numbers"),
        (torch_bytes({"a": torch.zeros(1).expand(8)}), "holds a as no plain tensor of numbers"),
        (torch_bytes({"a": torch.eye(2).to_sparse()}), "holds a as no plain tensor of numbers"),
        (torch_bytes({"a": torch.zeros(2, device="meta")}), "holds a as no plain tensor of numbers"),
        (torch_bytes({"x" * 2000: STATE}), "is truncated or damaged"),
        (torch_bytes({"x" * 2000: STATE}, zipped=False), "is truncated or damaged"),
        (rezipped(torch_bytes({"a": torch.zeros(100_000)}), zipfile.ZIP_DEFLATED), "is truncated or damaged"),
    ],
)
def test_a_wrong_file_gives_one_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    """Whatever the file is, the answer names it and says what is wrong."""
    path = tmp_path / "net.pth"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"net\.pth " + re.escape(sentence)):
        torch_file.state_dict(path)


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    """A path that is not there and one that is a folder each get their own sentence."""
    with pytest.raises(InputError, match=r"gone\.pth: no such file"):
        torch_file.read(tmp_path / "gone.pth")
    with pytest.raises(InputError, match="is a folder; a file of weights is wanted"):
        torch_file.read(tmp_path)
