"""`submit`: what VOC's test servers take is made, from test archives that have no masks, what they don't is named."""

import dataclasses
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fcn.cli import main
from fcn.datasets import labels
from fcn.datasets.formats import voc
from fcn.datasets.submission import Challenge, challenge, faults, write
from fcn.nets import checkpoint
from fcn.predict import Predictor
from tests.commands.segmenting import made
from tests.data import tiny
from tests.training.tiny import params
from tests.training.tiny import write as write_params

Submit = Callable[..., tuple[int, str, str]]
IDS = ["2008_000001", "2008_000006"]
NET, TREE, MADE = "of-voc.pt", "VOC2012test.tar", "submissions/VOC2012-of-voc.tgz"
FOLDER = "results/VOC2012/Segmentation/comp6_test_cls/"


def members(prefix: str = tiny.VOC) -> dict[str, bytes]:
    """Of a test archive: two listed pictures of their own sizes, one of another task, and no mask."""
    found = {f"{prefix}ImageSets/Segmentation/test.txt": tiny.lines(IDS), f"{prefix}JPEGImages/x.jpg": tiny.jpeg()}
    noise = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)
    for number, image_id in enumerate(IDS):
        out = io.BytesIO()
        Image.fromarray(noise[: 60 + number]).save(out, "JPEG")
        found[f"{prefix}JPEGImages/{image_id}.jpg"] = out.getvalue()
    return found


