"""The Oxford VGG16 in Keras' layout: the converted classifier computes what the file's arrays compute in numpy."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fcn.errors import InputError
from fcn.nets import backbones
from fcn.nets.preprocessing import preset
from fcn.nets.pretrained import keras
from fcn.shape import Backbone

Array = NDArray[np.float32]

# A 96 px image leaves a 3 x 3 map before fc1: the order of its rows matters.
TINY = Backbone(architecture="vgg16", width=1 / 32, fc=6, input_px=96, dropout=0.5)
BLOCKS = ((2, 2), (2, 4), (3, 8), (3, 16), (3, 16))
CLASSES = 5


def arrays() -> dict[str, tuple[Array, Array]]:
    """Random weights under Keras' layer names, in TensorFlow's order: H W I O, and I O."""
    rng = np.random.default_rng(0)
    made = {}
    inputs = 3
    for block, (depth, outputs) in enumerate(BLOCKS, 1):
        for layer in range(1, depth + 1):
            kernel = rng.normal(0, (2 / 9 / inputs) ** 0.5, (3, 3, inputs, outputs))
            made[f"block{block}_conv{layer}"] = kernel, rng.normal(0, 0.1, outputs)
            inputs = outputs
    for name, rows, outputs in (("fc1", 3 * 3 * inputs, 6), ("fc2", 6, 6), ("predictions", 6, CLASSES)):
        made[name] = rng.normal(0, (2 / rows) ** 0.5, (rows, outputs)), rng.normal(0, 0.1, outputs)
    return {name: (w.astype(np.float32), b.astype(np.float32)) for name, (w, b) in made.items()}


def written(
    path: Path, layers: dict[str, tuple[Array, Array]], *, names: str = "W_1:0 b_1:0", text: "np.dtype[Any] | str" = "S"
) -> Path:
    """An HDF5 file as the release is laid out: a group a layer, pools and all, with their names in attributes."""
    order = ["input_1"]
    for block, (depth, _) in enumerate(BLOCKS, 1):
        order += [f"block{block}_conv{layer}" for layer in range(1, depth + 1)] + [f"block{block}_pool"]
    order += ["flatten", "fc1", "fc2", "predictions"]
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = np.array(order, dtype=text)
        for layer in order:
            group = file.create_group(layer)
            weights = []
            for ending, array in zip(names.split(), layers.get(layer, ()), strict=False):
                weights.append(f"{layer}_{ending}" if "_" in ending else f"{layer}/{ending}")
                group.create_dataset(weights[-1], data=array)
            group.attrs["weight_names"] = np.array(weights, dtype=text)
    return path


def forward(photo: NDArray[np.uint8], layers: dict[str, tuple[Array, Array]]) -> NDArray[np.float64]:
    """VGG16 on one H W RGB photo by sums over shifted copies, channels last all the way, as TensorFlow does it."""
    x = photo[:, :, ::-1].astype(np.float64) - (104.00699, 116.66877, 122.67892)
    for block, (depth, _) in enumerate(BLOCKS, 1):
        for layer in range(1, depth + 1):
            kernel, bias = layers[f"block{block}_conv{layer}"]
            height, width = x.shape[:2]
            padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
            total = np.zeros((height, width, kernel.shape[3])) + bias
            for row in range(3):
                for column in range(3):
                    total += padded[row : row + height, column : column + width] @ kernel[row, column]
            x = np.maximum(total, 0)
        x = x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2, -1).max(axis=(1, 3))
    x = x.reshape(-1)
    for name in ("fc1", "fc2"):
        x = np.maximum(x @ layers[name][0] + layers[name][1], 0)
    scores: NDArray[np.float64] = x @ layers["predictions"][0] + layers["predictions"][1]
    return scores


@pytest.mark.parametrize(
    ("names", "text"),
    [("W_1:0 b_1:0", "S"), ("kernel:0 bias:0", h5py.string_dtype())],
    ids=["the release", "a later Keras"],
)
def test_the_converted_classifier_agrees_with_the_file(tmp_path: Path, names: str, text: "np.dtype[Any] | str") -> None:
    """The torch classifier with the converted weights gives the scores of numpy over the file's arrays."""
    layers = arrays()
    state = keras.load(written(tmp_path / "vgg16.h5", layers, names=names, text=text), backbone=TINY)
    net = backbones.load("vgg16").classifier(width=TINY.width, fc=TINY.fc, input_px=TINY.input_px, classes=CLASSES)
    net.load_state_dict(state)
    photo = np.random.default_rng(1).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    with torch.inference_mode():
        found = net.eval()(preset("caffe")(photo)[None])[0].double().numpy()
    np.testing.assert_allclose(found, forward(photo, layers), rtol=1e-4, atol=1e-3)
    assert np.ptp(found) > 1  # scores that are told apart


