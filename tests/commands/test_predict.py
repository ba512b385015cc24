"""`predict` on pictures of every shape and name, and on what is none: in process, with a net made in a moment."""

import dataclasses
import json
import re
import subprocess
import sys
import warnings
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
import yaml
from PIL import Image

from fcn.commands.predictions.results import MADE_BY
from fcn.datasets import labels
from fcn.nets import checkpoint
from tests.commands.segmenting import NET, SEMANTIC, Predict, contents, made, photo
from tests.report.browser import browser, chromium
from tests.training import processes, tiny
from tests.training.tiny import FINER

PARAMS = "profiles/real/params.yaml"


def test_any_size_gives_a_label_of_that_size(predict: Predict) -> None:
    """Of a folder, each picture's palette PNG, overlay and class shares appear for each target, legends, and a page."""
    sizes = {"thin": (33, 250), "dot": (1, 1), "wide": (320, 70)}
    for name, (width, height) in sizes.items():
        photo(Path(f"in/{name}.png"), width, height)
    code, said, told = predict(FINER, "in", "--out", "out")
    assert code == 0, told
    kinds = ("label", "overlay", "shares")
    wanted = {f"{name}.png.fcn-{kind}{of}" for name in sizes for kind in kinds for of in ("", "-surface")}
    found = {path.with_suffix("").name for path in Path("out").iterdir()}
    wanted |= {f"{name}.png.fcn-photo" for name in sizes}
    assert found == wanted | {"classes.fcn-legend", "classes.fcn-legend-surface", "index"}
    for name, size in sizes.items():
        with (
            Image.open(f"out/{name}.png.fcn-label.png") as label,
            Image.open(f"out/{name}.png.fcn-overlay.png") as over,
        ):
            assert (label.mode, label.size) == ("P", size)
            assert over.width >= size[0]
            assert over.height > size[1], "the legend is below"
            assert label.getpalette() == labels.palette(SEMANTIC.palette).ravel().tolist()
            counts = np.bincount(np.asarray(label).ravel(), minlength=3)
        content = json.loads(Path(f"out/{name}.png.fcn-shares.json").read_text(encoding="utf-8"))
        shares = {SEMANTIC.classes[index]: count / counts.sum() for index, count in enumerate(counts) if count}
        about = {"picture": f"in/{name}.png", "target": "semantic", "width": size[0], "height": size[1]}
        assert {key: content[key] for key in about} == about
        assert content["net"].startswith(f"{NET}: run {FINER} of profile tiny")
        assert content["shares"] == pytest.approx(shares, abs=5e-7)
        assert f"-> out/{name}.png.fcn-label.png" in said
    other = json.loads(Path("out/wide.png.fcn-shares-surface.json").read_text(encoding="utf-8"))
    assert other["shares"] == {"class 1": 1.0}, "a head whose classes the checkpoint doesn't name"


@pytest.mark.skipif(sys.platform == "darwin", reason="its file system knows neither case nor names that aren't UTF-8")
def test_no_result_takes_the_name_of_a_picture_or_of_another_result(predict: Predict) -> None:
    """With the results beside the pictures every picture stays, has results of its own, and has the same next time."""
    names = ("a.jpg", "a.png", "a-2.png", "A.JPG", "dog.jpg", "dog-overlay.jpg", "legend.jpg", "sub/a.jpg", "sub-a.jpg")
    odd = "x" * 246 + ".png"
    for number, name in enumerate((*names, odd, "Stra\udcdfe.jpg", "\x1b[31m.jpg")):
        photo(Path("pics") / name, 20 + number)
    before = contents(Path("pics"))
    code, said, told = predict(NET, "pics", "--out", "pics")
    assert (code, "\x1b" in said) == (0, False), told
    first = contents(Path("pics"))
    assert {name: first[name] for name in before} == before
    shares = [json.loads(text) for name, text in first.items() if name.endswith("shares.json")]
    assert {each["width"] for each in shares} == {20 + number for number in range(len(before))}
    assert len({name.casefold() for name in first}) == len(first) - 1, "a.jpg and A.JPG alone differ by case"
    assert predict(NET, "pics", "--out", "pics")[0] == 0
    assert contents(Path("pics")) == first


def test_another_picture_of_the_name_gets_results_of_its_own(predict: Predict) -> None:
    """A later command, into the same folder, replaces the results of the same picture alone, however it is called."""
    for number, folder in enumerate("xy"):
        photo(Path(folder) / "a.png", 20 + number)
        assert predict(NET, folder, "--out", "out")[0] == 0
    first = contents(Path("out"))
    widths = {name: json.loads(text)["width"] for name, text in first.items() if name.endswith("shares.json")}
    assert widths == {"a.png.fcn-shares.json": 20, "a.png.fcn2-shares.json": 21}
    assert predict(NET, "y/a.png", "x/../x/a.png", "--out", "out")[0] == 0
    assert predict(NET, str(Path("y/a.png").absolute()), "--out", "out")[0] == 0
    assert contents(Path("out")).keys() == first.keys()
    Path("out/a.png.fcn-shares.json").write_text(f'["{MADE_BY}"]', encoding="utf-8")  # of another version
    assert predict(NET, "x", "y", "--out", "out")[0] == 0
    assert contents(Path("out")) == first


