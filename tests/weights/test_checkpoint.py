"""The checkpoint format: what is written is what is read, the same bytes every time, and nothing else is believed."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from fcn.datasets.facts import Target
from fcn.errors import InputError, StageFailure
from fcn.nets import checkpoint
from fcn.nets.checkpoint import Checkpoint
from fcn.nets.preprocessing import preset
from fcn.shape import Backbone, Net

VGG16 = Backbone(architecture="vgg16", width=0.125, fc=8, input_px=96, dropout=0.5)
STATE = {
    "heads.semantic.score_fr.weight": torch.arange(12.0).reshape(3, 4, 1, 1),
    "heads.semantic.score_fr.bias": torch.tensor([0.5, -0.5, 1e-30]),
    "trunk.half": torch.arange(6, dtype=torch.float16).reshape(2, 3),
    "trunk.bn.num_batches_tracked": torch.tensor(7),
}
NET = Checkpoint(
    backbone=VGG16,
    net=Net(
        backbone=VGG16,
        inputs=("rgb",),
        heads={"semantic": 3, "geometric": 2},
        taps=(16, 8),
        scales={16: 0.01, 8: 0.0001},
        pad=100,
        upsampling="fixed",
    ),
    targets={
        "semantic": Target(classes=("background", "cow", "car"), background=0, average="seen"),
        "geometric": Target(classes=("flat", "up"), background=None, average="truth", palette=((1, 2, 3), (4, 5, 6))),
    },
    preprocessing={"rgb": preset("caffe")},
    state=STATE,
    provenance={"run": "voc-fcn8s-vgg16", "seed": "0"},
)


def saved(path: Path, content: Checkpoint = NET) -> Path:
    checkpoint.save(content, path)
    return path


def test_what_is_saved_is_what_is_loaded(tmp_path: Path) -> None:
    """Every field and every bit of every tensor survives the file."""
    loaded = checkpoint.load(saved(tmp_path / "net.pt"))
    for field in dataclasses.fields(Checkpoint):
        if field.name != "state":
            assert getattr(loaded, field.name) == getattr(NET, field.name)
    assert loaded.net is not None
    assert list(loaded.net.heads) == ["semantic", "geometric"], "the first head is the first"
    assert set(loaded.state) == set(STATE)
    for name, tensor in STATE.items():
        assert loaded.state[name].dtype == tensor.dtype
        assert torch.equal(loaded.state[name], tensor)


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    """Order of keys, memory layout, gradients, shared memory, 1 for 1.0 and the file's name leave no trace."""
    base = torch.arange(24.0).reshape(2, 3, 2, 2)
    plain = {"a": base.clone(), "b": base[0].clone(), "c": torch.ones(4, 1, 1, 1)}
    odd = {
        "c": torch.nn.Parameter(torch.ones(4, 1, 1, 1).to(memory_format=torch.channels_last)),
        "b": base[0],
        "a": base.to(memory_format=torch.channels_last).requires_grad_(),
    }
    first = dataclasses.replace(NET, state=plain, provenance={"x": "1", "y": "2"})
    other = dataclasses.replace(
        NET,
        backbone=dataclasses.replace(VGG16, dropout=0.5),
        preprocessing={"rgb": dataclasses.replace(preset("caffe"), scale=1)},
        targets={name: NET.targets[name] for name in reversed(list(NET.targets))},
        state=odd,
        provenance={"y": "2", "x": "".join(["1"])},
    )
    assert saved(tmp_path / "one.pt", first).read_bytes() == saved(tmp_path / ".two.pt.part", other).read_bytes()


def test_a_disk_that_gives_back_other_bytes_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written is read again: where it has changed, there is no checkpoint but a sentence."""
    path = tmp_path / "net.pt"
    monkeypatch.setattr(os, "fsync", lambda _file: path.write_bytes(b"others"))
    with pytest.raises(StageFailure, match=r"net\.pt reads back other bytes than were written; the disk"):
        checkpoint.save(NET, path)


def test_another_process_writes_the_same_bytes(tmp_path: Path, repository: Path) -> None:
    """Two processes with different hash seeds write the same file from the same content."""
    program = """
import sys, torch
from pathlib import Path
from fcn.shape import Backbone, Net
from fcn.datasets.facts import Target
from fcn.nets import checkpoint
from fcn.nets.preprocessing import preset
torch.manual_seed(3)
state = {f"trunk.features.{i}.weight": torch.randn(4, 3, 3, 3) for i in range(12)}
backbone = Backbone(architecture="vgg16", width=1, fc=8, input_px=96, dropout=0)
net = Net(backbone=backbone, inputs=("rgb",), heads={"semantic": 2}, taps=(16, 8), pad="same", upsampling="fixed",
    scales={scale: 0.5 for scale in {16, 8}})
