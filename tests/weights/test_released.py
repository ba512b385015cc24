"""The authors' 14 released FCNs: written under the layer names of their prototxts, they are read back as they were."""

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcn.errors import InputError
from fcn.nets.fcn import FCN, is_score_layer
from fcn.nets.pretrained import caffemodel
from fcn.shape import Backbone
from tests.nets.shapes import Stride, Upsampled, shape
from tests.weights import test_caffe_file as caffe
from tests.weights.test_caffemodel import CAFFENET, CONVOLUTIONS, VGG16, loaded

# The nets that the authors released: the classes of their heads, by what ends a head's layer names, and their stride.
RELEASED: dict[str, tuple[Backbone, Stride, dict[str, int]]] = {
    "fcn32s-heavy-pascal": (VGG16, 32, {"": 21}),
    "fcn16s-heavy-pascal": (VGG16, 16, {"": 21}),
    "fcn8s-heavy-pascal": (VGG16, 8, {"": 21}),
    "fcn8s-atonce-pascal": (VGG16, 8, {"": 21}),
    "fcn-alexnet-pascal": (CAFFENET, 32, {"": 21}),
    "nyud-fcn32s-color-heavy": (VGG16, 32, {"": 40}),
    "nyud-fcn32s-hha-heavy": (VGG16, 32, {"": 40}),
    "siftflow-fcn32s-heavy": (VGG16, 32, {"_sem": 33, "_geo": 3}),
    "siftflow-fcn16s-heavy": (VGG16, 16, {"_sem": 33, "_geo": 3}),
    "siftflow-fcn8s-heavy": (VGG16, 8, {"_sem": 33, "_geo": 3}),
    "pascalcontext-fcn32s-heavy": (VGG16, 32, {"": 60}),
    "pascalcontext-fcn16s-heavy": (VGG16, 16, {"": 60}),
    "pascalcontext-fcn8s-heavy": (VGG16, 8, {"": 60}),
}
TARGETS = {"": "semantic", "_sem": "semantic", "_geo": "geometric"}
HEADS = {
    32: {"score_fr": "score_fr", "upscore": "upscore"},
    16: {"score_fr": "score_fr", "upscore2": "upscore_pool4", "score_pool4": "score_pool4", "upscore16": "upscore"},
    8: {
        "score_fr": "score_fr",
        "upscore2": "upscore_pool4",
        "score_pool4": "score_pool4",
        "upscore_pool4": "upscore_pool3",
        "score_pool3": "score_pool3",
        "upscore8": "upscore",
    },
}


def made(name: str, *, moved: Upsampled = "fixed") -> FCN:
    """A narrow net of this shape with deconvolutions, bilinear or, some or all, `moved` away, and random layers."""
    backbone, stride, classes = RELEASED[name]
    net = shape(backbone, stride, classes=2, pad=100, upsampling="all")
    heads = {TARGETS[ending]: count for ending, count in classes.items()}
    scales: dict[Literal[16, 8], float] = {16: 0.01, 8: 0.0001} if "atonce" in name else {}
    torch.manual_seed(0)
    made = FCN(replace(net, heads=heads, scales=scales))
    with torch.no_grad():
        for key, parameter in made.named_parameters():
            if is_score_layer(key):
                parameter.normal_(std=0.3)
            elif moved != "fixed" and ".upscore" in key and (moved == "all" or not key.endswith(".upscore.weight")):
                parameter.add_(0.05 * torch.randn_like(parameter))
    return made.eval()


def their_layers(name: str, net: FCN) -> dict[str, list[NDArray[np.float32]]]:
    """The net's tensors under the layer names of the released prototxt."""
    backbone, stride, classes = RELEASED[name]
    state = net.state_dict()
    convolutions = [
        key.removesuffix(".weight") for key in state if key.startswith("trunk.features") and key.endswith("weight")
    ]
    ours = dict(zip(CONVOLUTIONS[backbone.architecture], convolutions, strict=True))
    ours |= {"fc6": "trunk.fc6", "fc7": "trunk.fc7"}
    for ending in classes:
        ours |= {f"{layer}{ending}": f"heads.{TARGETS[ending]}.{own}" for layer, own in HEADS[stride].items()}
    scales = {"scale_pool4": 0.01, "scale_pool3": 0.0001} if "atonce" in name else {}
    return {
        **{
            layer: [state[f"{own}.{part}"].numpy() for part in ("weight", "bias") if f"{own}.{part}" in state]
            for layer, own in ours.items()
        },
        **{layer: [np.full(net.trunk.channels[16], scale, np.float32)] for layer, scale in scales.items()},
    }


