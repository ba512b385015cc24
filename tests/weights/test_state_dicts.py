"""State dicts in torchvision's names, published and local: what fits is taken whole, what doesn't is named."""

import warnings
from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor

from fcn.errors import InputError
from fcn.nets import backbones, pretrained
from fcn.nets.fitting import layout
from fcn.nets.pretrained import state_dict
from fcn.nets.pretrained import torchvision as published
from fcn.shape import Backbone

VGG16 = Backbone(architecture="vgg16", width=1 / 16, fc=8, input_px=64, dropout=0.5)
SMALL = [
    Backbone(architecture="alexnet", width=1 / 16, fc=8, input_px=96, dropout=0.5),
    VGG16,
    Backbone(architecture="googlenet", width=1 / 16, fc=8, input_px=96, dropout=0.5),
]
FULL = [
    Backbone(architecture="alexnet", width=1, fc=4096, input_px=224, dropout=0.5),
    Backbone(architecture="vgg16", width=1, fc=4096, input_px=224, dropout=0.5),
    Backbone(architecture="googlenet", width=1, fc=1024, input_px=224, dropout=0.5),
]
WEIGHTS = Path(__file__).resolve().parents[3] / "shared" / "weights"


def architecture(backbone: Backbone) -> str:
    return backbone.architecture


def state_of(backbone: Backbone, *, classes: int = 7) -> dict[str, Tensor]:
    """A classifier's state dict, with weights drawn at random."""
    torch.manual_seed(0)
    make = backbones.load(backbone.architecture).classifier
    net = make(width=backbone.width, fc=backbone.fc, input_px=backbone.input_px, classes=classes)
    return dict(net.state_dict())


def saved(path: Path, state: dict[str, Tensor]) -> Path:
    torch.save(state, path)
    return path


@pytest.mark.parametrize("backbone", FULL, ids=architecture)
def test_the_layout_is_torchvisions(backbone: Backbone) -> None:
    """At full size the tensors of each classifier have the names and shapes of torchvision's own, without aux heads."""
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # about the initial weights that these nets won't have
        wanted = getattr(torchvision.models, backbone.architecture)().state_dict()
    shapes = {name: tensor.shape for name, tensor in wanted.items() if not name.startswith("aux")}
    assert layout(backbone).shapes == shapes


@pytest.mark.parametrize("backbone", SMALL, ids=architecture)
def test_a_published_file_is_taken_whole(tmp_path: Path, backbone: Backbone) -> None:
    """Every tensor of a published state dict arrives unchanged, and auxiliary classifiers stay behind."""
    state = state_of(backbone)
    aux = {"aux1.fc1.weight": torch.zeros(2, 2), "aux2.conv.bn.running_var": torch.zeros(2)}
    found = published.load(saved(tmp_path / "net.pth", {**state, **aux}), backbone=backbone)
    assert set(found) == set(state)
    assert all(torch.equal(found[name], state[name]) for name in state)


def test_a_published_file_may_lack_the_batch_counters(tmp_path: Path) -> None:
    """Old state dicts without num_batches_tracked load, as torch itself lets them."""
    state = {name: tensor for name, tensor in state_of(SMALL[2]).items() if not name.endswith("num_batches_tracked")}
    assert set(published.load(saved(tmp_path / "net.pth", state), backbone=SMALL[2])) == set(state)


def test_a_published_file_must_be_whole(tmp_path: Path) -> None:
    """A published file without its fully connected layers is not the published file."""
    state = {name: tensor for name, tensor in state_of(VGG16).items() if name.startswith("features")}
    with pytest.raises(InputError, match=r"net\.pth lacks classifier\.0\.weight, of shape 8 x 128 and 5 more"):
        published.load(saved(tmp_path / "net.pth", state), backbone=VGG16)


@pytest.mark.parametrize("backbone", SMALL, ids=architecture)
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "convolutions"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_local_file_is_read_in_any_float(tmp_path: Path, backbone: Backbone, whole: bool, dtype: torch.dtype) -> None:
    """A state dict, whole or without its fully connected layers, comes out as float32 with the values that it had."""
    linear = ("classifier.", "fc.")
    state = {n: t.to(dtype) if t.is_floating_point() else t for n, t in state_of(backbone).items()}
    state = {name: tensor for name, tensor in state.items() if whole or not name.startswith(linear)}
    found = state_dict.load(saved(tmp_path / "net.pt", state), backbone=backbone)
    assert set(found) == set(state)
    for name, tensor in state.items():
        assert found[name].dtype == (torch.float32 if tensor.is_floating_point() else torch.int64)
        assert torch.equal(found[name], tensor.to(found[name].dtype))


