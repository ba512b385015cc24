"""Own pictures in VOC's layout, no paper followed: the params.yaml of docs/own-data.md, and what is said at once."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fcn.cli import main
from fcn.config import load
from fcn.files import read_json
from fcn.nets import checkpoint
from fcn.nets.fcn import FCN, is_score_layer
from tests.data import tiny

PAGE = (Path(__file__).resolve().parents[2] / "docs/own-data.md").read_text(encoding="utf-8")
FIRST = PAGE.partition("```yaml\nprofile: mine")[2].partition("```")[0]
SMALLER = {
    "../..": ".",
    "profiles/mine/params.yaml": "params.yaml",
    "folder, from: my-data, pictures: photos, labels: masks, classes: [background, cat, dog]": "voc, from: pictures",
    "share: 0.8": "list: train",
    "minus: train": "list: val",
    "semantic: 3": "semantic: 21",
    "threads: 2": "threads: 1",
    "width: 0.25, fc: 256, input_px: 96": "width: 0.0625, fc: 8, input_px: 32",
    "iterations: 2000": "iterations: 4",
}
STAGES = ("code", "datasets mine", "splits", "classifiers from-nothing", "train first", "evaluate first")


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with six pictures of a person's own; we are in it."""
    for name, content in tiny.voc(prefix="").items():
        path = tmp_path / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    smaller = f"profile: mine{FIRST}"
    for large, small in SMALLER.items():
        assert smaller.count(large) == 1, large
        smaller = smaller.replace(large, small)
    (tmp_path / "params.yaml").write_text(smaller, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def changed(folder: Path, words: Mapping[str, str]) -> None:
    """Write other words into the folder's params.yaml."""
    whole = (folder / "params.yaml").read_text(encoding="utf-8")
    for old, new in words.items():
        assert old in whole, old
        whole = whole.replace(old, new)
    (folder / "params.yaml").write_text(whole, encoding="utf-8")


def test_own_classes_go_from_params_to_every_answer(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Labels of four classes, in VOC's colours or greys, train and answer under the names that params.yaml has."""
    names = ["road", "tree", "old house", "sky"]
    changed(folder, {"pictures}": f"pictures, classes: [{', '.join(names)}]}}", "semantic: 21": "semantic: 4"})
    masks = sorted((folder / "pictures/SegmentationClass").iterdir())
    for number, mask in enumerate(masks):
        label = np.arange(9 * 12, dtype=np.uint8).reshape(9, 12) % 4
        Image.fromarray(label).save(mask) if number % 2 else mask.write_bytes(tiny.png(label))
    for stage in STAGES:
        assert main(stage.split()) == 0, capsys.readouterr().err
    assert list(read_json(folder / "data/mine/classes/first.json")["semantic"]) == names
    assert list(read_json(folder / "data/mine/audit/mine.json")["class_share"]) == names
    assert read_json(folder / "data/mine/scores/first.json").get("background_mean_iu") is None
    picture = next((folder / "pictures/JPEGImages").iterdir())
    assert main(["predict", "first", str(picture), "--out", "answers"]) == 0, capsys.readouterr().err
    shares = read_json(next((folder / "answers").glob("*-shares.json")))["shares"]
    assert sum(shares[name] for name in names if name in shares) == pytest.approx(1, abs=0.001)
    Image.fromarray(np.full((9, 12), 4, np.uint8)).save(masks[0])
    assert main(["datasets", "mine"]) == 2
    assert "the label has the value 4 in 108 pixels; allowed are 0..3, and 255 for void" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value", "held"), [("train", 255, "void"), ("train", 0, "background"), ("val", 3, "bird")]
)
def test_a_list_shows_two_classes(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str, value: int, held: str
) -> None:
    """A list of one class or of void alone, on which a loss of 0 or a score of 100 means nothing, is refused."""
    for image_id in (folder / f"pictures/ImageSets/Segmentation/{name}.txt").read_text(encoding="utf-8").split():
        label = np.full((9, 12), value, np.uint8)
        label[0] = 255
        Image.fromarray(label).save(folder / f"pictures/SegmentationClass/{image_id}.png")
    assert main(["datasets", "mine"]) == 0
    assert main(["splits"]) == 2
    assert f"lists.{name}: its 3 labels hold nothing but {held}, from which nothing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            {
                "\n  val: {dataset: mine, list: val}": "\n  val: {dataset: mine, list: trainval}",
                "disjoint: [[train, val]]": "",
            },
            "runs.first: its val list 'val' shares 3 of its 6 images with its train list 'train': a score on what",
        ),
        ({"loss: mean": "loss: mean, jitter: 12"}, "no picture is larger than recipes.short.jitter, 12 px: most of"),
    ],
)
def test_what_teaches_or_says_little_is_a_warning(
    folder: Path, capsys: pytest.CaptureFixture[str], words: dict[str, str], said: str
) -> None:
    """Scoring on what was learned, and shifting pictures out of sight, is possible, and said."""
    for changes, warned in (({}, False), (words, True)):
        changed(folder, changes)
        assert [main(it.split()) for it in STAGES[:5]] == [0] * 5
        assert (f": warning: {said}" in capsys.readouterr().err) == warned