def test_the_release_without_its_top_gives_the_convolutions(tmp_path: Path) -> None:
    """A file without fc1, fc2 and predictions converts to the 26 tensors of the convolutions."""
    layers = {name: pair for name, pair in arrays().items() if name.startswith("block")}
    state = keras.load(written(tmp_path / "notop.h5", layers), backbone=TINY)
    assert len(state) == 26
    assert all(name.startswith("features.") for name in state)


def test_another_width_is_refused_by_tensor_and_shapes(tmp_path: Path) -> None:
    """A file of another width names the first tensor that doesn't fit, its shape and the wanted one."""
    path = written(tmp_path / "vgg16.h5", arrays())
    wide = Backbone(architecture="vgg16", width=1 / 16, fc=6, input_px=96, dropout=0.5)
    with pytest.raises(
        InputError, match=r"features\.0\.weight with shape 2 x 3 x 3 x 3, this network wants 4 x 3 x 3 x 3"
    ):
        keras.load(path, backbone=wide)


def test_a_missing_convolution_is_refused(tmp_path: Path) -> None:
    """A file that lacks one convolution says which tensors."""
    layers = arrays()
    del layers["block4_conv2"]
    with pytest.raises(InputError, match=r"vgg16\.h5 lacks features\.19\.weight, of shape 16 x 16 x 3 x 3 and 1 more"):
        keras.load(written(tmp_path / "vgg16.h5", layers), backbone=TINY)


def test_a_foreign_layer_is_refused(tmp_path: Path) -> None:
    """A layer with weights that VGG16 has not, as in a VGG19, is named."""
    path = written(tmp_path / "vgg19.h5", arrays())
    with h5py.File(path, "a") as file:
        file.attrs["layer_names"] = np.append(file.attrs["layer_names"], b"block5_conv4")
        group = file.create_group("block5_conv4")
        group.create_dataset("block5_conv4_W_1:0", data=np.zeros((3, 3, 16, 16), np.float32))
        group.attrs["weight_names"] = np.array(["block5_conv4_W_1:0"], dtype="S")
    with pytest.raises(InputError, match=r"a layer block5_conv4, which VGG16 has not; .* block1_conv1, block1_conv2,"):
        keras.load(path, backbone=TINY)


def test_fc1_rows_that_are_no_square_are_refused(tmp_path: Path) -> None:
    """Rows of fc1 that can't come from a square map are counted in the message."""
    layers = arrays()
    layers["fc1"] = layers["fc1"][0][:-1], layers["fc1"][1]
    with pytest.raises(InputError, match="fc1 has 143 rows, which are no square of 16 channels"):
        keras.load(written(tmp_path / "vgg16.h5", layers), backbone=TINY)


def test_dense_layers_alone_are_refused(tmp_path: Path) -> None:
    """fc1 can't be put in order where no convolution says of how many channels its rows are."""
    layers = {name: pair for name, pair in arrays().items() if not name.startswith("block")}
    with pytest.raises(InputError, match="fc1 has 144 rows, which are no square of 0 channels"):
        keras.load(written(tmp_path / "vgg16.h5", layers), backbone=TINY)