target = Target(classes=("a", "b"), background=0, average="seen")
made = checkpoint.Checkpoint(backbone=backbone, net=net, preprocessing={"rgb": preset("sample")},
    targets={name: target for name in {"semantic", "geometric", "depth"}}, state=state,
    provenance={name: name for name in {"one", "two", "three"}})
checkpoint.save(made, Path(sys.argv[1]))
"""
    paths = [tmp_path / f"{seed}.pt" for seed in (0, 1)]
    for seed, path in enumerate(paths):
        environment = {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": str(repository)}
        subprocess.run([sys.executable, "-c", program, str(path)], env=environment, cwd=tmp_path, check=True)
    assert len({path.read_bytes() for path in paths}) == 1


def test_other_content_gives_other_bytes(tmp_path: Path) -> None:
    """One changed number changes the file."""
    state = {**STATE, "heads.semantic.score_fr.bias": torch.tensor([0.5, -0.5, 2e-30])}
    other = saved(tmp_path / "b.pt", dataclasses.replace(NET, state=state))
    assert saved(tmp_path / "a.pt").read_bytes() != other.read_bytes()


def test_a_view_is_saved_without_what_it_looks_into(tmp_path: Path) -> None:
    """A row of a large matrix takes a row's room in the file."""
    row = torch.zeros(10_000, 100)[0]
    assert saved(tmp_path / "row.pt", dataclasses.replace(NET, state={"row": row})).stat().st_size < 10_000


def test_a_single_flipped_bit_is_noticed_or_changes_nothing(tmp_path: Path) -> None:
    """A file with a bit flipped anywhere is refused in a sentence, or, where zip files keep dates, read as it was."""
    path = saved(tmp_path / "net.pt")
    whole, refused = path.read_bytes(), 0
    for position in range(0, len(whole), 7):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1 << position % 8]) + whole[position + 1 :])
        try:
            loaded = checkpoint.load(path)
        except InputError:
            refused += 1
        else:
            assert dataclasses.replace(loaded, state={}) == dataclasses.replace(NET, state={})
            assert all(torch.equal(loaded.state[name], tensor) for name, tensor in STATE.items())
    assert refused > len(whole) / 7 / 3


def changed(path: Path, **content: object) -> Path:
    """The file with other content, as somebody else might write it: its sums match."""
    torch.save({**torch.load(path, weights_only=True), **content}, path)
    return path


def described(path: Path, **about: object) -> Path:
    """The file with another description."""
    return changed(path, about=json.dumps({**json.loads(torch.load(path, weights_only=True)["about"]), **about}))


def test_other_tensors_than_the_description_s_are_refused(tmp_path: Path) -> None:
    """One changed number in a file that is whole otherwise is noticed by the digest."""
    state = {**STATE, "heads.semantic.score_fr.bias": torch.tensor([0.5, -0.5, 2e-30])}
    with pytest.raises(InputError, match=r"net\.pt is damaged: its tensors are not those that were written"):
        checkpoint.load(changed(saved(tmp_path / "net.pt"), state=state))


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_without_end_are_refused(tmp_path: Path, number: float) -> None:
    """Tensors with NaN or infinity predict nothing; the first is named."""
    state = {"a": torch.ones(3), "b": torch.tensor([1, number])}
    with pytest.raises(InputError, match=r"net\.pt holds NaN or infinity in b; make or fetch it again$"):
        checkpoint.load(saved(tmp_path / "net.pt", dataclasses.replace(NET, state=state)))


assert NET.net is not None
CAFFE, CLASSES = dataclasses.asdict(preset("caffe")), dataclasses.asdict(NET.targets["semantic"])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"version": torch.tensor([1, 2])}, r"has version \? of the checkpoint format"),
        ({"version": 10**400}, "has version"),
        ({"about": 7}, "doesn't say what its tensors are for"),
        ({"about": "[ " * 100_000}, "doesn't say what its tensors are for"),
        ({"about": "[ " * 100_000, "version": 1}, "doesn't say what its tensors are for"),
        ({"state": {"a": torch.zeros(1).expand(10**12)}}, "has no tensors by name"),
        ({"state": dict.fromkeys("abc", torch.zeros(9999))}, "has no tensors by name"),
        ({"state": {"a": torch.zeros(2, dtype=torch.complex64)}}, "has no tensors by name"),
    ],
)
def test_a_crafted_file_gives_one_sentence(tmp_path: Path, content: dict[str, Any], sentence: str) -> None:
    """Whatever a small file holds - terabytes of one zero, numbers and brackets without end - it is refused."""
    with pytest.raises(InputError, match=rf"net\.pt {sentence}"):
        checkpoint.load(changed(saved(tmp_path / "net.pt"), **content))


