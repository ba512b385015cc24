"""Caffe's classifiers: what a .caffemodel holds computes here what it computes in Caffe."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from fcn.errors import InputError
from fcn.nets import backbones
from fcn.nets.fitting import layout
from fcn.nets.local_response import local_response
from fcn.nets.pretrained import caffemodel
from fcn.shape import Backbone
from tests.weights import test_caffe_file as caffe

Pair = tuple[Tensor, Tensor]  # kernel and bias

VGG16 = Backbone(architecture="vgg16", width=1 / 16, fc=8, input_px=64, dropout=0.5)
CAFFENET = Backbone(architecture="caffenet", width=1 / 16, fc=8, input_px=227, dropout=0.5)
GOOGLENET = Backbone(architecture="googlenet_published", width=1 / 16, fc=8, input_px=224, dropout=0.4)
CONVOLUTIONS = {
    "vgg16": [
        f"conv{block}_{layer}" for block, depth in enumerate((2, 2, 3, 3, 3), 1) for layer in range(1, depth + 1)
    ],
    "caffenet": [f"conv{layer}" for layer in range(1, 6)],
}
INCEPTIONS = ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")
PARTS = ("1x1", "3x3_reduce", "3x3", "5x5_reduce", "5x5", "pool_proj")
ORDER = {
    "vgg16": [*CONVOLUTIONS["vgg16"], "fc6", "fc7", "fc8"],
    "caffenet": [*CONVOLUTIONS["caffenet"], "fc6", "fc7", "fc8"],
    "googlenet_published": [
        *("conv1/7x7_s2", "conv2/3x3_reduce", "conv2/3x3"),
        *(f"inception_{block}/{part}" for block in INCEPTIONS for part in PARTS),
        "loss3/classifier",
    ],
}


def random_state(shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """Numbers that let something through every layer."""
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(size, generator=generator) * ((2 / size[1:].numel()) ** 0.5 if len(size) > 1 else 0.1)
        for name, size in shapes.items()
    }


def classifier(backbone: Backbone) -> dict[str, list[NDArray[np.float32]]]:
    """Layers of a classifier under Caffe's names, in the order that both list them in."""
    arrays = [tensor.numpy() for tensor in random_state(layout(backbone).shapes).values()]
    pairs = [[arrays[at], arrays[at + 1]] for at in range(0, len(arrays), 2)]
    return dict(zip(ORDER[backbone.architecture], pairs, strict=True))


def loaded(path: Path, backbone: Backbone, content: bytes) -> dict[str, Tensor]:
    """What is read from a file with these bytes."""
    return caffemodel.load(caffe.written(path / "net.caffemodel", content), backbone=backbone)


def normalised(x: Tensor) -> Tensor:
    """Caffe's local response normalisation across channels, channel by channel in numpy."""
    maps = x.double().numpy()
    out = np.empty_like(maps)
    for channel in range(maps.shape[1]):
        around = maps[:, max(channel - 2, 0) : channel + 3]
        out[:, channel] = maps[:, channel] / (1 + 1e-4 / 5 * (around**2).sum(1)) ** 0.75
    return torch.from_numpy(out).to(x.dtype)


def test_the_normalisation_is_caffes() -> None:
    """Across five channels, alpha is divided by five, and what lies outside counts as zero."""
    maps = 300 * torch.randn(2, 9, 3, 4, generator=torch.Generator().manual_seed(0))
    found = local_response()(maps)
    torch.testing.assert_close(found, normalised(maps))
    assert float((found - maps).abs().max()) > 10  # it does something to maps of this size


def pooled(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 3, 2, ceil_mode=True)


