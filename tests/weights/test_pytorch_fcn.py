"""pytorch-fcn's checkpoints: our net with their tensors computes what a net wired as theirs computes."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from fcn.errors import InputError
from fcn.nets.fcn import FCN
from fcn.nets.pretrained import pytorch_fcn
from fcn.shape import Backbone
from tests.nets.shapes import Stride, Upsampled, scores, shape

SMALL = Backbone(architecture="vgg16", width=1 / 32, fc=8, input_px=224, dropout=0.5)
CLASSES = 5
DEPTHS = {1: (2, 2), 2: (2, 4), 3: (3, 8), 4: (3, 16), 5: (3, 16)}
DECONVOLUTIONS = {
    32: {"upscore": 64},
    16: {"upscore2": 4, "upscore16": 32},
    8: {"upscore2": 4, "upscore_pool4": 4, "upscore8": 16},
}
CROPS = {32: 19, 16: 27, 8: 31}


def bilinear(size: int) -> Tensor:
    """K K k k: every class interpolated by itself, by the triangle filter of an even kernel."""
    taps = torch.tensor([1 - abs(2 * tap - (size - 1)) / size for tap in range(size)])
    return torch.eye(CLASSES)[:, :, None, None] * taps[:, None] * taps


def theirs(stride: int, *, moved: tuple[str, ...] = ()) -> dict[str, Tensor]:
    """A state dict under pytorch-fcn's names; the deconvolutions in `moved` are not bilinear."""
    generator = torch.Generator().manual_seed(stride)
    state: dict[str, Tensor] = {}

    def layer(name: str, *shape: int) -> None:
        fan_in = shape[1] * shape[2] * shape[3]
        state[f"{name}.weight"] = torch.randn(*shape, generator=generator) * (2 / fan_in) ** 0.5
        state[f"{name}.bias"] = torch.randn(shape[0], generator=generator) * 0.1

    inputs = 3
    for block, (depth, outputs) in DEPTHS.items():
        for index in range(1, depth + 1):
            layer(f"conv{block}_{index}", outputs, inputs, 3, 3)
            inputs = outputs
    layer("fc6", 8, 16, 7, 7)
    layer("fc7", 8, 8, 1, 1)
    layer("score_fr", CLASSES, 8, 1, 1)
    if stride <= 16:
        layer("score_pool4", CLASSES, 16, 1, 1)
    if stride == 8:
        layer("score_pool3", CLASSES, 8, 1, 1)
    for name, size in DECONVOLUTIONS[stride].items():
        noise = torch.randn(CLASSES, CLASSES, size, size, generator=generator) * 0.05 if name in moved else 0
        state[f"{name}.weight"] = bilinear(size) + noise
    return state


def their_forward(images: Tensor, state: dict[str, Tensor], *, stride: int) -> Tensor:
    """The network of their names, wired as the reference release prints it: pad 100, crops 5, 9 and the last."""

    def conv(x: Tensor, name: str, *, padding: int = 0) -> Tensor:
        return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], padding=padding)

    def up(x: Tensor, name: str, *, factor: int) -> Tensor:
        return F.conv_transpose2d(x, state[f"{name}.weight"], stride=factor)

    def crop(x: Tensor, offset: int, like: Tensor) -> Tensor:
        return x[:, :, offset : offset + like.shape[2], offset : offset + like.shape[3]]

    pools = {}
    x = images
    for block, (depth, _) in DEPTHS.items():
        for index in range(1, depth + 1):
            x = conv(x, f"conv{block}_{index}", padding=100 if (block, index) == (1, 1) else 1).relu()
        pools[block] = x = F.max_pool2d(x, 2, ceil_mode=True)
    x = conv(conv(conv(x, "fc6").relu(), "fc7").relu(), "score_fr")
    if stride <= 16:
        x = up(x, "upscore2", factor=2)
        x = x + crop(conv(pools[4], "score_pool4"), 5, x)
    if stride == 8:
        x = up(x, "upscore_pool4", factor=2)
        x = x + crop(conv(pools[3], "score_pool3"), 9, x)
    last = next(name for name in ("upscore", "upscore16", "upscore8") if f"{name}.weight" in state)
    return crop(up(x, last, factor=stride), CROPS[stride], images)


def saved(path: Path, state: dict[str, Tensor]) -> Path:
    torch.save(state, path)
    return path


@pytest.mark.parametrize(
    ("stride", "moved", "upsampling"),
    [
        (32, (), "fixed"),
        (16, (), "fixed"),
        (8, (), "fixed"),
        (32, ("upscore",), "all"),
        (16, ("upscore2",), "intermediate"),
        (16, ("upscore2", "upscore16"), "all"),
        (8, ("upscore2",), "intermediate"),
        (8, ("upscore2", "upscore_pool4", "upscore8"), "all"),
    ],
)
def test_our_net_computes_what_theirs_computes(
    tmp_path: Path, stride: Stride, moved: tuple[str, ...], upsampling: Upsampled
) -> None:
    """Converted tensors give the same scores in our net as the file's in theirs, deconvolutions fixed or learned."""
    theirs_state = theirs(stride, moved=moved)
    state = pytorch_fcn.load(saved(tmp_path / "fcn.pth", theirs_state), backbone=SMALL)
    ours = FCN(shape(SMALL, stride, classes=CLASSES, pad=100, upsampling=upsampling))
    assert pytorch_fcn.net(state, backbone=SMALL) == ours.net
    ours.load_state_dict(state)
    images = torch.randn(1, 3, 45, 70, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        found, wanted = scores(ours.eval(), images), their_forward(images, theirs_state, stride=stride)
    assert found.shape == wanted.shape == (1, CLASSES, 45, 70)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4 * float(wanted.abs().max()))
    assert wanted.std() > 0.01