@pytest.mark.parametrize(
    "about",
    [
        {"preprocessing": {"rgb": {**CAFFE, "mean": [1, 2, float("nan")]}}},
        {"preprocessing": {"rgb": {**CAFFE, "scale": -1}}},
        {"targets": {"semantic": {**CLASSES, "palette": [[0, 0, 300]] * 3}}},
        {"targets": {"semantic": {**CLASSES, "background": -1}}},
        {"backbone": {**dataclasses.asdict(VGG16), "fc": -1}},
        {"net": {**dataclasses.asdict(NET.net), "heads": {"x" * 300: 3}}},
    ],
)
def test_a_description_of_what_can_t_be_is_refused(tmp_path: Path, about: dict[str, Any]) -> None:
    """Colours, sizes and means that there are not are no description."""
    with pytest.raises(InputError, match=r"net\.pt doesn't say what its tensors are for"):
        checkpoint.load(described(saved(tmp_path / "net.pt"), **about))


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
def test_a_truncated_checkpoint_is_refused(tmp_path: Path, kept: float) -> None:
    """A file cut off anywhere gives one sentence."""
    path = saved(tmp_path / "net.pt")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(InputError, match=r"net\.pt is truncated or damaged: .* copy or fetch it again$"):
        checkpoint.load(path)


def test_a_state_dict_is_no_checkpoint(tmp_path: Path) -> None:
    """A plain state dict is refused with the kind of entry that would read it."""
    torch.save(STATE, tmp_path / "other.pt")
    with pytest.raises(InputError, match=r"not a checkpoint of this project; .* kind state_dict"):
        checkpoint.load(tmp_path / "other.pt")


def test_another_version_is_named(tmp_path: Path) -> None:
    """A file of another version of the format says which one it has and which one is read."""
    torch.save({"format": "fcn checkpoint", "version": 9, "about": "{}", "state": {}}, tmp_path / "net.pt")
    with pytest.raises(InputError, match="version 9 of the checkpoint format, this code reads 1 and 2; make it again"):
        checkpoint.load(tmp_path / "net.pt")


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("about", ['{"classes": 21}', "no JSON", "[]"])
def test_a_description_that_lacks_something_is_refused(tmp_path: Path, version: int, about: str) -> None:
    """A file whose description isn't whole gives one sentence, not a traceback."""
    torch.save({"format": "fcn checkpoint", "version": version, "about": about, "state": {}}, tmp_path / "net.pt")
    with pytest.raises(InputError, match="doesn't say what its tensors are for"):
        checkpoint.load(tmp_path / "net.pt")


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    "state", [None, [], "x", [torch.zeros(1)], {"a": 1}, {1: torch.zeros(1)}, {"a": torch.eye(2).to_sparse()}]
)
def test_a_file_without_tensors_by_name_is_refused(tmp_path: Path, version: int, state: object) -> None:
    """No `state`, or one of another kind, gives one sentence in both formats."""
    content = {"format": "fcn checkpoint", "version": version, "about": "{}", "state": state}
    torch.save(content, tmp_path / "net.pt")
    with pytest.raises(InputError, match=r"net\.pt has no tensors by name as its `state`; make or fetch it again$"):
        checkpoint.load(tmp_path / "net.pt")
    del content["state"]
    torch.save(content, tmp_path / "net.pt")
    with pytest.raises(InputError, match=r"net\.pt has no tensors by name as its `state`"):
        checkpoint.load(tmp_path / "net.pt")


SEMANTIC = Target(classes=("sky", "tree"), background=None, average="seen")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"preprocessing": {}}, r"has preprocessing for no input, its net takes rgb; make"),
        ({"preprocessing": {"depth": preset("caffe")}}, r"has preprocessing for depth, its net takes rgb; make"),
        ({"targets": {"semantic": SEMANTIC}}, r"names 2 classes for 'semantic', its net has 3; make"),
        ({"targets": {"depth": SEMANTIC}}, r"names 2 classes for 'depth', its net has no such head; make"),
    ],
)
def test_a_description_that_contradicts_its_net_is_refused(
    tmp_path: Path, change: dict[str, Any], sentence: str
) -> None:
    """Inputs without preprocessing, and classes that the heads don't have, are named when the file is read."""
    path = saved(tmp_path / "net.pt", dataclasses.replace(NET, **change))
    with pytest.raises(InputError, match=rf"net\.pt {sentence}"):
        checkpoint.load(path)


def test_classes_may_have_no_names(tmp_path: Path) -> None:
    """Foreign files name none of their classes: such a checkpoint is read."""
    assert checkpoint.load(saved(tmp_path / "net.pt", dataclasses.replace(NET, targets={}))).targets == {}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, which stands for a full disk")
def test_a_full_disk_stays_a_full_disk() -> None:
    """No space left arrives as the OSError that the command line turns into advice."""
    with pytest.raises(OSError, match="No space left on device"):
        checkpoint.save(NET, Path("/dev/full"))