def caffenets_forward(x: Tensor, layers: Mapping[str, Pair]) -> Tensor:
    """The deploy.prototxt of bvlc_reference_caffenet, line by line."""
    x = normalised(pooled(F.conv2d(x, *layers["conv1"], stride=4).relu()))
    x = normalised(pooled(F.conv2d(x, *layers["conv2"], padding=2, groups=2).relu()))
    x = F.conv2d(x, *layers["conv3"], padding=1).relu()
    x = F.conv2d(x, *layers["conv4"], padding=1, groups=2).relu()
    x = pooled(F.conv2d(x, *layers["conv5"], padding=1, groups=2).relu()).flatten(1)
    for name in ("fc6", "fc7"):
        x = F.linear(x, *layers[name]).relu()
    return F.linear(x, *layers["fc8"])


def googlenets_forward(x: Tensor, layers: Mapping[str, Pair]) -> Tensor:
    """The deploy.prototxt of bvlc_googlenet, line by line."""

    def conv(x: Tensor, name: str, *, stride: int = 1) -> Tensor:
        kernel, bias = layers[name]
        return F.conv2d(x, kernel, bias, stride=stride, padding=kernel.shape[2] // 2).relu()

    x = normalised(pooled(conv(x, "conv1/7x7_s2", stride=2)))
    x = pooled(normalised(conv(conv(x, "conv2/3x3_reduce"), "conv2/3x3")))
    for block in INCEPTIONS:
        of = f"inception_{block}/"
        branches = [
            conv(x, f"{of}1x1"),
            conv(conv(x, f"{of}3x3_reduce"), f"{of}3x3"),
            conv(conv(x, f"{of}5x5_reduce"), f"{of}5x5"),
            conv(F.max_pool2d(x, 3, 1, 1), f"{of}pool_proj"),
        ]
        x = torch.cat(branches, 1)
        x = pooled(x) if block in ("3b", "4e") else x
    return F.linear(F.avg_pool2d(x, 7, 1).flatten(1), *layers["loss3/classifier"])


@pytest.mark.parametrize(
    ("backbone", "forward"),
    [(CAFFENET, caffenets_forward), (GOOGLENET, googlenets_forward)],
    ids=["caffenet", "googlenet"],
)
def test_a_classifier_computes_what_caffes_computes(
    tmp_path: Path, backbone: Backbone, forward: Callable[[Tensor, Mapping[str, Pair]], Tensor]
) -> None:
    """With a file's numbers our classifier gives the scores of the net that its prototxt describes."""
    layers = classifier(backbone)
    state = loaded(tmp_path, backbone, caffe.caffemodel(layers))
    net = backbones.load(backbone.architecture).classifier(
        width=backbone.width, fc=backbone.fc, input_px=backbone.input_px, classes=1000
    )
    net.load_state_dict(state)
    side = backbone.input_px
    images = 100 * torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(1))
    tensors = {name: (torch.from_numpy(kernel), torch.from_numpy(bias)) for name, (kernel, bias) in layers.items()}
    with torch.inference_mode():
        found, wanted = net.eval()(images), forward(images, tensors)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4 * float(wanted.abs().max()))
    assert wanted.std() > 0.1


@pytest.mark.parametrize(("backbone", "parameters"), [(CAFFENET, 60_965_224), (GOOGLENET, 6_998_552)])
def test_the_published_classifiers_have_their_parameters(backbone: Backbone, parameters: int) -> None:
    """CaffeNet has 60.97 million parameters at full size, GoogLeNet without its two other classifiers 7.00 million."""
    full = replace(backbone, width=1, fc=4096)
    assert sum(size.numel() for size in layout(full).shapes.values()) == parameters