def images() -> dict[str, Tensor]:
    return {"rgb": 50 * torch.randn(1, 3, 40, 50, generator=torch.Generator().manual_seed(1))}


@pytest.mark.parametrize(
    ("name", "moved"),
    [
        *product(RELEASED, ["fixed", "all"]),
        ("fcn8s-heavy-pascal", "intermediate"),
        ("siftflow-fcn16s-heavy", "intermediate"),
    ],
)
def test_a_released_net_gives_its_own_scores(tmp_path: Path, name: str, moved: Upsampled) -> None:
    """A net that was written as the authors wrote theirs is read back: its shape, and the scores that it gave.

    Deconvolutions that have stayed bilinear are left out, since a net has them by construction.
    """
    wrote = made(name, moved=moved)
    backbone = RELEASED[name][0]
    state = loaded(tmp_path, backbone, caffe.caffemodel(their_layers(name, wrote)))
    upsampling = moved if moved == "all" or wrote.net.taps else "fixed"
    found = caffemodel.net(state, backbone=backbone)
    assert found == replace(wrote.net, upsampling=upsampling, scales={})
    assert list(found.heads) == list(wrote.net.heads)
    read = FCN(replace(found, scales=wrote.net.scales)).eval()
    read.load_state_dict(state)
    with torch.inference_mode():
        ours, wanted = read(images()), wrote(images())
    assert ours.keys() == wanted.keys()
    for target, scores in wanted.items():
        assert scores.std() > 0.01
        tolerance = 0 if moved == "all" else 1e-4
        torch.testing.assert_close(ours[target], scores, rtol=tolerance, atol=tolerance)


def two_trunks() -> tuple[dict[str, list[NDArray[np.float32]]], dict[str, FCN]]:
    """The layers of the 14th released net, and the two nets whose trunks and scores it has."""
    nets = {"color": made("nyud-fcn32s-color-heavy"), "hha": made("nyud-fcn32s-hha-heavy")}
    with torch.no_grad():
        for parameter in nets["hha"].parameters():
            parameter.mul_(1.1)
    layers: dict[str, list[NDArray[np.float32]]] = {}
    for stream, net in nets.items():
        theirs = their_layers("nyud-fcn32s-color-heavy", net)
        layers |= {layer if layer == "upscore" else f"{layer}{stream}": blobs for layer, blobs in theirs.items()}
    return {**layers, "upscore": their_layers("nyud-fcn32s-color-heavy", nets["color"])["upscore"]}, nets


def test_two_trunks_are_read(tmp_path: Path) -> None:
    """The net of colour and HHA gives the mean of both trunks' scores, also where its file lacks the upsampling."""
    layers, nets = two_trunks()
    state = loaded(tmp_path, VGG16, caffe.caffemodel(layers))
    found = caffemodel.net(state, backbone=VGG16)
    assert found == replace(nets["color"].net, upsampling="fixed", inputs=("rgb", "hha"), fusion="late")
    read = FCN(found).eval()
    read.load_state_dict(state)
    image = images()["rgb"]
    with torch.inference_mode():
        scores = read({"rgb": image, "hha": image.flip(3)})["semantic"]
        each = [
            nets["color"]({"rgb": image})["semantic"],
            made_bilinear(nets["hha"])({"rgb": image.flip(3)})["semantic"],
        ]
    torch.testing.assert_close(scores, (each[0] + each[1]) / 2, rtol=1e-4, atol=1e-3)
    del layers["upscore"]
    assert loaded(tmp_path, VGG16, caffe.caffemodel(layers)).keys() == state.keys()