def test_no_result_takes_the_place_of_a_file_of_somebody_else(predict: Predict) -> None:
    """A photo that is called like a result of another's is said, counted, and left as it is; so is a page."""
    photo(Path("pics/x.png"))
    own = (photo(Path("pics/x.png.fcn-photo.jpg")), Path("pics/index.html"))
    mine = "<p>my page: python -m fcn predict NET pics</p>"
    own[1].write_text(mine, encoding="utf-8")
    before = contents(Path("pics"))
    code, _, told = predict(NET, "pics", "--out", "pics")
    assert (code, {name: contents(Path("pics"))[name] for name in before}) == (2, before)
    assert "passed over in pics: 2 named like results of predict; " in told
    assert "pics/x.png.fcn-photo.jpg is in the way, and doesn't say that predict made it; move it, or" in told
    own[0].unlink()
    code, _, told = predict(NET, "pics", "--out", "pics")
    assert (code, own[1].read_text(encoding="utf-8")) == (2, mine)
    assert "pics/index.html is in the way" in told
    own[1].unlink()
    own[1].mkdir()
    assert (predict(NET, "pics", "--out", "pics")[0], own[1].is_dir()) == (2, True)
    own[1].rmdir()
    assert [predict(NET, "pics", "--out", "pics")[0] for _ in range(2)] == [0, 0], "its own results it replaces"