def test_a_trainings_checkpoint_is_read(tmp_path: Path) -> None:
    """The state dict is found in a checkpoint of their trainer."""
    path = saved(tmp_path / "model_best.pth.tar", {"epoch": 3, "model_state_dict": theirs(8)})  # type: ignore[dict-item]  # as theirs
    assert pytorch_fcn.load(path, backbone=SMALL)["heads.semantic.score_pool3.weight"].shape == (CLASSES, 8, 1, 1)


def test_nearly_bilinear_counts_as_bilinear(tmp_path: Path) -> None:
    """Deconvolutions within 1e-4 of bilinear are dropped, those off by more are kept."""
    state = theirs(32)
    state["upscore.weight"] += 0.9e-4
    assert "heads.semantic.upscore.weight" not in pytorch_fcn.load(saved(tmp_path / "a.pth", state), backbone=SMALL)
    state["upscore.weight"][0, 1, 3, 3] += 1e-3
    assert "heads.semantic.upscore.weight" in pytorch_fcn.load(saved(tmp_path / "b.pth", state), backbone=SMALL)


@pytest.mark.parametrize("name", ["features.0.weight", "fc6.scale.weight"])
def test_a_foreign_tensor_is_named(tmp_path: Path, name: str) -> None:
    """A tensor that pytorch-fcn's nets have not is named, with the layers that they have."""
    state = {**theirs(8), name: torch.zeros(1)}
    with pytest.raises(InputError, match=rf"holds {name}, .* theirs are conv1_1, conv1_2"):
        pytorch_fcn.load(saved(tmp_path / "fcn.pth", state), backbone=SMALL)


def test_a_part_of_a_net_is_refused(tmp_path: Path) -> None:
    """A file without the score layer, or without one convolution, is refused."""
    state = theirs(16)
    del state["score_fr.weight"]
    with pytest.raises(InputError, match=r"lacks score_fr\.weight or fc6\.weight"):
        pytorch_fcn.load(saved(tmp_path / "a.pth", state), backbone=SMALL)
    state = theirs(16)
    del state["conv3_2.bias"]
    with pytest.raises(InputError, match=r"b\.pth lacks trunk\.features\.12\.bias, of shape 8; "):
        pytorch_fcn.load(saved(tmp_path / "b.pth", state), backbone=SMALL)


@pytest.mark.parametrize("scores", [torch.tensor(1.0), torch.zeros(1, 8, 1, 1), torch.zeros(256, 8, 1, 1)])
def test_a_score_layer_of_no_classes_is_refused(tmp_path: Path, scores: Tensor) -> None:
    """A score layer without classes, with one, and with more than a label can have is told by its shape."""
    path = saved(tmp_path / "fcn.pth", {**theirs(8), "score_fr.weight": scores})
    with pytest.raises(InputError, match=r"fcn\.pth has score_fr\.weight of shape \(.*\); K C 1 1 of 2 to 255 classes"):
        pytorch_fcn.load(path, backbone=SMALL)


def test_two_classes_are_enough(tmp_path: Path) -> None:
    """A net that tells one thing from the background is read."""
    state = theirs(32)
    state |= {name: state[name][:2] for name in ("score_fr.weight", "score_fr.bias")}
    state["upscore.weight"] = state["upscore.weight"][:2, :2]
    found = pytorch_fcn.load(saved(tmp_path / "fcn.pth", state), backbone=SMALL)
    assert pytorch_fcn.net(found, backbone=SMALL).heads == {"semantic": 2}


def test_another_width_is_refused_by_tensor_and_shapes(tmp_path: Path) -> None:
    """A file of another width names the first tensor that doesn't fit, its shape and the wanted one."""
    wide = Backbone(architecture="vgg16", width=1 / 16, fc=8, input_px=224, dropout=0.5)
    with pytest.raises(
        InputError, match=r"trunk\.features\.0\.weight with shape 2 x 3 x 3 x 3, this network wants 4 x 3 x 3 x 3"
    ):
        pytorch_fcn.load(saved(tmp_path / "fcn.pth", theirs(8)), backbone=wide)


def test_another_architecture_is_refused() -> None:
    """Their nets are VGG16s."""
    alexnet = Backbone(architecture="alexnet", width=1, fc=8, input_px=224, dropout=0.5)
    with pytest.raises(InputError, match="are those of an FCN-VGG16, not of an FCN-alexnet"):
        pytorch_fcn.load(Path("gone.pth"), backbone=alexnet)