@pytest.mark.parametrize("dtype", [">f4", "f8"])
def test_numbers_of_any_float_type_are_read(tmp_path: Path, dtype: str) -> None:
    """Another float type, or the other byte order, gives the same float32 tensors."""
    layers = {name: (w.astype(dtype), b.astype(dtype)) for name, (w, b) in arrays().items()}
    wanted = keras.load(written(tmp_path / "f4.h5", arrays()), backbone=TINY)
    found = keras.load(written(tmp_path / "other.h5", layers), backbone=TINY)
    assert all(found[name].dtype == torch.float32 and torch.equal(found[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize(("columns", "plain"), [(4096, True), (4097, False)])
def test_no_kernel_is_larger_than_vgg16s_fc1(tmp_path: Path, columns: int, plain: bool) -> None:
    """The real fc1 of 25088 x 4096 is just within what a file may ask for."""
    with h5py.File(tmp_path / "fc1.h5", "w") as file:
        assert keras._is_plain(file.create_dataset("fc1", (25088, columns), "f4")) is plain


def test_a_kernel_without_its_bias_is_refused(tmp_path: Path) -> None:
    """A layer that isn't a kernel and a bias says what it holds."""
    path = written(tmp_path / "vgg16.h5", arrays(), names="W_1:0")
    with pytest.raises(
        InputError, match=r"block1_conv1 holds arrays of shape 3 x 3 x 3 x 2; a kernel .* and a bias are"
    ):
        keras.load(path, backbone=TINY)


def test_other_files_are_refused(tmp_path: Path) -> None:
    """A missing file, text, a truncated file and HDF5 without Keras' attributes each get their sentence."""
    with pytest.raises(InputError, match=r"gone\.h5: no such file"):
        keras.load(tmp_path / "gone.h5", backbone=TINY)
    with pytest.raises(InputError, match=r"is a folder; an \.h5 file is wanted"):
        keras.load(tmp_path, backbone=TINY)
    text = tmp_path / "text.h5"
    text.write_text("hello")
    with pytest.raises(
        InputError,
        match=r"text\.h5 can't be read as HDF5 in .* \(.*file signature not found.*\); copy or fetch it again",
    ):
        keras.load(text, backbone=TINY)
    whole = written(tmp_path / "whole.h5", arrays())
    whole.write_bytes(whole.read_bytes()[:-2000])
    with pytest.raises(InputError, match=r"whole\.h5 can't be read as HDF5 .*truncated"):
        keras.load(whole, backbone=TINY)
    with h5py.File(tmp_path / "plain.h5", "w") as file:
        for name in "abcde":
            file[name] = [1]
    with pytest.raises(InputError, match=r"plain\.h5 is HDF5, but not a Keras weights file: .*\(it holds a, b, c, d\)"):
        keras.load(tmp_path / "plain.h5", backbone=TINY)
    h5py.File(tmp_path / "void.h5", "w").close()
    with pytest.raises(InputError, match=r"\(it holds nothing\)"):
        keras.load(tmp_path / "void.h5", backbone=TINY)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"shape": (3, 3, 1 << 20, 1 << 20), "dtype": "f4"}, "block1_conv1 holds other numbers than VGG16 has"),
        ({"shape": (3, 3, 3, 2), "dtype": "S4"}, "block1_conv1 holds other numbers than VGG16 has"),
        ({"shape": (3, 3, 3, 2), "dtype": "f4", "external": [("other", 0, 216)]}, "block1_conv1 holds other numbers"),
        (
            {"shape": (3, 3, 3, 2), "dtype": "f4", "chunks": (3, 3, 3, 1 << 24), "maxshape": (3, 3, 3, None)},
            "block1_conv1 holds other numbers",
        ),
        ({"shape": (3, 3, 0, 2), "dtype": "f4"}, "block1_conv1 holds arrays of shape 3 x 3 x 0 x 2, 2; a kernel"),
    ],
)
def test_what_a_small_file_asks_for_is_not_given(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    """A kernel of terabytes that no byte was written of, of text, of another file's bytes, or of none is refused."""
    path = written(tmp_path / "vgg16.h5", arrays())
    with h5py.File(path, "a") as file:
        del file["block1_conv1/block1_conv1_W_1:0"]
        file["block1_conv1"].create_dataset("block1_conv1_W_1:0", **change)
    with pytest.raises(InputError, match=sentence):
        keras.load(path, backbone=TINY)


def test_a_damaged_file_is_read_or_refused_in_a_sentence(tmp_path: Path) -> None:
    """Bytes that are changed anywhere in the file's structure give an InputError, if any error."""
    path = written(tmp_path / "vgg16.h5", arrays())
    whole, refused = path.read_bytes(), 0
    for position in range(0, 8000, 199):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :])
        try:
            keras.load(path, backbone=TINY)
        except InputError:
            refused += 1
    assert refused > 5


def test_only_vgg16_has_a_keras_file() -> None:
    """Another architecture is refused before the file is opened."""
    alexnet = Backbone(architecture="alexnet", width=1, fc=6, input_px=64, dropout=0.5)
    with pytest.raises(InputError, match="are the Oxford VGG16's, not those of a alexnet"):
        keras.load(Path("gone.h5"), backbone=alexnet)
