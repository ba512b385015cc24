"""Surgery loses nothing: classifiers, their trunks and their fully convolutional forms compute one function."""

import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from fcn.errors import InputError
from fcn.nets import backbones
from fcn.nets.surgery import convolution, narrow, transplant

PUBLISHED_PX = 224
# Nets with fc6 take any size; GoogLeNet's average pool is 7x7 at its own.
SIZES = [
    (name, input_px)
    for name in backbones.names()
    for input_px in ((PUBLISHED_PX, 96, 100, 227) if backbones.load(name).FULLY_CONNECTED else (PUBLISHED_PX,))
]


def images(batch: int, side: int, *, seed: int = 0) -> torch.Tensor:
    return torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(seed))


def unsettle(net: nn.Module) -> None:
    """Give every bias and every batch normalisation something to do, so that none can be lost unnoticed."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            if name.endswith("running_var"):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
            elif name.endswith(("bias", "running_mean")):
                tensor.copy_(0.1 * torch.randn(tensor.shape, generator=generator))


def close(found: torch.Tensor, wanted: torch.Tensor) -> None:
    """Equal to float tolerance, on the scale of the largest score, and not because all are the same."""
    assert wanted.std() > 0.01
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5 * float(wanted.abs().max()))


def agree(architecture: str, *, width: float, fc: int, input_px: int) -> None:
    module = backbones.load(architecture)
    classifier = module.classifier(width=width, fc=fc, input_px=input_px, classes=21).eval()
    unsettle(classifier)
    with torch.inference_mode():
        wanted = classifier(images(2, input_px))
        trunk = module.trunk(classifier, dropout=0.5).eval()
        dense = module.head(classifier)(trunk(images(2, input_px))[32])
    assert dense.shape == (2, 21, 1, 1)
    close(dense[:, :, 0, 0], wanted)


@pytest.mark.parametrize(("architecture", "input_px"), SIZES)
def test_a_classifier_and_its_fcn_agree(architecture: str, input_px: int) -> None:
    """At the classifier's own input size its convolutional form gives one unit, with the classifier's scores."""
    agree(architecture, width=1 / 8, fc=32, input_px=input_px)


@pytest.mark.parametrize("architecture", ["alexnet", "vgg16"])
def test_they_agree_at_full_width(architecture: str) -> None:
    """At full width the convolutional form gives the classifier's scores too."""
    agree(architecture, width=1, fc=64, input_px=PUBLISHED_PX)


@pytest.mark.parametrize("architecture", ["alexnet", "googlenet", "vgg16"])
def test_full_size_classifiers_are_torchvisions(architecture: str) -> None:
    """With equal tensors, our full-size classifier computes what torchvision's own network computes."""
    ours = backbones.load(architecture).classifier(width=1, fc=4096, input_px=PUBLISHED_PX, classes=1000).eval()
    unsettle(ours)
    googlenet = {"aux_logits": False, "transform_input": False, "init_weights": False}
    with torch.device("meta"):
        theirs = torchvision.models.get_model(architecture, **(googlenet if architecture == "googlenet" else {}))
    theirs.load_state_dict(ours.state_dict(), assign=True)
    with torch.inference_mode():
        close(ours(images(1, PUBLISHED_PX)), theirs.eval()(images(1, PUBLISHED_PX)))


@pytest.mark.parametrize(("architecture", "window_px"), [("alexnet", 355), ("vgg16", 404)])
def test_a_dense_unit_is_the_classifier_on_the_crop_under_it(architecture: str, window_px: int) -> None:
    """Without padding, unit (i, j) of the dense map is the classifier on the window that starts at (32 i, 32 j)."""
    module = backbones.load(architecture)
    classifier = module.classifier(width=1 / 16, fc=16, input_px=PUBLISHED_PX, classes=5).eval()
    unsettle(classifier)
    for layer in classifier.modules():
        if isinstance(layer, nn.Conv2d):
            layer.padding = (0, 0)
    photo = images(1, window_px + 2 * 32)
    with torch.inference_mode():
        dense = module.head(classifier)(module.trunk(classifier, dropout=0.5).eval()(photo)[32])
        assert dense.shape == (1, 5, 3, 3)
        for i, j in ((0, 0), (1, 2), (2, 1)):
            crop = photo[:, :, 32 * i : 32 * i + window_px, 32 * j : 32 * j + window_px]
            close(dense[:, :, i, j], classifier(crop))


@given(channels=st.integers(1, 4), side=st.integers(1, 7), classes=st.integers(1, 5), seed=st.integers(0, 99))
def test_a_fully_connected_layer_equals_its_convolution(channels: int, side: int, classes: int, seed: int) -> None:
    """A fully connected layer over a flattened C side side map is the convolution with a side x side kernel."""
    generator = torch.Generator().manual_seed(seed)
    linear = nn.Linear(channels * side * side, classes).double()
    maps = torch.randn(2, channels, side, side, dtype=torch.float64, generator=generator)
    found = convolution(linear, side=side)(maps)
    torch.testing.assert_close(found[:, :, 0, 0], linear(maps.flatten(1)))


@pytest.mark.parametrize("architecture", backbones.names())
def test_the_trunk_holds_the_classifiers_own_numbers(architecture: str) -> None:
    """Surgery copies no weights: every tensor of the trunk lies in the classifier's memory."""
    module = backbones.load(architecture)
    classifier = module.classifier(width=1 / 32, fc=4, input_px=96, classes=3)
    owned = {tensor.data_ptr() for tensor in classifier.state_dict().values()}
    trunk = module.trunk(classifier, dropout=0.5)
    assert {tensor.data_ptr() for tensor in trunk.state_dict().values()} < owned


