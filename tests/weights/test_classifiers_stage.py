"""The stage `classifiers`: a network trained on the sample's crops, or left to its random start."""

from pathlib import Path

import pytest
import torch

from fcn.config import Config, parse
from fcn.errors import InputError
from fcn.nets import checkpoint
from fcn.nets.preprocessing import preset
from fcn.stages import classifiers

VGG16 = {"architecture": "vgg16", "width": 0.0625, "fc": 8, "input_px": 64, "dropout": 0.5}
TRAINING = {"crops": 64, "held_out": 16, "batch": 4, "iterations": 6, "rate": 1e-3, "precision": "float32"}
RESULT = Path("data/p/weights/c.pt")


def profile(backbone: dict[str, object] | None = None, /, **entry: object) -> Config:
    """A profile with one classifier, called `c`."""
    values: dict[str, object] = {"profile": "p", "root": ".", "params": "params.yaml", "threads": 1, "disjoint": []}
    nothing = ("archives", "datasets", "lists", "backbones", "weights", "nets", "recipes", "runs", "departures")
    values |= {key: {} for key in nothing}
    made = {"backbone": backbone or VGG16, "preprocessing": "sample", **entry}
    return parse({**values, "classifiers": {"c": made}})


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project root to run in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_from_scratch_is_a_checkpoint_without_tensors(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a training there is a checkpoint with nothing but backbone and preprocessing."""
    classifiers.run(profile(), "c")
    found = checkpoint.load(RESULT)
    assert found.state == {}
    assert found.net is None
    assert found.backbone.width == 0.0625
    assert found.preprocessing == {"rgb": preset("sample")}
    assert found.provenance == {"weights": "c", "kind": "none"}
    assert "classifiers c: no weights: every tensor starts at random; input sample (RGB" in capsys.readouterr().err


@pytest.mark.parametrize("architecture", ["alexnet", "vgg16", "googlenet"])
def test_a_sample_classifier_is_trained(architecture: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A classifier is trained on generated crops of 20 classes, and its accuracy travels with the checkpoint."""
    backbone = {**VGG16, "architecture": architecture, "input_px": 96}
    classifiers.run(profile(backbone, training=TRAINING), "c")
    found = checkpoint.load(RESULT)
    last = "fc.weight" if architecture == "googlenet" else "classifier.6.weight"
    assert len(found.state[last]) == 20
    assert 0 <= float(found.provenance["top1"]) <= 1
    assert "top-1 accuracy" in capsys.readouterr().err
    assert all(bool(torch.isfinite(tensor).all()) for tensor in found.state.values())


def test_the_seed_is_the_classifiers_own() -> None:
    """The same seed gives the same file, another seed other weights, whatever torch drew before."""
    files = []
    for seed in (0, 0, 1):
        torch.seed()
        classifiers.run(profile(training={**TRAINING, "iterations": 2}, seed=seed), "c")
        files.append(RESULT.read_bytes())
    assert files[0] == files[1] != files[2]


def test_crops_are_prepared_as_the_sample_is() -> None:
    """Another preprocessing than the crops' own is refused, with what to write."""
    with pytest.raises(
        InputError, match=r"classifiers\.c: preprocessing is 'imagenet', .* 'sample'; write preprocessing: sample$"
    ):
        profile(preprocessing="imagenet", training=TRAINING)


def test_unknown_names_are_answered_with_those_there_are() -> None:
    """No name, a wrong name and a wrong preprocessing each list what there is."""
    with pytest.raises(InputError, match="classifiers needs a name; there are c"):
        classifiers.run(profile(), None)
    with pytest.raises(InputError, match=r"unknown name 'd'; .*known are: c"):
        classifiers.run(profile(), "d")
    with pytest.raises(InputError, match=r"preprocessing: Input .*'caffe-siftflow' or 'sample', found 'imagenett'"):
        profile(preprocessing="imagenett")


def test_a_name_has_one_meaning() -> None:
    """A classifier and a weights entry of one name would write one file: that is refused."""
    config = profile()
    entry = {"backbone": VGG16, "kind": "state_dict", "from": "net.pt", "preprocessing": "imagenet"}
    values: dict[str, object] = {"profile": "p", "root": ".", "params": "params.yaml", "threads": 1, "disjoint": []}
    nothing = ("archives", "datasets", "lists", "backbones", "nets", "recipes", "runs", "departures")
    values |= {key: {} for key in nothing}
    own = {"c": {"backbone": VGG16, "preprocessing": "sample"}}
    assert "c" in config.classifiers
    with pytest.raises(InputError, match=r"classifiers\.c: weights has an entry of this name too; rename one"):
        parse({**values, "weights": {"c": entry}, "classifiers": own})
