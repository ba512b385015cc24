"""Checkpoints of the first format still load: the same tensors, in the net that they were of."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from fcn.errors import InputError
from fcn.nets import backbones, checkpoint
from fcn.nets.build import start, trained
from fcn.nets.fcn import FCN
from fcn.nets.preprocessing import preset
from fcn.shape import Backbone
from tests.nets.shapes import Stride, Upsampled, scores, shape

VGG16 = Backbone(architecture="vgg16", width=1 / 32, fc=4, input_px=64, dropout=0.5)
CLASSES = 3
SCALES: dict[Any, float] = {16: 0.01, 8: 0.0001}
SAMPLE = {"name": "sample", "channels": "RGB", "scale": 1.0, "mean": [115.0] * 3, "std": [60.0] * 3}


def digest(state: dict[str, Tensor]) -> str:
    """As the first format has it: SHA-256 over names, types, shapes and bytes, by name."""
    total = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name]
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        total.update(tensor.contiguous().numpy().tobytes())
    return total.hexdigest()


def write(path: Path, state: dict[str, Tensor], *, kind: str, classes: int, net: dict[str, Any] | None) -> Path:
    """A file as the code that knew only the first format wrote it."""
    state = dict(sorted(state.items()))
    about = {
        "kind": kind,
        "backbone": {"architecture": "vgg16", "width": 1 / 32, "fc": 4, "input_px": 64, "dropout": 0.5},
        "classes": classes,
        "net": net,
        "preprocessing": SAMPLE,
        "provenance": {"run": "voc-fcn8s", "init": "weights/vgg16-sample", "profile": "sample"},
        "digest": digest(state),
    }
    text = json.dumps(about, sort_keys=True)
    torch.save({"format": "fcn checkpoint", "version": 1, "about": text, "state": state}, path)
    return path


def taught(stride: Stride, scales: dict[Any, float], *, upsampling: Upsampled = "fixed") -> FCN:
    """A net whose scores say something."""
    torch.manual_seed(0)
    net = FCN(shape(VGG16, stride, classes=CLASSES, scales=scales, upsampling=upsampling)).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn(parameter.shape), alpha=0.1)
    return net


def first_format(net: FCN) -> dict[str, Tensor]:
    """The net's tensors under the names of the first format, which knew one head."""
    return {name.removeprefix("heads.semantic."): tensor for name, tensor in net.state_dict().items()}


@pytest.mark.parametrize(
    ("stride", "skips", "scales", "upsampling"),
    [
        (32, "none", {}, "fixed"),
        (16, "staged", {}, "all"),
        (16, "atonce", {16: 0.01}, "fixed"),
        (8, "staged", {}, "intermediate"),
        (8, "atonce", SCALES, "fixed"),
        (8, "atonce-unscaled", {}, "fixed"),
    ],
)
def test_a_net_of_the_first_format_scores_as_it_did(
    tmp_path: Path, stride: Stride, skips: str, scales: dict[Any, float], upsampling: Upsampled
) -> None:
    """FCNs of every stride come back with their skips, scales and upsampling, and give the same scores to the bit."""
    net = taught(stride, scales, upsampling=upsampling)
    described = {"stride": stride, "skips": skips, "pad": "same", "upsampling": upsampling}
    path = write(tmp_path / "net.pt", first_format(net), kind="fcn", classes=CLASSES, net=described)
    loaded = checkpoint.load(path)
    assert loaded.net == net.net
    assert loaded.targets == {}, "its classes had no names"
    assert loaded.preprocessing == {"rgb": preset("sample")}
    assert loaded.provenance["run"] == "voc-fcn8s"
    image = torch.randn(1, 3, 50, 70)
    with torch.inference_mode():
        assert torch.equal(scores_of(trained(loaded), image), scores_of(net, image))


def scores_of(net: FCN, image: Tensor) -> Tensor:
    found = scores(net, image)
    assert found.std() > 0
    return found


def test_a_classifier_of_the_first_format_starts_a_net(tmp_path: Path) -> None:
    """A classifier keeps torchvision's names, and a net takes over its trunk."""
    classifier = backbones.load("vgg16").classifier(width=1 / 32, fc=4, input_px=64, classes=20)
    state = {name: tensor.clone() for name, tensor in classifier.state_dict().items()}
    loaded = checkpoint.load(write(tmp_path / "vgg16.pt", state, kind="classifier", classes=20, net=None))
    assert loaded.net is None
    assert loaded.backbone == VGG16
    assert set(loaded.state) == set(state)
    net = FCN(shape(VGG16, 32, classes=CLASSES))
    handed = start(net, loaded, where="it")
    assert {name.rpartition(".")[0] for name in handed.left} == {"classifier.6"}
    assert torch.equal(net.state_dict()["trunk.fc6.weight"].flatten(1), state["classifier.0.weight"])


def test_a_released_net_in_the_first_format_has_no_skips_entry(tmp_path: Path) -> None:
    """Weights read from pytorch-fcn's files didn't say whether their skips are scaled; they are taken as unscaled."""
    net = taught(8, {})
    described = {"stride": 8, "pad": "same", "upsampling": "fixed"}
    path = write(tmp_path / "net.pt", first_format(net), kind="fcn", classes=CLASSES, net=described)
    assert checkpoint.load(path).net == net.net


def test_what_is_loaded_can_be_saved_in_todays_format(tmp_path: Path) -> None:
    """A net of the first format that is saved again is one of the second, with the same tensors."""
    described = {"stride": 8, "skips": "atonce", "pad": "same", "upsampling": "fixed"}
    net = taught(8, SCALES)
    old = checkpoint.load(write(tmp_path / "1.pt", first_format(net), kind="fcn", classes=CLASSES, net=described))
    checkpoint.save(old, tmp_path / "2.pt")
    assert torch.load(tmp_path / "2.pt", weights_only=True)["version"] == 2
    again = checkpoint.load(tmp_path / "2.pt")
    assert again.net == old.net
    assert all(torch.equal(again.state[name], tensor) for name, tensor in net.state_dict().items())


def test_a_damaged_file_of_the_first_format_is_refused(tmp_path: Path) -> None:
    """One changed number, a stride that there isn't and a cut file each give one sentence."""
    net, described = taught(32, {}), {"stride": 32, "skips": "none", "pad": "same", "upsampling": "fixed"}
    path = write(tmp_path / "net.pt", first_format(net), kind="fcn", classes=CLASSES, net=described)
    content = torch.load(path, weights_only=True)
    content["state"]["trunk.features.2.weight"][0] += 1
    torch.save(content, path)
    with pytest.raises(InputError, match=r"net\.pt is damaged: its tensors are not those that were written"):
        checkpoint.load(path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(InputError, match=r"net\.pt is truncated or damaged"):
        checkpoint.load(path)
    odd = write(tmp_path / "odd.pt", first_format(net), kind="fcn", classes=CLASSES, net={**described, "stride": 4})
    with pytest.raises(InputError, match=r"odd\.pt doesn't say what its tensors are for"):
        checkpoint.load(odd)