@pytest.mark.parametrize("architecture", backbones.names())
@pytest.mark.parametrize("pad", [100, "same"])
def test_a_trunk_counts_the_channels_of_its_maps(architecture: str, pad: int | str) -> None:
    """The map of each stride has the channels that the trunk counts, and a side of the image's by the stride.

    So has the first layer's, exactly.
    """
    module = backbones.load(architecture)
    trunk = module.trunk(module.classifier(width=1 / 16, fc=12, input_px=224, classes=3), dropout=0.0)
    trunk.pad(pad)
    with torch.inference_mode():
        maps = trunk.eval()(images(1, 256))
    assert {stride: tensor.shape[1] for stride, tensor in maps.items()} == trunk.channels
    if pad == "same":
        assert trunk.first(images(1, 256)).shape[2] == 256 // trunk.first.stride[0]
        for stride, tensor in maps.items():
            assert abs(tensor.shape[2] - 256 // stride) <= 2, f"stride {stride}"  # partial windows, AlexNet's even fc6


@pytest.mark.parametrize("architecture", backbones.names())
def test_dropout_acts_in_training_only(architecture: str) -> None:
    """In training two passes differ, by the trunk's own dropout; in evaluation they don't."""
    module = backbones.load(architecture)
    trunk = module.trunk(module.classifier(width=1 / 16, fc=64, input_px=224, classes=3), dropout=0.5)
    drops = [layer for layer in trunk.modules() if isinstance(layer, nn.Dropout)]
    assert drops
    assert {layer.p for layer in drops} == {0.5}
    for layer in trunk.train().modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eval()
    photo = images(1, PUBLISHED_PX)
    assert not torch.equal(trunk(photo)[32], trunk(photo)[32])
    trunk.eval()
    assert torch.equal(trunk(photo)[32], trunk(photo)[32])


def test_width_multiplies_every_layers_channels() -> None:
    """At a width of 1/8 every convolution has an eighth of its channels, and never less than one."""

    def channels(width: float) -> list[int]:
        with torch.device("meta"):
            net = backbones.load("googlenet").classifier(width=width, fc=1, input_px=224, classes=2)
        return [layer.out_channels for layer in net.modules() if isinstance(layer, nn.Conv2d)]

    assert channels(1 / 8) == [count // 8 for count in channels(1)]
    assert set(channels(1e-6)) == {1}


def test_a_narrowed_layer_keeps_its_window() -> None:
    """Kernel, stride, padding and the absence of a bias survive narrowing."""
    net = nn.Sequential(nn.Conv2d(3, 64, 11, stride=4, padding=2, bias=False))
    narrow(net, width=0.5)
    layer = net[0]
    assert isinstance(layer, nn.Conv2d)
    assert (layer.out_channels, layer.kernel_size, layer.stride, layer.padding, layer.bias) == (
        (32, (11, 11), (4, 4), (2, 2), None)
    )


def test_a_new_classifier_starts_as_he_did() -> None:
    """Weights start normal with a variance of 2 over the fan-in, biases at zero."""
    torch.manual_seed(0)
    net = backbones.load("vgg16").classifier(width=1 / 4, fc=256, input_px=96, classes=21)
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            fan_in = layer.weight[0].numel()
            assert float(layer.weight.detach().std() * (fan_in / 2) ** 0.5) == pytest.approx(1, rel=0.1)
            assert layer.bias is not None
            assert not layer.bias.any()


def test_transplanting_reshapes_copies_and_names_the_rest() -> None:
    """A fully connected matrix becomes a kernel of its rows; tensors without a donor keep their start and are named."""
    first, second = nn.Conv2d(2, 4, 3), nn.Conv2d(4, 1, 1)
    net, start = nn.Sequential(first, second), second.weight.detach().clone()
    matrix = torch.randn(4, 18)
    missing = transplant(net, {"0.weight": matrix, "0.bias": torch.ones(4)})
    assert missing == ["1.weight", "1.bias"]
    assert torch.equal(first.weight.flatten(1), matrix)
    assert torch.equal(second.weight, start)


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ({"2.weight": torch.zeros(1)}, r"hold 2\.weight, which this network has not; it has 0\.weight, 0\.bias"),
        ({"0.weight": torch.zeros(4, 2, 5, 5)}, r"shape \(4, 2, 5, 5\), this network wants \(4, 2, 3, 3\)"),
        ({"0.weight": torch.zeros(2, 4, 3, 3)}, r"shape \(2, 4, 3, 3\), this network wants \(4, 2, 3, 3\)"),
        ({"0.weight": torch.tensor(0.0)}, r"shape \(\), this network wants"),
    ],
)
def test_a_donor_that_does_not_fit_changes_nothing(state: dict[str, torch.Tensor], sentence: str) -> None:
    """A tensor of another name or shape is refused with both shapes, before anything was copied."""
    layer = nn.Conv2d(2, 4, 3, bias=True)
    net, before = nn.Sequential(layer), {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    with pytest.raises(InputError, match=sentence):
        transplant(net, {"0.bias": torch.ones(4), **state})
    assert all(torch.equal(tensor, before[name]) for name, tensor in layer.state_dict().items())


def test_an_unknown_architecture_lists_those_there_are() -> None:
    """A backbone that there isn't is answered with those there are."""
    with pytest.raises(InputError, match=r"'resnet50' is unknown; there are alexnet, .*vgg16"):
        backbones.load("resnet50")
