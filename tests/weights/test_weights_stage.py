"""The stage `weights`: every kind of file becomes one checkpoint, and every wrong entry one sentence."""

import hashlib
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
import yaml
from torch import Tensor

from fcn.config import Config, parse
from fcn.datasets import manifests
from fcn.errors import InputError
from fcn.nets import backbones, checkpoint
from fcn.nets.build import HandOver, preprocessing, start
from fcn.nets.fcn import FCN
from fcn.nets.preprocessing import derived, preset
from fcn.shape import Backbone
from fcn.stages import weights
from tests.nets.shapes import shape
from tests.weights import test_released as released
from tests.weights.test_caffe_file import caffemodel as caffe_bytes

RunFcn = Callable[[Sequence[str], Path], "subprocess.CompletedProcess[str]"]
REPOSITORY = Path(__file__).resolve().parents[2]
VGG16 = {"architecture": "vgg16", "width": 0.0625, "fc": 8, "input_px": 64, "dropout": 0.5}
NYUD = "nyud-fcn32s-color-heavy"
CONVOLUTIONS = [
    f"conv{block}_{layer}" for block, depth in enumerate((2, 2, 3, 3, 3), 1) for layer in range(1, depth + 1)
]


def profile(backbone: dict[str, object] | None = None, /, **entry: object) -> Config:
    """A profile with one weights entry, called `w`."""
    values: dict[str, object] = {"profile": "p", "root": ".", "params": "params.yaml", "threads": 1, "disjoint": []}
    nothing = ("archives", "datasets", "lists", "backbones", "classifiers", "nets", "recipes", "runs", "departures")
    values |= {key: {} for key in nothing}
    return parse({**values, "weights": {"w": {"backbone": backbone or VGG16, **entry}}})


def state_of(prefix: str = "") -> dict[str, Tensor]:
    torch.manual_seed(0)
    net = backbones.load("vgg16").classifier(width=0.0625, fc=8, input_px=64, classes=7)
    return {name: tensor for name, tensor in net.state_dict().items() if name.startswith(prefix)}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project root to run in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def result(name: str = "w") -> checkpoint.Checkpoint:
    return checkpoint.load(Path("data/p/weights") / f"{name}.pt")


def left_behind() -> list[str]:
    """What lies in the profile's data folder, finished or not."""
    return sorted(path.name for path in Path("data").rglob("*") if path.is_file())