@pytest.mark.parametrize("v1", [False, True], ids=["layer", "layers"])
@pytest.mark.parametrize("legacy", [False, True], ids=["shape", "num, channels, height, width"])
@pytest.mark.parametrize("backbone", [VGG16, CAFFENET, GOOGLENET], ids=["vgg16", "caffenet", "googlenet"])
def test_a_classifier_is_taken_whole(tmp_path: Path, backbone: Backbone, legacy: bool, v1: bool) -> None:
    """Every tensor of each classifier arrives unchanged from both forms, and auxiliary classifiers stay behind."""
    layers = classifier(backbone)
    auxiliary = {
        f"loss{which}/{layer}": layers[ORDER[backbone.architecture][-1]] for which in (1, 2) for layer in ("fc",)
    }
    state = loaded(tmp_path, backbone, caffe.caffemodel({**layers, **auxiliary}, v1=v1, legacy=legacy))
    wanted = random_state(layout(backbone).shapes)
    assert list(state) == list(wanted)
    assert all(torch.equal(state[name], wanted[name]) for name in wanted)
    assert caffemodel.net(state, backbone=backbone) is None


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"conv3_2": None}, r"lacks features\.12\.weight, of shape 16 x 16 x 3 x 3 and 1 more; "),
        ({"fc8": None}, r"lacks classifier\.6\.weight, of shape 1000 x 8 and 1 more; "),
        ({"conv1_1": [(4, 3, 3, 3)]}, r"lacks features\.0\.bias, of shape 4; "),
        ({"conv1_1": [(8, 3, 3, 3), (8,)]}, r"features\.0\.weight with shape 8 x 3 x 3 x 3, .* wants 4 x 3 x 3 x 3"),
        ({"fc6": [(8, 32, 7, 7), (8,)]}, r"classifier\.0\.weight with shape 8 x 32 x 7 x 7, .* wants 8 x 128"),
        ({"fc7": [(8, 8), (8,), (1,)]}, "layer fc7 has 3 blobs; a kernel and a bias are wanted"),
        (
            {"conv5_4": [(32, 32, 3, 3), (32,)]},
            r"has a layer conv5_4, which Caffe's vgg16 has not; .*are conv1_1, conv1_2 \.\.\. fc8$",
        ),
        ({"fc8": [(0, 8), (0,)]}, r"classifier\.6\.weight with shape 0 x 8, this network wants 1000 x 8"),
    ],
)
def test_what_does_not_fit_is_named(
    tmp_path: Path, change: dict[str, list[tuple[int, ...]] | None], sentence: str
) -> None:
    """A missing layer, one of another shape or of another net is one sentence, with its name and both shapes."""
    layers = classifier(VGG16)
    for name, shapes in change.items():
        layers[name] = [np.ones(size, np.float32) for size in shapes or ()]
    with pytest.raises(InputError, match=rf"net\.caffemodel.*{sentence}"):
        loaded(tmp_path, VGG16, caffe.caffemodel(layers))


def test_a_classifier_may_tell_other_classes_apart(tmp_path: Path) -> None:
    """One of 205 places, say, is taken as one of ImageNet's 1000 classes is."""
    layers = classifier(CAFFENET)
    layers["fc8"] = [blob[:205] for blob in layers["fc8"]]
    assert len(loaded(tmp_path, CAFFENET, caffe.caffemodel(layers))["classifier.6.bias"]) == 205


def test_numbers_of_no_use_are_refused(tmp_path: Path) -> None:
    """NaN and infinity are no weights."""
    layers = classifier(CAFFENET)
    layers["conv2"][1][0] = np.inf
    with pytest.raises(InputError, match=r"holds NaN or infinity in features\.3\.bias"):
        loaded(tmp_path, CAFFENET, caffe.caffemodel(layers))


def test_a_true_file_of_another_net_is_named() -> None:
    """Caffe's LeNet is whole, but none of the nets that are known: its first layer of another name is told."""
    if not caffe.LENET.is_file():
        pytest.skip(f"needs {caffe.LENET.name} in ../shared/weights, which is not part of the project")
    with pytest.raises(
        InputError, match=r"has a layer ip1, which Caffe's caffenet has not; its layers are conv1, conv2"
    ):
        caffemodel.load(caffe.LENET, backbone=CAFFENET)


def test_only_caffes_own_architectures_have_such_files() -> None:
    """Another architecture is refused before the file is opened."""
    with pytest.raises(InputError, match="are those of vgg16, caffenet, googlenet_published, not of a alexnet"):
        caffemodel.load(Path("gone.caffemodel"), backbone=replace(CAFFENET, architecture="alexnet"))