def test_any_class_count_is_read(tmp_path: Path) -> None:
    """The file's own class count is taken: the last layer isn't used by an FCN."""
    found = state_dict.load(saved(tmp_path / "net.pt", state_of(VGG16, classes=3)), backbone=VGG16)
    assert found["classifier.6.weight"].shape == (3, 8)


def without(state: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key: tensor for key, tensor in state.items() if key != name}


def test_a_missing_convolution_is_named(tmp_path: Path) -> None:
    """A state dict that lacks one convolution's bias names it and its shape: it would start at random unnoticed."""
    path = saved(tmp_path / "net.pt", without(state_of(VGG16), "features.5.bias"))
    with pytest.raises(InputError, match=r"net\.pt lacks features\.5\.bias, of shape 8; "):
        state_dict.load(path, backbone=VGG16)


def test_a_foreign_tensor_is_named(tmp_path: Path) -> None:
    """A tensor that the network has not is named, with some of those that it has."""
    path = saved(tmp_path / "net.pt", {**state_of(VGG16), "conv1_1.weight": torch.zeros(1)})
    with pytest.raises(
        InputError,
        match=r"holds conv1_1\.weight, .* are features\.0\.weight, features\.0\.bias \.\.\. classifier\.6\.bias",
    ):
        state_dict.load(path, backbone=VGG16)


@pytest.mark.parametrize("kind", ["torchvision", "state_dict"])
def test_another_width_is_refused_by_tensor_and_shapes(tmp_path: Path, kind: str) -> None:
    """A file of another width names the first tensor that doesn't fit, its shape and the wanted one."""
    path = saved(tmp_path / "net.pt", state_of(VGG16))
    wide = Backbone(architecture="vgg16", width=0.125, fc=8, input_px=64, dropout=0.5)
    with pytest.raises(
        InputError, match=r"features\.0\.weight with shape 4 x 3 x 3 x 3, this network wants 8 x 3 x 3 x 3"
    ):
        pretrained.reader(kind).load(path, backbone=wide)


def test_another_input_size_is_refused_at_fc6(tmp_path: Path) -> None:
    """A classifier of another input size differs in fc6 alone, and that is what the message shows."""
    path = saved(tmp_path / "net.pt", state_of(VGG16))
    larger = Backbone(architecture="vgg16", width=1 / 16, fc=8, input_px=96, dropout=0.5)
    with pytest.raises(InputError, match=r"classifier\.0\.weight with shape 8 x 128, this network wants 8 x 288"):
        state_dict.load(path, backbone=larger)


def test_a_last_layer_of_one_number_is_refused(tmp_path: Path) -> None:
    """A last layer without a class is told by its shape."""
    path = saved(tmp_path / "net.pt", {**state_of(VGG16), "classifier.6.weight": torch.tensor(1.0)})
    with pytest.raises(InputError, match=r"classifier\.6\.weight with shape one number, this network wants 1000 x 8"):
        state_dict.load(path, backbone=VGG16)


def test_weights_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    """A tensor with a NaN is named."""
    state = state_of(VGG16)
    state["features.2.weight"][0, 0, 0, 0] = torch.nan
    with pytest.raises(InputError, match=r"NaN or infinity in features\.2\.weight"):
        state_dict.load(saved(tmp_path / "net.pt", state), backbone=VGG16)


def test_an_unknown_kind_lists_the_kinds() -> None:
    """The folder is the registry: a wrong kind is answered with the modules in it."""
    with pytest.raises(
        InputError, match=r"'onnx' is unknown; there are caffemodel, keras, pytorch_fcn, state_dict, torchvision$"
    ):
        pretrained.reader("onnx")


@pytest.mark.parametrize(("name", "count"), [("alexnet", 10), ("vgg16", 26)])
def test_the_real_convolutions_load(name: str, count: int) -> None:
    """The real ImageNet convolutions fit the full-size backbones, and look like first layers that have learned."""
    path = WEIGHTS / f"{name}_conv_imagenet_fp16.pt"
    if not path.is_file():
        pytest.skip(f"needs {path.name} in ../shared/weights, which is not part of the project")
    state = state_dict.load(path, backbone=next(entry for entry in FULL if entry.architecture == name))
    assert len(state) == count
    assert all(tensor.dtype == torch.float32 for tensor in state.values())
    assert state["features.0.weight"].std() > 0.05
