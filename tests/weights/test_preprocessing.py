"""Preprocessing: what a network gets is what its weights were trained with."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torchvision.transforms.functional import normalize, to_tensor

from fcn.errors import InputError
from fcn.nets.preprocessing import LogDepth, Preprocessing, derived, preset

PHOTO = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def test_imagenet_is_torchvisions() -> None:
    """The preset `imagenet` gives what torchvision's own transforms give."""
    wanted = normalize(to_tensor(PHOTO.copy()), mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])
    torch.testing.assert_close(preset("imagenet")(PHOTO), wanted, rtol=0, atol=2e-6)


def test_inception_is_what_torchvision_feeds_its_pretrained_googlenet() -> None:
    """The preset `inception` is `imagenet` followed by the `transform_input` of torchvision's GoogLeNet."""
    torchvision = pytest.importorskip("torchvision.models.googlenet")
    net = torchvision.GoogLeNet.__new__(torchvision.GoogLeNet)
    torch.nn.Module.__init__(net)
    net.transform_input = True
    wanted = net._transform_input(preset("imagenet")(PHOTO)[None])[0]
    torch.testing.assert_close(preset("inception")(PHOTO), wanted, rtol=0, atol=2e-6)


def test_caffe_is_blue_first_with_the_mean_subtracted() -> None:
    """The preset `caffe` reverses the channels and subtracts the mean of the reference release, unscaled."""
    planes = preset("caffe")(PHOTO).numpy()
    for plane, channel, mean in zip(planes, (2, 1, 0), (104.00699, 116.66877, 122.67892), strict=True):
        np.testing.assert_allclose(plane, PHOTO[:, :, channel].astype(float) - mean, atol=1e-4)


def test_sample_is_centred_on_115() -> None:
    """The preset `sample` is (x - 115) / 60 in RGB."""
    np.testing.assert_allclose(preset("sample")(PHOTO).numpy(), (PHOTO.transpose(2, 0, 1) - 115.0) / 60.0, atol=1e-6)


@pytest.mark.parametrize("name", ["imagenet", "inception", "caffe", "sample"])
def test_a_read_only_image_gives_its_own_floats(name: str) -> None:
    """An image that may not be written, as Pillow gives them, becomes float32 of its own, in memory as H W 3."""
    photo = PHOTO.copy()
    photo.flags.writeable = False
    planes = preset(name)(photo)
    assert planes.shape == (3, 5, 7)
    assert planes.dtype == torch.float32
    assert planes.permute(1, 2, 0).is_contiguous()
    planes.zero_()
    assert photo.any()


@pytest.mark.parametrize("name", ["imagenet", "inception", "caffe", "sample"])
def test_every_step_is_rounded_to_float32(name: str) -> None:
    """Scale, mean and deviation act one after the other in float32, to the bit: nets were trained on these numbers."""
    made, values = preset(name), np.arange(256, dtype=np.uint8).reshape(16, 16)
    steps = [[np.float32(number) for number in (made.scale, *pair)] for pair in zip(made.mean, made.std, strict=True)]
    wanted = [[(np.float32(value) * scale - mean) / std for value in range(256)] for scale, mean, std in steps]
    assert made(np.stack([values] * 3, axis=2)).reshape(3, 256).tolist() == np.array(wanted).tolist()


@pytest.mark.parametrize(
    ("name", "described"),
    [
        ("imagenet", "imagenet (RGB x 0.00392157, mean 0.485 0.456 0.406, std 0.229 0.224 0.225)"),
        ("caffe", "caffe (BGR, mean 104.007 116.669 122.679, std 1 1 1)"),
    ],
)
def test_a_description_is_the_formula(name: str, described: str) -> None:
    """A preset's description has its name, its channel order, its scale where there is one, mean and deviation."""
    assert preset(name).describe() == described


def test_depth_is_its_logarithm_about_the_mean() -> None:
    """Millimetres H W 1, whole numbers or not, become ln(mm) - 7.844 in float32, 1 H W."""
    made, depth = derived("depth", preset("caffe")), np.linspace(300, 65535, 35).reshape(5, 7, 1)
    assert isinstance(made, LogDepth)
    assert made.describe() == "log-depth (ln mm - 7.844)"
    for millimetres in (depth, depth.astype(np.uint16)):
        planes = made(millimetres)
        assert (planes.dtype, planes.shape) == (torch.float32, (1, 5, 7))
        np.testing.assert_allclose(planes.numpy()[0], np.log(millimetres[:, :, 0].astype(float)) - 7.844, atol=1e-5)


@pytest.mark.parametrize(
    ("rgb", "scale", "std"),
    [
        (preset("caffe"), 1, (1, 1, 1)),
        (preset("imagenet"), 1 / 255, (0.229, 0.224, 0.225)),
        (replace(preset("imagenet"), channels="BGR"), 1 / 255, (0.225, 0.224, 0.229)),
    ],
    ids=["caffe", "imagenet", "imagenet, BGR"],
)
def test_hha_has_the_units_of_rgb(rgb: Preprocessing, scale: float, std: tuple[float, float, float]) -> None:
    """HHA is never turned: its own mean in the units of RGB is subtracted, and R, G and B tell the deviations."""
    found = derived("hha", rgb)
    assert isinstance(found, Preprocessing)
    assert (found.name, found.channels, found.scale, found.std) == ("hha", "RGB", scale, std)
    assert found.mean == pytest.approx((132.431 * scale, 94.076 * scale, 118.477 * scale))


@pytest.mark.parametrize("change", [{"scale": 0.0}, {"std": (60.0, 0.0, 60.0)}, {"mean": (115.0, 115.0, float("nan"))}])
def test_a_formula_that_gives_no_numbers_is_a_bug(change: dict[str, Any]) -> None:
    """A scale or a deviation of 0 and a mean that is no number are refused where a preprocessing is made."""
    with pytest.raises(AssertionError):
        replace(preset("sample"), **change)


def test_an_unknown_preset_is_answered_with_those_there_are() -> None:
    """A wrong name gives one sentence that lists the presets."""
    with pytest.raises(InputError, match=r"'caffee' is unknown; there are caffe, caffe-nyud, .*, sample$"):
        preset("caffee")
