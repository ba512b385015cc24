"""Inputs beside RGB go through the stages: as channels of one trunk, as the only one, and with a trunk each."""

import contextlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fcn.cli import main
from fcn.datasets.samples import Samples
from fcn.errors import InputError
from fcn.nets import checkpoint
from fcn.nets.build import joined, trained
from tests.training import pictures, tiny

SIZES = [(40, 48), (33, 57)]
DATA = Path("data/toy")
NETS: dict[str, dict[str, Any]] = {
    "rgb": {"inputs": ["rgb"], "taps": []},
    "rgbd": {"inputs": ["rgb", "depth"], "taps": []},
    "hha": {"inputs": ["hha"], "taps": []},
    "both": {"inputs": ["rgb", "hha"], "fusion": "late", "taps": []},
    "finer": {"inputs": ["rgb", "hha"], "fusion": "late", "taps": [16]},
}
INIT = {"both": "weights/joined", "finer": "nets/both"}


def params(*, iterations: int = 3) -> dict[str, Any]:
    """A run of each of these nets."""
    backbone = {"architecture": "vgg16", "width": 0.0625, "fc": 8, "input_px": 32, "dropout": 0.5}
    net = {"backbone": backbone, "heads": {"semantic": pictures.CLASSES}, "pad": "same", "upsampling": "intermediate"}
    recipe = tiny.params()["recipes"]["coarse"] | {"iterations": iterations, "crop": 32, "precision": "float32"}
    refs = {side: {"dataset": "toy", "list": "every"} for side in ("train", "val")}
    run = {**refs, "recipe": "some", "seed": 3}
    return {
        "profile": "toy",
        "root": ".",
        "params": "params.yaml",
        "threads": 1,
        "datasets": {"toy": {"format": "nyud", "from": "nowhere"}},
        "lists": {"every": {"dataset": "toy", "list": "every"}},
        "classifiers": {"none": {"backbone": backbone, "preprocessing": "sample"}},
        "fusions": {"joined": ["nets/rgb", "nets/hha"]},
        "nets": {name: net | shape for name, shape in NETS.items()},
        "recipes": {"some": recipe},
        "runs": {name: {**run, "net": name, "init": INIT.get(name, "weights/none")} for name in NETS},
    }


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose pictures have depth and HHA, all of whose nets were trained."""
    folder = tmp_path_factory.mktemp("toy")
    tiny.write(folder, params())
    data = folder / DATA / "datasets" / "toy"
    samples = pictures.write(data, SIZES)
    random = np.random.default_rng(0)
    for name in ("depth", "hha"):
        (data / name).mkdir()
    for image_id, size in zip(samples.ids, SIZES, strict=True):
        np.save(data / "depth" / f"{image_id}.npy", random.integers(500, 9000, (*size, 1), dtype=np.uint16))
        Image.fromarray(random.integers(0, 256, (*size, 3), dtype=np.uint8)).save(data / "hha" / f"{image_id}.png")
    facts = json.loads((data / "dataset.json").read_text()) | {"inputs": {"rgb": 3, "depth": 1, "hha": 3}}
    (data / "dataset.json").write_text(json.dumps(facts))
    (folder / DATA / "splits").mkdir()
    (folder / DATA / "splits" / "every.txt").write_text("".join(f"{image_id}\n" for image_id in samples.ids))
    stages = [["classifiers", "none"], *(["train", name] for name in ("rgb", "rgbd", "hha"))]
    stages += [["fusions", "joined"], ["train", "both"], ["train", "finer"], ["timing", "both"]]
    with contextlib.chdir(folder):
        for stage in [*stages, *(["evaluate", name] for name in NETS)]:
            assert main(stage) == 0, stage
    return folder


def test_every_kind_of_input_is_trained_and_scored(done: Path) -> None:
    """Each net has seen its inputs, prepared by its own rules, and its scores are there; timing knows all inputs."""
    prepared = {name: checkpoint.load(done / DATA / f"nets/{name}.pt").preprocessing for name in NETS}
    assert {name: sorted(found) for name, found in prepared.items()} == {
        name: sorted(NETS[name]["inputs"]) for name in NETS
    }
    assert prepared["rgbd"]["depth"].name == "log-depth"
    assert all((done / DATA / f"scores/{name}.json").is_file() for name in NETS)
    assert (done / DATA / "timing/both.json").is_file()


def test_what_is_joined_answers_as_both(done: Path) -> None:
    """A net of late fusion starts as the mean of the two nets' scores, and every layer of both is trained on."""
    nets = {name: checkpoint.load(done / DATA / f"nets/{name}.pt") for name in ("rgb", "hha", "both")}
    joined = checkpoint.load(done / DATA / "weights/joined.pt")
    sample = Samples(done / DATA / "datasets/toy", ["1"]).read("1")
    inputs = {name: joined.preprocessing[name](sample.inputs[name])[None] for name in ("rgb", "hha")}
    with torch.inference_mode():
        found, rgb, hha = (trained(saved)(inputs)["semantic"] for saved in (joined, nets["rgb"], nets["hha"]))
    torch.testing.assert_close(found, (rgb + hha) / 2)
    assert joined.provenance == {"run": "joined", "profile": "toy"}
    moved = {name for name, tensor in nets["both"].state.items() if not torch.equal(tensor, joined.state[name])}
    assert moved == {name for name in joined.state if ".upscore" not in name}


