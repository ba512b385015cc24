"""`predict` on pictures of every shape, and on what is none."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcn.datasets import labels
from fcn.datasets.facts import Target
from fcn.nets import checkpoint
from fcn.nets.checkpoint import Checkpoint
from fcn.nets.fcn import FCN
from fcn.nets.preprocessing import preset
from fcn.shape import Backbone, Net
from tests.conftest import RunFcn
from tests.training.tiny import FINER

NOISE = np.random.default_rng(7)


def _photo(path: Path, width: int, height: int) -> Path:
    Image.fromarray(NOISE.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)
    return path


def test_any_size_gives_a_label_of_that_size(workspace_done: Path, tmp_path: Path, run_fcn: RunFcn) -> None:
    """Of a folder, each picture's palette PNG, overlay and class shares appear, in its size, and one legend."""
    (tmp_path / "in").mkdir()
    sizes = {"thin": (33, 250), "dot": (1, 1), "wide": (320, 70)}
    for name, (width, height) in sizes.items():
        _photo(tmp_path / f"in/{name}.png", width, height)
    facts = json.loads((workspace_done / "data/tiny/datasets/voc2012/dataset.json").read_text(encoding="utf-8"))
    classes_of = facts["targets"]["semantic"]["classes"]
    ended = run_fcn(["predict", FINER, tmp_path / "in", "--out", tmp_path / "out"], workspace_done)
    assert ended.returncode == 0, ended.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"legend.png"} | {
        name + suffix for name in sizes for suffix in (".png", "-overlay.png", ".json")
    }
    for name, (width, height) in sizes.items():
        with (
            Image.open(tmp_path / f"out/{name}.png") as label,
            Image.open(tmp_path / f"out/{name}-overlay.png") as over,
        ):
            assert label.mode == "P"
            assert label.getpalette() == labels.palette().ravel().tolist()
            assert label.size == over.size == (width, height)
            classes = np.bincount(np.asarray(label).ravel(), minlength=len(classes_of)) / (width * height)
        content = json.loads((tmp_path / f"out/{name}.json").read_text(encoding="utf-8"))
        assert (content["width"], content["height"]) == (width, height)
        shares = {classes_of[index]: share for index, share in enumerate(classes) if share}
        assert content["shares"] == pytest.approx(shares, abs=5e-5)


def test_what_is_no_picture_costs_only_itself(workspace_done: Path, tmp_path: Path, run_fcn: RunFcn) -> None:
    """A text file and a typo are named, the exit code is 2, and the picture between them is segmented."""
    text = tmp_path / "text.jpg"
    text.write_text("not a picture", encoding="utf-8")
    good = _photo(tmp_path / "good.png", 40, 30)
    ended = run_fcn(["predict", FINER, text, good, tmp_path / "typo.png", "--out", tmp_path / "out"], workspace_done)
    assert ended.returncode == 2
    assert "text.jpg is not a picture that Pillow knows (it starts with b'not a picture')" in ended.stderr
    assert "typo.png: no such file or folder" in ended.stderr
    assert "error: 2 of 3 could not be segmented" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert (tmp_path / "out/good.png").exists()


def test_a_wrong_net_is_named(workspace_done: Path, tmp_path: Path, run_fcn: RunFcn) -> None:
    """An unknown run, a file that isn't there, and weights that aren't a trained net: each is said, nothing written."""
    good = _photo(tmp_path / "good.png", 40, 30)
    weights = next((workspace_done / "data/tiny/weights").glob("*.pt"))
    for net, said in (("voc-fcn9s", FINER), ("none.pt", "no such checkpoint"), (weights, "not a trained run")):
        ended = run_fcn(["predict", net, good, "--out", tmp_path / "out"], workspace_done)
        assert ended.returncode == 2, ended.stderr
        assert said in ended.stderr
        assert "Traceback" not in ended.stderr
    assert not (tmp_path / "out").exists()


def test_large_pictures_can_be_shrunk_for_the_network(workspace_done: Path, tmp_path: Path, run_fcn: RunFcn) -> None:
    """With --max-side the answer has the picture's size all the same."""
    photo = _photo(tmp_path / "large.png", 500, 300)
    ended = run_fcn(["predict", FINER, photo, "--out", tmp_path / "out", "--max-side", "100"], workspace_done)
    assert ended.returncode == 0, ended.stderr
    with Image.open(tmp_path / "out/large.png") as label:
        assert label.size == (500, 300)


def _saved(path: Path, *, targets: dict[str, Target], inputs: tuple[str, ...] = ("rgb",)) -> Path:
    """A net with heads of 3 and 2 classes that always answers the second, in a checkpoint with these `targets`."""
    backbone = Backbone(architecture="alexnet", width=0.03125, fc=8, input_px=64, dropout=0.0)
    heads = {"semantic": 3, "surface": 2}
    net = Net(backbone=backbone, inputs=inputs, heads=heads, taps=(), pad="same", upsampling="fixed")
    state = FCN(net).state_dict()
    for target in heads:
        state[f"heads.{target}.score_fr.bias"][1] = 1.0
    content = Checkpoint(
        backbone=backbone,
        net=net,
        targets=targets,
        preprocessing=dict.fromkeys(inputs, preset("sample")),
        state=state,
        provenance={},
    )
    checkpoint.save(content, path)
    return path


def test_classes_and_colours_are_the_checkpoint_s(tmp_path: Path, repository: Path, run_fcn: RunFcn) -> None:
    """Of two heads the first has the picture's name; names and colours are the checkpoint's, or numbers without any."""
    shutil.copy(repository / "params.yaml", tmp_path)
    _photo(tmp_path / "photo.png", 40, 30)
    colours = ((0, 0, 0), (9, 8, 7), (1, 2, 3))
    semantic = Target(classes=("sky", "tree", "road"), background=None, average="seen", palette=colours)
    net = _saved(tmp_path / "net.pt", targets={"semantic": semantic})
    ended = run_fcn(["predict", net, "photo.png", "--out", "out"], tmp_path)
    assert ended.returncode == 0, ended.stderr
    for name, shares in (("photo", {"tree": 1.0}), ("photo-surface", {"class 1": 1.0})):
        assert json.loads((tmp_path / f"out/{name}.json").read_text(encoding="utf-8"))["shares"] == shares
    with Image.open(tmp_path / "out/photo.png") as label:
        assert label.convert("RGB").getpixel((3, 3)) == (9, 8, 7)
    with Image.open(tmp_path / "out/photo-surface.png") as label:
        assert label.convert("RGB").getpixel((3, 3)) == tuple(labels.palette()[1])
    assert (tmp_path / "out/legend.png").exists()
    assert (tmp_path / "out/legend-surface.png").exists()


def test_a_net_that_wants_more_than_a_picture(tmp_path: Path, repository: Path, run_fcn: RunFcn) -> None:
    """A net on depth too is refused in a sentence that names its inputs."""
    shutil.copy(repository / "params.yaml", tmp_path)
    _photo(tmp_path / "photo.png", 40, 30)
    net = _saved(tmp_path / "net.pt", targets={}, inputs=("depth",))
    ended = run_fcn(["predict", net, "photo.png", "--out", "out"], tmp_path)
    assert ended.returncode == 2
    assert "takes depth; predict has pictures alone" in ended.stderr