def test_the_page_shows_every_result_in_its_folder(predict: Predict) -> None:
    """Of this command and those before, whatever is in names, not of other versions; links work; it fits a phone."""
    odd = "in/<b>&amp; 100%#?.png"
    older = {"torn": f"{{ {MADE_BY}", "older": f'{{"by": "{MADE_BY}", "shares": {{}}}}', "listed": f'["{MADE_BY}"]'}
    for name, text in older.items():
        Path("out").mkdir(exist_ok=True)
        Path(f"out/{name}.png.fcn-shares.json").write_text(text, encoding="utf-8")
    assert predict(NET, photo(Path("first.png")), "--out", "out")[0] == 0
    code, _, told = predict(NET, photo(Path(odd)).parent, "--out", "out")
    assert code == 0
    assert told.endswith(f"on one page: {Path('out/index.html').absolute()}\n"), "also right in a folder further down"
    text = Path("out/index.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;&amp;amp; 100%#?.png" in text
    assert "<b>&amp; 100" not in text
    addresses = {unquote(address) for address in re.findall(r'(?:src|href)="([^"]*)"', text)}
    kinds = ("photo.jpg", "overlay.png", "overlay-surface.png")
    assert addresses == {f"{name}.fcn-{kind}" for name in ("first.png", Path(odd).name) for kind in kinds}
    assert all(Path("out", address).is_file() for address in addresses)
    if (program := chromium()) is None:
        pytest.skip("there is no Chromium here")
    with browser(program) as page:
        page.open(Path("out/index.html"), width=390, scripts=False)
        assert page.value("document.documentElement.scrollWidth") == 390
        assert page.value("[...document.images].map(it => it.getBoundingClientRect().right <= 390)") == [True] * 8


def test_what_is_no_picture_costs_only_itself(predict: Predict) -> None:
    """Text, PostScript, typos, a result, what is in the way and addresses are named, code 2, a picture is segmented."""
    Path("text.jpg").write_text("not a picture", encoding="utf-8")
    Path("eps.jpg").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n", encoding="utf-8")
    result = photo(Path("a.png.FCN2-label.png"))
    photo(Path("pics/sub/a.png"))
    Path("out").mkdir()
    Path("out/sub").write_text("a file where pics/sub has its results", encoding="utf-8")
    Path("out/taken.png.fcn-label.png").mkdir()
    addresses = (
        "http://[::1/",
        f"http://{'a' * 70}.example/x.jpg",
        "HTTP://127.0.0.1:1/%00",
        "http://u:marked@/?marked",
    )
    given = ("text.jpg", "eps.jpg", photo(Path("good.png")), "typo.png", "", "n" * 300, result, "pics", *addresses)
    code, said, told = predict(NET, *given, photo(Path("taken.png")), "--out", "out")
    assert code == 2
    for name in ("text.jpg", "eps.jpg"):
        assert f"error: {name}: not a whole picture (it begins as no JPEG or PNG or" in told
    assert "typo.png: no such file or folder" in told
    assert "has the name of a result of predict; rename it, if it is a picture of yours" in told
    assert "http://127.0.0.1:1/%00 can't be fetched: Connection refused".lower() in told.lower()
    assert "error: 12 of 13 could not be segmented; the others' results are in out" in told
    assert "error: pics/sub/a.png: [Errno 17] File exists: 'out/sub'" in told
    assert "taken.png.fcn-label.png is in the way" in told
    assert "error: a picture's name is empty" in told
    assert "error: http://[::1/ can't be fetched: it is no valid address" in told
    assert "marked" not in said + told
    assert Path("out/good.png.fcn-label.png").exists()


def test_a_cameras_broken_notes_are_no_news(predict: Predict) -> None:
    """Pillow warns of them, with a place in its own code; the pixels are whole."""
    notes = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x0f\x01\x02\0\x40\0\0\0\xff\0\0\0"  # a maker's name, beyond the end
    Image.new("RGB", (40, 30)).save("x.jpg", exif=notes)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert predict(NET, "x.jpg", "--out", "out")[0] == 0
    assert [str(each.message) for each in told] == []


def test_it_says_what_the_net_learned_from(predict: Predict) -> None:
    """Run, profile and list are told, and if they were generated; a foreign file says as much as it has."""
    taken = photo(Path("photo.png"))
    assert (
        f"{FINER}.pt: run {FINER} of profile tiny, trained on sbd-train of sbd; generated pictures: on any others its"
        in predict(NET, taken)[2]
    )
    for provenance, words in (
        ({"run": "other", "profile": "mine"}, "run other of profile mine\n"),
        ({"weights": "released"}, "weights released, not trained here\n"),
        ({}, "weights of unknown origin, not trained here\n"),
    ):
        checkpoint.save(dataclasses.replace(made(), provenance=provenance), Path("net.pt"))
        assert f"net.pt: {words}" in predict("net.pt", taken)[2]


@pytest.mark.parametrize(
    ("arguments", "profile"), [((), "real"), (("--params", "params.yaml"), "tiny"), (("--params", PARAMS), "real")]
)
def test_a_net_of_real_pictures_is_preferred(predict: Predict, arguments: tuple[str, ...], profile: str) -> None:
    """Where profiles have a run of one name, the one that saw photos is taken, unless --params names a profile."""
    values = tiny.params()
    for dataset in values["datasets"].values():
        dataset["from"] = "photos"
    Path(PARAMS).parent.mkdir(parents=True)
    Path(PARAMS).write_text(
        yaml.safe_dump({**values, "profile": "real", "root": "../..", "params": PARAMS}), encoding="utf-8"
    )
    taken = photo(Path("photo.png"))
    assert f"{NET}: run {FINER} of profile tiny" in predict(FINER, taken)[2], "the other isn't trained yet"
    real = Path(f"data/real/nets/{FINER}.pt")
    real.parent.mkdir(parents=True)
    checkpoint.save(dataclasses.replace(made(), provenance={"run": FINER, "profile": "real"}), real)
    code, _, told = predict(FINER, taken, *arguments)
    of, other = f"data/{profile}/nets/{FINER}.pt: run {FINER} of profile {profile}, ", f"; --params {PARAMS} takes that"
    assert (code, of in told) == (0, True), told
    kind = "trained on sbd-train of sbd; --params params.yaml takes that of profile tiny, trained on sbd"
    assert (kind in told, other in told) == (profile == "real", profile == "tiny"), told


def test_the_one_net_that_is_trained_is_taken(predict: Predict) -> None:
    """Of profiles with a run of one name, one whose net is there is taken, wherever it was named first."""
    Path(PARAMS).parent.mkdir(parents=True)
    values = {**tiny.params(), "profile": "other", "root": "../..", "params": PARAMS}
    Path(PARAMS).write_text(yaml.safe_dump(values), encoding="utf-8")
    other = Path(f"data/other/nets/{FINER}.pt")
    other.parent.mkdir(parents=True)
    Path(NET).rename(other)
    code, _, told = predict(FINER, photo(Path("photo.png")))
    assert code == 0, told
    assert f"{other}: run {FINER} of profile tiny" in told, "its file says of whose run it is"


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
    photo(Path("good.png"))
    Path("empty").mkdir()
    checkpoint.save(made(inputs=("depth",)), Path("depth.pt"))
    checkpoint.save(dataclasses.replace(made(), net=None), Path("weights.pt"))
    before = contents(Path())
    code, _, told = predict(*arguments)
    assert (code, said in told) == (2, True), told
    assert contents(Path()) == before


def test_large_pictures_can_be_shrunk_for_the_network(predict: Predict) -> None:
    """With --max-side the answer has the picture's size all the same."""
    assert predict(NET, photo(Path("large.png"), 500, 300), "--max-side", "100")[0] == 0
    with Image.open("predictions/large.png.fcn-label.png") as label:
        assert label.size == (500, 300)


def test_a_terminal_that_can_t_write_a_name_ends_nothing(project: Path) -> None:
    """From the command line, where only ASCII can be shown, a picture of another name is segmented and told."""
    command = processes.fcn("predict", FINER, str(photo(project / "Straße.png")))
    environment = processes.environment(PYTHONIOENCODING="ascii")  # read where Python begins, which no fork does
    ended = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "Stra\\xdfe.png.fcn-label.png" in ended.stdout
    assert (project / "predictions/Straße.png.fcn-label.png").exists()
