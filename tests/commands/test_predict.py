"""`predict` on pictures of every shape and name, and on what is none: in process, with a net made in a moment."""

import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fcn.cli import main
from fcn.datasets import labels
from fcn.datasets.facts import Target
from fcn.nets import checkpoint
from fcn.nets.checkpoint import Checkpoint
from fcn.nets.fcn import FCN
from fcn.nets.preprocessing import preset
from fcn.shape import Backbone, Net
from tests.conftest import RunFcn
from tests.training import tiny
from tests.training.tiny import FINER

Predict = Callable[..., tuple[int, str, str]]
NET = f"data/tiny/nets/{FINER}.pt"
SEMANTIC = Target(
    classes=("sky", "tree", "road"), background=None, average="seen", palette=((0, 0, 0), (9, 8, 7), (1, 2, 3))
)


def _made(*, inputs: tuple[str, ...] = ("rgb",)) -> Checkpoint:
    """A net with heads of 3 and 2 classes; on the second it always answers the second class."""
    backbone = Backbone(architecture="alexnet", width=0.03125, fc=8, input_px=64, dropout=0.0)
    heads = {"semantic": 3, "surface": 2}
    net = Net(backbone=backbone, inputs=inputs, heads=heads, taps=(), pad="same", upsampling="fixed")
    torch.manual_seed(0)
    state = FCN(net).state_dict()
    state["heads.surface.score_fr.bias"][1] = 1.0
    torch.nn.init.normal_(state["heads.semantic.score_fr.weight"])
    return Checkpoint(
        backbone=backbone,
        net=net,
        targets={"semantic": SEMANTIC},
        preprocessing=dict.fromkeys(inputs, preset("sample")),
        state=state,
        provenance={"run": FINER, "profile": "tiny"},
    )


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's root with params.yaml and one trained net, which is also where the test runs."""
    tiny.write(tmp_path, tiny.params())
    (tmp_path / NET).parent.mkdir(parents=True)
    checkpoint.save(_made(), tmp_path / NET)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def predict(project: Path, capsys: pytest.CaptureFixture[str]) -> Predict:
    """Run predict there: its exit code, what it wrote to stdout, and to stderr."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        assert Path.cwd() == project
        capsys.readouterr()
        code = main(["predict", *map(str, arguments)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def _photo(path: Path, width: int = 40, height: int = 30) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_any_size_gives_a_label_of_that_size(predict: Predict) -> None:
    """Of a folder, each picture's palette PNG, overlay and class shares appear for each target, and the legends."""
    sizes = {"thin": (33, 250), "dot": (1, 1), "wide": (320, 70)}
    for name, (width, height) in sizes.items():
        _photo(Path(f"in/{name}.png"), width, height)
    code, said, told = predict(FINER, "in", "--out", "out")
    assert code == 0, told
    kinds = ("label", "overlay", "shares")
    wanted = {f"{name}.png.fcn-{kind}{of}" for name in sizes for kind in kinds for of in ("", "-surface")}
    found = {path.with_suffix("").name for path in Path("out").iterdir()}
    assert found == wanted | {"classes.fcn-legend", "classes.fcn-legend-surface"}
    for name, size in sizes.items():
        with (
            Image.open(f"out/{name}.png.fcn-label.png") as label,
            Image.open(f"out/{name}.png.fcn-overlay.png") as over,
        ):
            assert (label.mode, label.size, over.size) == ("P", size, size)
            assert label.getpalette() == labels.palette(SEMANTIC.palette).ravel().tolist()
            counts = np.bincount(np.asarray(label).ravel(), minlength=3)
        content = json.loads(Path(f"out/{name}.png.fcn-shares.json").read_text(encoding="utf-8"))
        shares = {SEMANTIC.classes[index]: count / counts.sum() for index, count in enumerate(counts) if count}
        assert content == {
            "picture": f"in/{name}.png",
            "width": size[0],
            "height": size[1],
            "shares": content["shares"],
        }
        assert content["shares"] == pytest.approx(shares, abs=5e-5)
        assert f"-> out/{name}.png.fcn-label.png" in said
    other = json.loads(Path("out/wide.png.fcn-shares-surface.json").read_text(encoding="utf-8"))
    assert other["shares"] == {"class 1": 1.0}, "a head whose classes the checkpoint doesn't name"


@pytest.mark.skipif(sys.platform == "darwin", reason="its file system knows neither case nor names that aren't UTF-8")
def test_no_result_takes_the_name_of_a_picture_or_of_another_result(predict: Predict) -> None:
    """With the results beside the pictures every picture stays, has results of its own, and has the same next time."""
    names = ("a.jpg", "a.png", "a-2.png", "A.JPG", "dog.jpg", "dog-overlay.jpg", "legend.jpg", "sub/a.jpg", "sub-a.jpg")
    odd = "x" * 246 + ".png"
    for number, name in enumerate((*names, odd, "Stra\udcdfe.jpg")):
        _photo(Path("pics") / name, 20 + number)
    before = _contents(Path("pics"))
    code, _, told = predict(NET, "pics", "--out", "pics")
    assert code == 0, told
    first = _contents(Path("pics"))
    assert {name: first[name] for name in before} == before
    shares = [json.loads(text) for name, text in first.items() if name.endswith("shares.json")]
    assert {each["width"] for each in shares} == {20 + number for number in range(len(before))}
    assert len({name.casefold() for name in first}) == len(first) - 1, "a.jpg and A.JPG alone differ by case"
    assert predict(NET, "pics", "--out", "pics")[0] == 0
    assert _contents(Path("pics")) == first