@pytest.fixture
def submit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Submit:
    """Run submit in a project's root with a test archive."""
    write_params(tmp_path, params())
    tiny.pack(tmp_path / TREE, members())
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["submit", *map(str, arguments)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def of_voc(submit: Submit) -> None:
    """A net of VOC's classes there, whose other head comes first."""
    net = made()
    assert net.net is not None
    heads, state = {"surface": 2, "semantic": 21}, dict(net.state)
    rng = np.random.default_rng(0)
    for kind in ("weight", "bias"):
        name = f"heads.semantic.score_fr.{kind}"
        shape = (21, *state[name].shape[1:])
        state[name] = state[name].new_tensor(rng.normal(size=shape))
    net = dataclasses.replace(net, net=dataclasses.replace(net.net, heads=heads), targets=voc.TARGETS, state=state)
    checkpoint.save(net, Path(NET))


def read(path: Path) -> dict[str, NDArray[np.uint8]]:
    """Every file of an archive by name, as a palette PNG's indices."""
    with tarfile.open(path) as tar:
        found = {member.name: Image.open(io.BytesIO(tar.extractfile(member).read())) for member in tar}  # type: ignore[union-attr]
    assert {image.mode for image in found.values()} == {"P"}
    assert {tuple(image.getpalette() or ()) for image in found.values()} == {tuple(labels.palette().ravel().tolist())}
    return {name: np.asarray(image) for name, image in found.items()}


@pytest.mark.usefixtures("of_voc")
def test_a_submission_read_back_equals_the_predictions(submit: Submit) -> None:
    """One palette PNG a listed picture, in the devkit's folder, with the net's answer; again, the same bytes."""
    code, said, told = submit(NET, TREE)
    assert (code, f"{MADE}: read back without a fault, 2 pictures of VOC2012" in said) == (0, True), told
    found, predictor = read(Path(MADE)), Predictor.load(NET)
    pictures = {image_id: members()[f"{tiny.VOC}JPEGImages/{image_id}.jpg"] for image_id in IDS}
    assert list(found) == [f"{FOLDER}{image_id}.png" for image_id in IDS]
    for image_id, picture in pictures.items():
        answer = predictor.answers(picture)["semantic"].label
        assert len(np.unique(answer)) > 2, "an answer by which one picture's is told from another's"
        assert np.array_equal(found[f"{FOLDER}{image_id}.png"], answer)
    before = Path(MADE).read_bytes()
    tree = tiny.unpack(Path("unpacked"), members("Test/VOCdevkit/VOC2012/"))
    assert submit(NET, tree, "--out", "mine.tgz")[0] == 0, "the same of a folder"
    assert Path("mine.tgz").read_bytes() == before
    assert submit("mine.tgz", TREE)[0] == 0, "a finished one is checked alone"
    assert submit(NET, TREE, "--out", "mine.tgz")[0] == 0, "one of its own is made anew"
    tiny.pack(Path("backup.tgz"), {"letters.txt": b"mine"})
    kept = Path("backup.tgz").read_bytes()
    code, _, told = submit(NET, TREE, "--out", "backup.tgz")
    assert (code, "backup.tgz is in the way, and is no submission to VOC2012" in told) == (2, True)
    assert Path("backup.tgz").read_bytes() == kept


PNG = f"{FOLDER}{IDS[0]}.png"
RIGHT = np.zeros((60, 90), np.uint8)


def _spoilt(image: Image.Image, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


def _coloured() -> Image.Image:
    image = Image.fromarray(RIGHT)
    image.putpalette([9, 9, 9])
    return image


SPOILT = {
    "should not be in it, but": {"results/readme.txt": b"hello"},
    "1 of 2 listed ids have no answer: there is no": {PNG: None},
    "/comp5_test_cls/2008_000001.png should not be in it": {PNG.replace("comp6", "comp5"): tiny.png(RIGHT)},
    "its pixels are of mode L": {PNG: tiny.grey(RIGHT)},
    "its palette is not VOC's": {PNG: _spoilt(_coloured())},
    "it has 90 x 61 px, and its picture 90 x 60": {PNG: tiny.png(np.zeros((61, 90), np.uint8))},
    "it has the index 255; classes are 0..20": {PNG: tiny.png(RIGHT + np.uint8(255))},
    "it has the index 21; classes are 0..20": {PNG: tiny.png(RIGHT + np.uint8(21))},
    "not a whole picture": {PNG: tiny.png(RIGHT)[:60]},
    "it begins as no PNG does": {PNG: tiny.jpeg((90, 60))},
}


@pytest.mark.parametrize(("said", "spoilt"), SPOILT.items(), ids=list(SPOILT))
def test_what_a_server_would_refuse_is_named(tmp_path: Path, said: str, spoilt: dict[str, bytes | None]) -> None:
    """Each fault is a sentence of its own, with the file's name."""
    asked = challenge(tiny.pack(tmp_path / TREE, members()), tmp_path, split="test")
    other = tiny.png(np.zeros((61, 90), np.uint8))
    right: dict[str, bytes | None] = {PNG: tiny.png(RIGHT), f"{FOLDER}{IDS[1]}.png": other}
    for name, content in {"right": right, "wrong": right | spoilt}.items():
        kept = {name: png for name, png in content.items() if png is not None}
        (tmp_path / name).mkdir()
        found = faults(tiny.pack(tmp_path / f"{name}.tgz", kept), tmp_path / name, asked=asked)
        assert len(found) == (name == "wrong"), found
    assert said in found[0]
    assert any(name in found[0] for name in spoilt)


def test_a_finished_submission_is_checked_alone(submit: Submit) -> None:
    """Each fault has a line, and the exit code is 2."""
    code, _, told = submit(tiny.pack(Path("wrong.tgz"), {PNG: tiny.grey(RIGHT)}), TREE)
    assert (code, [line.partition(" ")[0] for line in told.splitlines()]) == (2, ["error:"] * 3)
    assert told.endswith("wrong.tgz is not what the server of VOC2012 takes: faults: 2\n")


def test_a_picture_that_is_there_twice_and_a_torn_archive_are_faults(tmp_path: Path) -> None:
    """An id is answered once, and an archive is whole."""
    picture = tmp_path / "a.jpg"
    picture.write_bytes(tiny.jpeg((90, 60)))
    asked = Challenge(name="VOC2011", pictures={"a": picture})
    write(tmp_path / "twice.tgz", [("a", RIGHT), ("a", RIGHT)], asked=asked)
    (twice,) = faults(tmp_path / "twice.tgz", tmp_path, asked=asked)
    assert "results/VOC2011/Segmentation/comp6_test_cls/a.png is in it 2 times" in twice
    write(tmp_path / "right.tgz", [("a", RIGHT)], asked=asked)
    (tmp_path / "torn.tgz").write_bytes((tmp_path / "right.tgz").read_bytes()[:-20])
    (torn,) = faults(tmp_path / "torn.tgz", tmp_path, asked=asked)
    assert "damaged or cut off" in torn
    assert faults(tmp_path / "right.tgz", tmp_path, asked=asked) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("none.pt", TREE), "no such checkpoint"),
        (("three.pt", TREE), "classes are not VOC's 21, background, aeroplane, bicycle"),
        (("three.pt", "none.tar"), "no such archive or folder"),
        (("three.pt", "other.tar"), "other.tar: no VOC tree in it"),
        (("three.pt", TREE, "--list", "val"), f"{TREE}: it has no list 'val'; there are test"),
        (
            ("three.pt", "named.tar"),
            "named.tar: its tree lies in 'mine'; the servers know a challenge by VOC2011 or VOC2012",
        ),
        (("three.pt", "without.tar"), f"without.tar: no picture of {IDS[0]} of its list 'test'"),
        (("three.pt", TREE, "--out", "a.png"), "--out a.png is no .tgz"),
    ],
)
def test_a_wrong_argument_is_named(submit: Submit, arguments: tuple[str, ...], said: str) -> None:
    """A net of other classes, a tree that is none, a list or a picture that it lacks: a sentence, and nothing left."""
    checkpoint.save(made(), Path("three.pt"))
    tiny.pack(Path("other.tar"), {"a.txt": b"a"})
    tiny.pack(Path("named.tar"), members("mine/"))
    tiny.pack(Path("without.tar"), {name: content for name, content in members().items() if IDS[0] not in name})
    code, _, told = submit(*arguments)
    assert (code, said in told) == (2, True), told
    assert not list(Path().glob("**/*.tgz"))
