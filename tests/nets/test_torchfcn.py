"""Our nets equal torchfcn's, the peer that was checked against the authors' release, given the same weights."""

import types
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from fcn.nets.fcn import FCN
from fcn.nets.pretrained import pytorch_fcn
from fcn.shape import Backbone

VGG16 = Backbone(architecture="vgg16", width=1, fc=4096, input_px=224, dropout=0.5)
CLASSES = 21
SIZES = ((64, 80), (77, 41))
Skips = Literal["none", "staged", "atonce"]
Upsampled = Literal["fixed", "intermediate", "all"]


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
    ("name", "stride", "skips", "upsampling"),
    [
        ("FCN32s", 32, "none", "fixed"),
        ("FCN16s", 16, "staged", "fixed"),
        ("FCN8s", 8, "staged", "fixed"),
        ("FCN8s", 8, "staged", "all"),
        ("FCN8sAtOnce", 8, "atonce", "fixed"),
    ],
)
def test_our_scores_are_theirs(
    torchfcn_models: types.ModuleType,
    tensors: dict[str, Tensor],
    tmp_path: Path,
    name: str,
    stride: Literal[32, 16, 8],
    skips: Skips,
    upsampling: Upsampled,
) -> None:
    """A state dict that torchfcn's net saved gives, in ours, its scores to 1e-4 of their range, at full size."""
    with torch.device("meta"):
        theirs = getattr(torchfcn_models, name)(CLASSES)
        ours = FCN(VGG16, classes=CLASSES, stride=stride, skips=skips, pad=100, upsampling=upsampling)
    state = {key: tensors[key] for key in theirs.state_dict()}
    if skips == "atonce":  # as trained: weights grow until the scaled maps are heard
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
    assert pytorch_fcn.net(converted)["upsampling"] == upsampling
    ours.load_state_dict(converted, assign=True)
    for height, width in SIZES:
        images = 60 * torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(height))
        with torch.inference_mode():
            wanted, found = theirs.eval()(images), ours.eval()(images)
        assert found.shape == wanted.shape == (1, CLASSES, height, width)
        assert float(wanted.std()) > 0.1
        assert float((found - wanted).abs().max()) < 1e-4 * float(wanted.abs().max())