def test_a_place_that_is_not_there_is_told_first(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first stage names an entry whose own archive or folder isn't there, and goes on: DVC knows what is needed."""
    assert main(["code"]) == 0
    assert "isn't there" not in capsys.readouterr().err
    (folder / "pictures").rename(folder / "my-pictures")
    assert main(["code"]) == 0
    said = capsys.readouterr().err
    where = "code: datasets.mine.from in params.yaml is pictures, which isn't there: "
    assert said.startswith(f"{where}did you mean 'my-pictures'? put it there or"), said
    assert len(said.splitlines()) == 1


def test_a_first_profile_is_short(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The page's few lines train and score a net on own pictures, without a reason given for anything."""
    assert len(FIRST.splitlines()) < 18
    for stage in (*STAGES, "timing fcn8s", "tables"):
        assert main(stage.split()) == 0, capsys.readouterr().err
    assert "| first |" in (folder / "data/mine/tables/scores.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("trained", "moving"), [("all", "layers of the trunk too"), ("score", "score layers alone")])
def test_the_stage_freezes_what_the_recipe_says(folder: Path, trained: str, moving: str) -> None:
    """`trained: score` moves the score layers alone, of all that the net starts with; `all` moves the trunk too."""
    changed(folder, {"trained: all": f"trained: {trained}"})
    for stage in STAGES[:-1]:
        assert main(stage.split()) == 0
    torch.manual_seed(0)  # the run's seed
    before = FCN(load(folder / "params.yaml").net("first")).state_dict()
    after = checkpoint.load(folder / "data/mine/nets/first.pt").state
    moved = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert any(map(is_score_layer, moved))
    assert all(map(is_score_layer, moved)) == (moving == "score layers alone")


@pytest.mark.parametrize(
    "words",
    [
        {"val: {dataset: mine, list: val}, net": "val: {dataset: other, list: others}, net"},
        {"recipe: short}}": "recipe: short}, second: {train: &o {dataset: other, list: others}, val: *o, net: fcn8s, "
         "init: nets/first, recipe: short}}"},
    ],
    ids=["scored", "handed over"],
)  # fmt: skip
def test_a_run_learns_and_is_scored_in_the_same_names(
    folder: Path, capsys: pytest.CaptureFixture[str], words: dict[str, str]
) -> None:
    """Where the datasets of a run, or of one that it starts from, name other classes, the first stage says so."""
    names = ", ".join(f"class {number}" for number in range(21))
    other = "lists:\n  others: {dataset: other, list: train}\n"
    changed(folder, {"lists:\n": f"  other: {{format: voc, from: pictures, classes: [{names}]}}\n{other}"})
    changed(folder, words)
    assert main(["code"]) == 2
    assert "name other classes for 'semantic', so that what is learned on one says nothing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("semantic: 21", "semantic: 3", "write heads: {semantic: 21}, or name its own as datasets.mine.classes"),
        (
            "pictures}",
            "pictures, classes: [a, b]}",
            "has 21 classes for 'semantic', but mine has 2; write heads: {semantic: 2}",
        ),
        ("semantic: 21", "semantic: 3", "runs.first.net has 3 classes for 'semantic', but mine has 21; write heads: {"),
        (
            "format: voc",
            "format: siftflow",
            "has 21 classes for 'semantic', but mine has 33; write heads: {semantic: 33}\n",
        ),
        ("semantic: 21", "depth: 21", "runs.first.net has a head 'depth', but the labels of mine are: semantic\n"),
        ("[rgb]", "[rgb, depth]", "runs.first.net takes depth, but mine has: rgb"),
        (
            "net: fcn8s,",
            "net: fcn8s, regime: cvpr,",
            "departures from the papers without a reason: input (published 224",
        ),
        ("format: voc", "format: vok", "dataset format 'vok' is unknown; there are "),
        ("preprocessing: sample", "preprocessing: simple", "classifiers.from-nothing.preprocessing: Input should be"),
        ("loss: mean", "loss: meen", "recipes.short.loss: 'meen' is unknown; there are mean, sum"),
        (
            "\n  val: {dataset: mine, list: val}",
            "\n  val: {dataset: mine, list: val, published: seg11vaild}",
            "lists.val.published: unknown list 'seg11vaild'; did you mean 'seg11valid'? kn",
        ),
        ("architecture: vgg16", "architecture: vgg", "architecture of a backbone: 'vgg' is unknown; there are alexnet"),
    ],
)
def test_what_params_alone_can_tell_is_said_first(
    folder: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, said: str
) -> None:
    """What the data haven't, missing reasons and unknown names end the first stage, before any work."""
    changed(folder, {old: new})
    assert main(["code"]) == 2
    assert said in capsys.readouterr().err
    assert not list(folder.glob("data/**/*.json"))


def test_a_slip_in_a_dataset_is_said_before_departures(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A format that there isn't makes lists depart, too: to take their reasons out would be the wrong advice."""
    changed(folder, {"format: voc": "format: vok", "net: fcn8s,": "net: fcn8s, regime: cvpr,"})
    assert main(["code"]) == 2
    assert "dataset format 'vok' is unknown" in capsys.readouterr().err
