"""Our nets equal torchfcn's, the peer that was checked against the authors' release, given the same weights."""

import types
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from fcn.nets.fcn import FCN
from fcn.nets.pretrained import pytorch_fcn
from fcn.shape import Backbone
from tests.nets.shapes import Stride, Upsampled, scores, shape

VGG16 = Backbone(architecture="vgg16", width=1, fc=4096, input_px=224, dropout=0.5)
CLASSES = 21
SIZES = ((64, 80), (77, 41))


@pytest.fixture(scope="module")
def tensors(torchfcn_models: types.ModuleType) -> dict[str, Tensor]:
    """One set of numbers for all of torchfcn's layers: He-normal, with biases, score layers and all."""
    generator = torch.Generator().manual_seed(0)
    state: dict[str, Tensor] = {}
    with torch.device("meta"):
        nets = [getattr(torchfcn_models, name)(CLASSES) for name in ("FCN32s", "FCN16s", "FCN8s")]
    for name, layer in (pair for net in nets for pair in net.named_modules()):
        if f"{name}.weight" in state:
            continue
        if isinstance(layer, nn.ConvTranspose2d):
            size = int(layer.kernel_size[0])
            bilinear = torchfcn_models.fcn32s.get_upsampling_weight(CLASSES, CLASSES, size)
            state[f"{name}.weight"] = bilinear
        elif isinstance(layer, nn.Conv2d):
            fan_in = layer.weight[0].numel()
            state[f"{name}.weight"] = torch.randn(layer.weight.shape, generator=generator) * (2 / fan_in) ** 0.5
            state[f"{name}.bias"] = 0.1 * torch.randn(layer.out_channels, generator=generator)
    return state


@pytest.mark.parametrize(
    ("name", "stride", "scales", "upsampling"),
    [
        ("FCN32s", 32, {}, "fixed"),
        ("FCN16s", 16, {}, "fixed"),
        ("FCN8s", 8, {}, "fixed"),
        ("FCN8s", 8, {}, "all"),
        ("FCN8sAtOnce", 8, {16: 0.01, 8: 0.0001}, "fixed"),
    ],
)
def test_our_scores_are_theirs(
    torchfcn_models: types.ModuleType,
    tensors: dict[str, Tensor],
    tmp_path: Path,
    name: str,
    stride: Stride,
    scales: dict[Literal[16, 8], float],
    upsampling: Upsampled,
) -> None:
    """A state dict that torchfcn's net saved gives, in ours, its scores to 1e-4 of their range, at full size."""
    with torch.device("meta"):
        theirs = getattr(torchfcn_models, name)(CLASSES)
        ours = FCN(shape(VGG16, stride, classes=CLASSES, pad=100, upsampling=upsampling, scales=scales))
    state = {key: tensors[key] for key in theirs.state_dict()}
    if scales:  # as trained: weights grow until the scaled maps are heard
        state |= {f"score_pool{n}.weight": state[f"score_pool{n}.weight"] * k for n, k in ((4, 1e2), (3, 1e4))}
    if upsampling == "all":
        generator = torch.Generator().manual_seed(1)
        for key in (key for key in state if key.startswith("upscore")):
            state[key] = state[key] + 0.02 * torch.randn(state[key].shape, generator=generator)
    theirs.load_state_dict(state, assign=True)
    path = tmp_path / "their.pth"
    torch.save(theirs.state_dict(), path)
    converted = pytorch_fcn.load(path, backbone=VGG16)
    path.unlink()  # half a gigabyte
    assert pytorch_fcn.net(converted, backbone=VGG16) == replace(ours.net, scales={})
    ours.load_state_dict(converted, assign=True)
    for height, width in SIZES:
        images = 60 * torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(height))
        with torch.inference_mode():
            wanted, found = theirs.eval()(images), scores(ours.eval(), images)
        assert found.shape == wanted.shape == (1, CLASSES, height, width)
        assert float(wanted.std()) > 0.1
        assert float((found - wanted).abs().max()) < 1e-4 * float(wanted.abs().max())