def made_bilinear(net: FCN) -> FCN:
    """The same net, whose upsampling is bilinear."""
    fixed = FCN(replace(net.net, upsampling="fixed")).eval()
    fixed.load_state_dict({name: tensor for name, tensor in net.state_dict().items() if ".upscore" not in name})
    return fixed


@pytest.mark.parametrize(
    ("spoiled", "sentence"),
    [
        ("hha", r"in its layers of hha, lacks score_fr\.weight or fc6\.weight"),
        ("conv3_2hha", r"in its layers of hha, lacks trunk\.features\.12\.weight"),
        ("score_frcolor", r"in its layers of color, lacks score_fr\.weight or fc6\.weight"),
        ("upscore", r"in its layers of color, has an upscore that isn't bilinear"),
    ],
)
def test_a_spoiled_trunk_is_named(tmp_path: Path, spoiled: str, sentence: str) -> None:
    """What one of two trunks lacks, be it all, is told with its name; an upsampling that was learned is not theirs."""
    layers, _ = two_trunks()
    for layer in [name for name in layers if name.endswith(spoiled)]:
        blobs = layers.pop(layer)
        if spoiled == "upscore":
            layers[spoiled] = [blob + 0.1 for blob in blobs]
    with pytest.raises(InputError, match=sentence):
        loaded(tmp_path, VGG16, caffe.caffemodel(layers))


def test_other_scales_are_refused(tmp_path: Path) -> None:
    """A skip that is scaled by another number than the authors' net at once would be scored wrongly, and is refused."""
    layers = their_layers("fcn8s-atonce-pascal", made("fcn8s-atonce-pascal"))
    layers["scale_pool3"][0][3] = 1.01e-4
    with pytest.raises(
        InputError,
        match=r"net\.caffemodel scales by other numbers than 0\.0001 in scale_pool3, as none of the authors'",
    ):
        loaded(tmp_path, VGG16, caffe.caffemodel(layers))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"conv3_2": None}, r"lacks trunk\.features\.12\.weight, of shape 16 x 16 x 3 x 3 and 1 more; "),
        ({"fc6": None}, r"lacks score_fr\.weight or fc6\.weight; it is a part of an FCN"),
        ({"score_fr": None}, r"lacks score_fr\.weight or fc6\.weight; it is a part of an FCN"),
        (dict.fromkeys(("score_fr", "score_pool4", "score_pool3")), r"lacks score_fr\.weight or fc6\.weight; it is a"),
        (
            {"upscore2": [(21, 21, 4, 4)], "upscore8": None},
            r"lacks heads\.semantic\.upscore\.weight, of shape 21 x 21 x 16",
        ),
        ({"score_fr": [(300, 8, 1, 1), (300,)]}, r"has score_fr\.weight of shape .* of 2 to 255 classes is wanted"),
        (
            {"score_pool4": [(7, 32, 1, 1), (7,)]},
            r"score_pool4\.weight with shape 7 x 32 x 1 x 1, this network wants 21 x",
        ),
        (
            {"upscore8": [(21, 21, 8, 8)]},
            r"upscore\.weight with shape 21 x 21 x 8 x 8, this network wants 21 x 21 x 16",
        ),
        (
            {"score59": [(59, 8, 1, 1), (59,)]},
            r"holds score59\.weight, which .* have not; theirs are conv1_1, .* score_fr",
        ),
        ({"scale_pool4.x": [(1,)]}, r"holds scale_pool4\.x\.weight, which .* have not"),
    ],
)
def test_what_does_not_fit_in_an_fcn_is_named(
    tmp_path: Path, change: dict[str, list[tuple[int, ...]] | None], sentence: str
) -> None:
    """A missing layer, one of another shape or of another net is one sentence, with its name and both shapes."""
    layers = their_layers("fcn8s-heavy-pascal", made("fcn8s-heavy-pascal"))
    for name, shapes in change.items():
        layers[name] = [np.ones(size, np.float32) for size in shapes or ()]
    with pytest.raises(InputError, match=rf"net\.caffemodel.*{sentence}"):
        loaded(tmp_path, VGG16, caffe.caffemodel(layers))