def test_what_is_no_picture_costs_only_itself(predict: Predict) -> None:
    """Text, PostScript, typos, a result, what is in the way and addresses are named, code 2, a picture is segmented."""
    Path("text.jpg").write_text("not a picture", encoding="utf-8")
    Path("eps.jpg").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n", encoding="utf-8")
    result = _photo(Path("a.png.FCN2-label.png"))
    _photo(Path("pics/sub/a.png"))
    Path("out").mkdir()
    Path("out/sub").write_text("a file where pics/sub has its results", encoding="utf-8")
    Path("out/taken.png.fcn-label.png").mkdir()
    addresses = (
        "http://[::1/",
        f"http://{'a' * 70}.example/x.jpg",
        "HTTP://127.0.0.1:1/%00",
        "http://u:marked@/?marked",
    )
    given = ("text.jpg", "eps.jpg", _photo(Path("good.png")), "typo.png", "", "n" * 300, result, "pics", *addresses)
    code, said, told = predict(NET, *given, _photo(Path("taken.png")), "--out", "out")
    assert code == 2
    for name in ("text.jpg", "eps.jpg"):
        assert f"error: {name}: not a whole picture (it begins as no JPEG or PNG or" in told
    assert "typo.png: no such file or folder" in told
    assert "has the name of a result of predict; rename it, if it is a picture of yours" in told
    assert "http://127.0.0.1:1/%00 can't be fetched: Connection refused".lower() in told.lower()
    assert "error: 12 of 13 could not be segmented; the others' results are in out" in told
    assert "error: pics/sub/a.png: [Errno 17] File exists: 'out/sub'" in told
    assert "error: taken.png: [Errno 21] Is a directory: " in told
    assert "error: a picture's name is empty" in told
    assert "error: http://[::1/ can't be fetched: it is no valid address" in told
    assert "marked" not in said + told
    assert Path("out/good.png.fcn-label.png").exists()


def test_it_says_what_the_net_learned_from(predict: Predict) -> None:
    """Run, profile and list are told, and that they were generated; a foreign file says as much as it has."""
    photo = _photo(Path("photo.png"))
    assert (
        f"{FINER}.pt: run {FINER} of profile tiny, trained on sbd-train of sbd; generated pictures"
        in predict(NET, photo)[2]
    )
    for provenance, words in (
        ({"run": "other", "profile": "mine"}, "run other of profile mine\n"),
        ({"weights": "released"}, "weights released, not trained here\n"),
        ({}, "weights of unknown origin, not trained here\n"),
    ):
        checkpoint.save(dataclasses.replace(_made(), provenance=provenance), Path("net.pt"))
        assert f"net.pt: {words}" in predict("net.pt", photo)[2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("voc-fcn9s", "good.png"), FINER),
        (("none.pt", "good.png"), "no such checkpoint"),
        (("none", "good.png"), "another profile's runs are those of --params profiles/NAME/params.yaml"),
        (("data/none.pth", "good.png"), "no such checkpoint"),
        (("depth.pt", "good.png"), "takes depth; predict has pictures alone"),
        (("weights.pt", "good.png"), "not a trained run"),
        ((FINER, "good.png", "--max-side", "3"), "32 px is the least"),
        ((FINER, "good.png", "--out", "good.png"), "--out good.png is a file; name a folder"),
        ((FINER, "empty"), "there is no picture to segment"),
    ],
)
def test_a_wrong_argument_is_named(predict: Predict, arguments: tuple[str, ...], said: str) -> None:
    """A net that isn't there, one that no picture fits, and a place for no results are said, and nothing is written."""
    _photo(Path("good.png"))
    Path("empty").mkdir()
    checkpoint.save(_made(inputs=("depth",)), Path("depth.pt"))
    checkpoint.save(dataclasses.replace(_made(), net=None), Path("weights.pt"))
    before = _contents(Path())
    code, _, told = predict(*arguments)
    assert (code, said in told) == (2, True), told
    assert _contents(Path()) == before


def test_large_pictures_can_be_shrunk_for_the_network(predict: Predict) -> None:
    """With --max-side the answer has the picture's size all the same."""
    assert predict(NET, _photo(Path("large.png"), 500, 300), "--max-side", "100")[0] == 0
    with Image.open("predictions/large.png.fcn-label.png") as label:
        assert label.size == (500, 300)


def test_a_terminal_that_can_t_write_a_name_ends_nothing(
    project: Path, run_fcn: RunFcn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the command line, where only ASCII can be shown, a picture of another name is segmented and told."""
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    ended = run_fcn(["predict", FINER, _photo(project / "Straße.png")], project)
    assert ended.returncode == 0, ended.stderr
    assert "Stra\\xdfe.png.fcn-label.png" in ended.stdout
    assert (project / "predictions/Straße.png.fcn-label.png").exists()