@pytest.mark.parametrize(
    ("shape", "others", "said"),
    [
        (None, False, "one of the two files holds a classifier, no net; train both of its runs"),
        ({"taps": (16,), "pad": 100}, False, "the nets differ in taps, pad; nets that are joined are alike but for"),
        ({"heads": {"semantic": 2}}, False, "the nets differ in heads; nets that are joined are alike"),
        ({"inputs": ("rgb",)}, False, "the nets take rgb and rgb; late fusion is of two nets of one input each"),
        ({"inputs": ("hha", "depth")}, False, r"the nets take rgb and hha\+depth; late fusion is of two nets of one"),
        ({}, True, "the nets learned other classes; train both on the same dataset"),
    ],
)
def test_what_cannot_be_joined_is_told(done: Path, shape: dict[str, Any] | None, others: bool, said: str) -> None:
    """Files of a classifier, of another stride, of other classes or of the same input are each a sentence."""
    rgb, hha = (checkpoint.load(done / DATA / f"nets/{name}.pt") for name in ("rgb", "hha"))
    assert hha.net is not None
    net, targets = None if shape is None else replace(hha.net, **shape), {} if others else hha.targets
    with pytest.raises(InputError, match=f"^fusions.late: {said}"):
        joined(rgb, replace(hha, net=net, targets=targets), name="late")


def test_depth_starts_with_the_mean_of_the_filters(
    done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before any step, the channel of depth has the mean of RGB's filters; a net of HHA starts with RGB's own."""
    project = shutil.copytree(done, tmp_path / "toy")
    tiny.write(project, params(iterations=0))
    monkeypatch.chdir(project)
    for name in ("rgb", "rgbd", "hha"):
        assert main(["train", name]) == 0, capsys.readouterr().err
    saved = (checkpoint.load(project / DATA / f"nets/{name}.pt") for name in ("rgb", "rgbd", "hha"))
    rgb, rgbd, hha = (trained(each).trunk.first.weight for each in saved)
    assert rgbd.shape[1] == 4
    assert torch.equal(hha, rgb)
    torch.testing.assert_close(rgbd[:, 3], rgbd[:, :3].mean(1))


def test_an_input_that_the_dataset_has_not_is_named(
    done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A net that wants depth of a dataset without is told before the training."""
    project = shutil.copytree(done, tmp_path / "toy")
    facts = project / DATA / "datasets/toy/dataset.json"
    facts.write_text(json.dumps(json.loads(facts.read_text()) | {"inputs": {"rgb": 3}}))
    monkeypatch.chdir(project)
    assert main(["train", "rgbd"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == "error: runs.rgbd.net takes depth, but toy has: rgb"