def test_a_local_file_becomes_a_checkpoint(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Convolutions from a local file are saved with preprocessing and origin, and one line says what is missing."""
    torch.save(state_of("features"), folder / "conv.pt")
    weights.run(profile(kind="state_dict", **{"from": "conv.pt"}, preprocessing="imagenet"), "w")
    found = result()
    assert found.net is None
    assert found.targets == {}
    assert found.preprocessing == {"rgb": preset("imagenet")}
    assert found.provenance["from"] == "conv.pt"
    assert found.provenance["sha256"] == hashlib.sha256((folder / "conv.pt").read_bytes()).hexdigest()
    assert all(torch.equal(found.state[name], tensor) for name, tensor in state_of("features").items())
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("weights w: 26 of the 32 tensors of the vgg16 from conv.pt")
    assert ", classifier.0, classifier.3, classifier.6 start at random; input imagenet (RGB" in line
    assert left_behind() == ["w.pt"]


def test_a_run_repeated_gives_the_same_bytes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Running the stage twice gives the same file, so that DVC sees no change; a whole file's classes are told."""
    torch.save(state_of(), folder / "net.pt")
    config = profile(kind="state_dict", **{"from": "net.pt"}, preprocessing="caffe")
    weights.run(config, "w")
    first = Path("data/p/weights/w.pt").read_bytes()
    weights.run(config, "w")
    assert Path("data/p/weights/w.pt").read_bytes() == first
    assert result().state["classifier.6.weight"].shape == (7, 8)
    told = "weights w: 32 of the 32 tensors of the vgg16 with 7 classes from net.pt, none starts at random; input caffe"
    assert capsys.readouterr().err.count(told) == 2


def test_a_fetched_archive_is_read_by_its_manifest(folder: Path) -> None:
    """Where `from` is the folder of a fetched archive, the file that its manifest names is converted."""
    fetched = folder / "data" / "p" / "archives" / "vgg16-tiny"
    fetched.mkdir(parents=True)
    torch.save(state_of(), fetched / "vgg16-tiny-1234.pth")
    manifests.write(fetched, archive="vgg16-tiny", kind="download", files=["vgg16-tiny-1234.pth"])
    config = profile(kind="torchvision", **{"from": str(fetched.relative_to(folder))}, preprocessing="imagenet")
    weights.run(config, "w")
    digest = hashlib.sha256((fetched / "vgg16-tiny-1234.pth").read_bytes()).hexdigest()
    assert result().provenance["sha256"] == digest
    assert result().provenance["from"] == "data/p/archives/vgg16-tiny"
    assert len(result().state) == 32


def test_what_is_not_there_is_told() -> None:
    """A `from` that leads nowhere says what it may be."""
    config = profile(kind="torchvision", **{"from": "data/p/archives/gone"}, preprocessing="imagenet")
    with pytest.raises(InputError, match=r"data/p/archives/gone: no such archive or folder; `from` is the path"):
        weights.run(config, "w")


@pytest.mark.parametrize(
    ("kind", "given", "wanted"),
    [
        ("torchvision", "caffe", "imagenet"),
        ("keras", "imagenet", "caffe"),
        ("pytorch_fcn", "imagenet", "caffe"),
        ("caffemodel", "imagenet", "caffe"),
    ],
)
def test_preprocessing_that_the_weights_were_not_trained_with_is_refused(kind: str, given: str, wanted: str) -> None:
    """Weights whose input is known refuse another preprocessing, and say which to write."""
    with pytest.raises(
        InputError, match=f"preprocessing is '{given}', .* trained with '{wanted}'.* preprocessing: {wanted}$"
    ):
        weights.run(profile(kind=kind, **{"from": "net.pt"}, preprocessing=given), "w")
    assert left_behind() == []


def test_the_mean_of_other_pictures_may_be_subtracted(folder: Path) -> None:
    """Weights take the mean of NYUDv2's or SIFT Flow's pictures in place of ImageNet's, as the release's nets do."""
    (folder / "net.caffemodel").write_bytes(caffe_bytes(released.their_layers(NYUD, released.made(NYUD))))
    config = profile(
        asdict(released.RELEASED[NYUD][0]), kind="caffemodel", preprocessing="caffe-nyud", **{"from": "net.caffemodel"}
    )
    weights.run(config, "w")
    assert result().preprocessing == {"rgb": preset("caffe-nyud")}
    assert preset("caffe-nyud").mean == (116.190, 97.203, 92.318)
    assert preset("caffe-siftflow").mean == (114.578, 115.294, 108.353)


def test_torchvisions_googlenet_wants_its_own_preprocessing() -> None:
    """The GoogLeNet of torchvision was trained on pixels from -1 to 1: imagenet is refused for it."""
    googlenet = {**VGG16, "architecture": "googlenet"}
    with pytest.raises(InputError, match="trained with 'inception'"):
        weights.run(profile(googlenet, kind="torchvision", **{"from": "net.pt"}, preprocessing="imagenet"), "w")


def test_unknown_names_are_answered_with_those_there_are(folder: Path) -> None:
    """No name, a wrong name and a wrong preprocessing each list what there is."""
    config = profile(kind="state_dict", **{"from": "net.pt"}, preprocessing="imagenet")
    with pytest.raises(InputError, match=r"write `python -m fcn weights NAME`; there are w$"):
        weights.run(config, None)
    with pytest.raises(InputError, match=r"unknown name 'v'; .*known are: w"):
        weights.run(config, "v")
    with pytest.raises(InputError, match=r"preprocessing: Input should be 'imagenet', .* found 'imagenett'"):
        profile(kind="state_dict", **{"from": "net.pt"}, preprocessing="imagenett")
    foreign = profile(kind="onnx", **{"from": "net.pt"}, preprocessing="caffe")
    with pytest.raises(InputError, match="weights kind 'onnx' is unknown; there are caffemodel, keras, pytorch_fcn"):
        weights.run(foreign, "w")


def test_a_wrong_file_leaves_the_old_weights_alone(folder: Path) -> None:
    """A file of another width is refused with its tensor and shapes, and what was made before stays as it was."""
    torch.save(state_of(), folder / "net.pt")
    config = profile(kind="state_dict", **{"from": "net.pt"}, preprocessing="imagenet")
    weights.run(config, "w")
    before = Path("data/p/weights/w.pt").read_bytes()
    wide = profile({**VGG16, "width": 0.125}, kind="state_dict", **{"from": "net.pt"}, preprocessing="imagenet")
    with pytest.raises(
        InputError, match=r"net\.pt holds features\.0\.weight with shape 4 x 3 x 3 x 3, .* wants 8 x 3 x 3 x 3"
    ):
        weights.run(wide, "w")
    assert Path("data/p/weights/w.pt").read_bytes() == before
    assert left_behind() == ["w.pt"]


def test_a_released_fcn_becomes_a_checkpoint(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An FCN under pytorch-fcn's names becomes a checkpoint with its net: stride, class count, upsampling."""
    kernels = dict.fromkeys(CONVOLUTIONS, 3) | {"fc6": 2, "fc7": 1, "score_fr": 1, "score_pool4": 1}
    shapes = [tensor.shape for name, tensor in state_of("features").items() if name.endswith("weight")]
    widths = [tuple(shape[:2]) for shape in shapes] + [(8, 32), (8, 8), (5, 8), (5, 32)]
    state: dict[str, Tensor] = {}
    for (layer, kernel), (outputs, inputs) in zip(kernels.items(), widths, strict=True):
        state |= {f"{layer}.weight": torch.rand(outputs, inputs, kernel, kernel), f"{layer}.bias": torch.rand(outputs)}
    torch.save({"model_state_dict": state}, folder / "fcn.pth.tar")
    weights.run(profile(kind="pytorch_fcn", **{"from": "fcn.pth.tar"}, preprocessing="caffe"), "w")
    found = result()
    backbone = Backbone(architecture="vgg16", width=0.0625, fc=8, input_px=64, dropout=0.5)
    assert found.net == shape(backbone, 16, classes=5, pad=100)
    assert torch.equal(found.state["heads.semantic.score_pool4.bias"], state["score_pool4.bias"])
    assert "34 tensors of an FCN-16s with 5 classes from fcn.pth.tar; input caffe (BGR" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["fcn8s-atonce-pascal", "siftflow-fcn16s-heavy", "fcn-alexnet-pascal"])
def test_a_run_starts_with_a_released_nets_scores(folder: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """From the authors' own file a run's net starts with that file's scores: scaled skips, two heads, groups."""
    wrote, backbone = released.made(name), released.RELEASED[name][0]
    (folder / "net.caffemodel").write_bytes(caffe_bytes(released.their_layers(name, wrote)))
    config = profile(asdict(backbone), kind="caffemodel", **{"from": "net.caffemodel"}, preprocessing="caffe")
    weights.run(config, "w")
    heads = ", ".join(f"{classes} classes" for classes in wrote.net.heads.values())
    assert (
        f"tensors of an FCN-{wrote.net.stride}s with {heads} from net.caffemodel; input caffe"
        in capsys.readouterr().err
    )
    net = FCN(replace(wrote.net, upsampling="fixed")).eval()
    assert start(net, result(), where="weights/w") == HandOver(new=[], left=[])
    with torch.inference_mode():
        found, wanted = net(released.images()), wrote(released.images())
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_a_released_net_sees_what_the_run_says(folder: Path) -> None:
    """A released file doesn't tell that HHA is what it sees: a run that takes HHA starts with its scores all the same.

    HHA is prepared with its own mean. A run whose net sees another number of channels is refused.
    """
    name = "nyud-fcn32s-hha-heavy"
    wrote = released.made(name)
    (folder / "net.caffemodel").write_bytes(caffe_bytes(released.their_layers(name, wrote)))
    entry = {"kind": "caffemodel", "from": "net.caffemodel", "preprocessing": "caffe-nyud"}
    weights.run(profile(asdict(released.RELEASED[name][0]), **entry), "w")
    seen = replace(wrote.net, upsampling="fixed", inputs=("hha",))
    net = FCN(seen).eval()
    assert start(net, result(), where="weights/w") == HandOver(new=[], left=[])
    assert preprocessing(seen, result()) == {"hha": derived("hha", preset("caffe-nyud"))}
    with torch.inference_mode():
        found, wanted = net({"hha": released.images()["rgb"]}), wrote(released.images())
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    early = FCN(replace(seen, inputs=("rgb", "depth")))
    with pytest.raises(InputError, match=r"takes rgb, the run's net rgb, depth; both must take the same"):
        start(early, result(), where="weights/w")


def test_a_released_net_of_two_trunks_is_started_from(folder: Path) -> None:
    """The net of colour and HHA is handed over whole, and each input is prepared with its own mean."""
    layers, nets = released.two_trunks()
    (folder / "net.caffemodel").write_bytes(caffe_bytes(layers))
    entry = {"kind": "caffemodel", "from": "net.caffemodel", "preprocessing": "caffe-nyud"}
    weights.run(profile(asdict(nets["color"].net.backbone), **entry), "w")
    net = FCN(replace(nets["color"].net, upsampling="fixed", inputs=("rgb", "hha"), fusion="late"))
    assert start(net, result(), where="weights/w") == HandOver(new=[], left=[])
    rgb = preset("caffe-nyud")
    assert preprocessing(net.net, result()) == {"rgb": rgb, "hha": derived("hha", rgb)}


def test_the_command_answers_a_wrong_file_with_a_sentence(folder: Path, run_fcn: RunFcn) -> None:
    """`python -m fcn weights` on a page that was saved as weights ends with exit code 2 and one line."""
    (folder / "net.pth").write_text("<html>quota exceeded</html>")
    values = yaml.safe_load((REPOSITORY / "params.yaml").read_text(encoding="utf-8"))
    values["weights"] = {"vgg16-mine": {"backbone": VGG16, "kind": "state_dict", "from": "net.pth"}}
    values["weights"]["vgg16-mine"]["preprocessing"] = "imagenet"
    (folder / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    ended = run_fcn(["weights", "vgg16-mine"], folder)
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: net.pth is not a file of torch.save: it starts with b'<html>quota ")
    assert left_behind() == []


@pytest.mark.parametrize(("name", "fc6"), [("alexnet", "classifier.1"), ("vgg16", "classifier.0")])
def test_the_real_convolutions_become_a_checkpoint(name: str, fc6: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The real ImageNet convolutions pass through the stage at full size, and the line says that fc6 is not there."""
    path = REPOSITORY.parent / "shared" / "weights" / f"{name}_conv_imagenet_fp16.pt"
    if not path.is_file():
        pytest.skip(f"needs {path.name} in ../shared/weights, which is not part of the project")
    full = {"architecture": name, "width": 1, "fc": 4096, "input_px": 224, "dropout": 0.5}
    weights.run(profile(full, kind="state_dict", **{"from": str(path)}, preprocessing="imagenet"), "w")
    original = torch.load(path, weights_only=True)
    assert all(torch.equal(result().state[key], tensor.float()) for key, tensor in original.items())
    assert f"{fc6}, " in capsys.readouterr().err
