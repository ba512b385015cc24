"""A person's own folders of pictures and labels, as the words of their entry describe them."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image
from pydantic import TypeAdapter

from fcn.cli import main
from fcn.datasets import formats, labels
from fcn.datasets import lists as list_files
from fcn.datasets.formats import Format
from fcn.datasets.samples import Samples
from fcn.entries import Dataset
from fcn.errors import InputError
from tests.data import tiny

IDS = ("a cat", "b", "c")
MEANT = {"a cat": [[0, 1, 2], [255, 1, 0]], "b": [[0, 0, 2], [2, 2, 0]], "c": [[1, 1, 1], [0, 0, 255]]}
NAMES = ["background", "cat", "dog"]
RED, BLUE, GREY, WHITE = [200, 30, 30], [30, 30, 200], [90, 90, 90], [255, 255, 255]
COLOURED = dict(zip(NAMES, (GREY, RED, BLUE), strict=True))


def entry(**words: Any) -> Dataset:
    """The entry of a dataset in the folder `mine`."""
    return TypeAdapter(Dataset).validate_python({"format": "folder", "from": "mine", "classes": NAMES, **words})


def png(values: NDArray[Any], mode: str | None = None) -> bytes:
    """Numbers or colours as a PNG."""
    out, image = io.BytesIO(), Image.fromarray(values)
    (image.convert(mode) if mode else image).save(out, "PNG")
    return out.getvalue()


def upside_down(values: NDArray[Any]) -> bytes:
    """A PNG that viewers turn by its EXIF."""
    out, exif = io.BytesIO(), Image.Exif()
    exif[ExifTags.Base.Orientation] = 3
    Image.fromarray(values[::-1, ::-1].copy()).save(out, "PNG", exif=exif)
    return out.getvalue()


def shown(label: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The label in colours."""
    table = np.zeros((256, 3), np.uint8)
    table[[0, 1, 2, 255]] = [GREY, RED, BLUE, WHITE]
    return table[label]


def palette(label: NDArray[np.uint8]) -> bytes:
    """The same with another palette than VOC's, in an order of its own."""
    out, image = io.BytesIO(), Image.fromarray(np.searchsorted([0, 1, 2, 255], label).astype(np.uint8))
    image.putpalette([level for colour in (GREY, RED, BLUE, WHITE) for level in colour])
    image.save(out, "PNG")
    return out.getvalue()


def moved(label: NDArray[np.uint8], *, by: int, void: int) -> NDArray[np.int16]:
    """Other numbers for the same."""
    return np.where(label == labels.VOID, void, label.astype(np.int16) + by).astype(np.int16)


def files(suffix: str, content: Any, *, pictures: str = "pictures/*.jpg", lists: str = "lists/") -> dict[str, bytes]:
    """Three pictures of 3 x 2 pixels, their labels, and a list."""
    found = {f"{lists}some.txt": b"b\nc.jpg\n"}
    for image_id in IDS:
        found[pictures.replace("*", image_id)] = tiny.jpeg((3, 2))
        found[suffix.replace("*", image_id)] = content(np.array(MEANT[image_id], np.uint8))
    return found


KINDS: Mapping[str, tuple[dict[str, Any], dict[str, bytes]]] = {
    "VOC's palette": ({}, files("labels/*.png", tiny.png)),
    "greys": ({}, files("labels/*.PNG", png)),
    "void first": ({"void": 0}, files("labels/*.png", lambda label: png(moved(label, by=1, void=0).astype(np.uint8)))),
    "void between": (
        {"void": 1},
        files("labels/*.png", lambda label: png(np.array([0, 2, 3, 1], np.uint8)[label % 252])),
    ),
    "any numbers": (
        {"classes": {"background": 255, "cat": 7, "dog": 0}, "void": 9},
        files("labels/*.png", lambda label: png(np.array([255, 7, 0, 9], np.uint8)[label % 252])),
    ),
    "colours": ({"classes": COLOURED, "void": WHITE}, files("labels/*.png", lambda label: png(shown(label)))),
    "opaque": ({"classes": COLOURED, "void": WHITE}, files("labels/*.png", lambda label: png(shown(label), "RGBA"))),
    "own palette": ({"classes": COLOURED, "void": WHITE}, files("labels/*.png", palette)),
    "turned": ({}, files("labels/*.png", upside_down)),
    "colours, turned": (
        {"classes": COLOURED, "void": WHITE},
        files("labels/*.png", lambda label: upside_down(shown(label))),
    ),
    "mat": ({"variable": "S"}, files("labels/*.mat", lambda label: tiny.mat_of({"S": label}))),
    "mat of doubles": ({"variable": "S"}, files("labels/*.mat", lambda label: tiny.mat_of({"S": label.astype(float)}))),
    "mat in a struct": ({"variable": "GTcls.Segmentation"}, files("labels/*.mat", tiny.mat)),
    "negative": (
        {"variable": "S", "classes": {"background": 1, "cat": 2, "dog": 3}, "void": -1},
        files("labels/*.mat", lambda label: tiny.mat_of({"S": moved(label, by=1, void=-1)})),
    ),
    "other folders": (
        {"pictures": "x/photos/", "labels": "y", "lists": "z"},
        files("y/*.png", png, pictures="x/photos/*.jpeg", lists="z/"),
    ),
    "one folder": (
        {"pictures": "all/*.png", "labels": "all/*_mask.png", "lists": "all"},
        files("all/*_mask.png", png, pictures="all/*.png", lists="all/"),
    ),
    "no folder": (
        {"pictures": "img_*.jpg", "labels": "img_*.png", "lists": "*.txt"},
        files("img_*.png", png, pictures="img_*.jpg", lists=""),
    ),
}  # fmt: skip


def read(folder: Path, words: Mapping[str, Any], members: Mapping[str, bytes]) -> tuple[Format, dict[str, Path]]:
    """The format of an entry, and the folder with these files."""
    return formats.reader(entry(**words)), {"mine": tiny.unpack(folder / "mine", members)}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_label_becomes_the_same(tmp_path: Path, kind: str) -> None:
    """Palette, greys, colours or .mat, whatever stands for a class or for void, are the classes that they mean."""
    words, members = KINDS[kind]
    found, folders = read(tmp_path, words, members)
    assert found.root(list(members)) == ""
    assert sorted(found.wanted([f"top/{name}" for name in members])) == sorted(f"top/{name}" for name in members)
    assert found.ids(folders) == sorted(IDS)
    assert {image_id: found.read(folders, image_id).labels["semantic"].tolist() for image_id in IDS} == MEANT
    assert set(lists := found.lists(folders)) == {"pictures", "some"}
    assert lists["pictures"] == list(IDS)
    assert formats.targets(entry(**words))["semantic"].classes == tuple(NAMES)


@pytest.mark.parametrize("origin", ["mine.zip", "mine"])
def test_from_the_folder_to_its_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, origin: str) -> None:
    """A folder, or a zip of it with what macOS adds, is converted; its own list, a share and the rest are lists."""
    words, members = KINDS["colours"]
    strange = {"__MACOSX/mine/labels/._b.png": b"", "mine/labels/.DS_Store": b"", "mine/pictures/Thumbs.db": b""}
    inside = {f"mine/{name}": content for name, content in members.items()}
    if origin == "mine":
        tiny.unpack(tmp_path, inside | strange)
    else:
        tiny.pack(tmp_path / origin, inside | strange)
    lists = {
        "some": {"dataset": "mine", "list": "some", "expect": 2},
        "part": {"dataset": "mine", "share": 0.5, "seed": 3},
        "rest": {"dataset": "mine", "minus": "part"},
    }
    tiny.params(tmp_path, datasets={"mine": {"format": "folder", "from": origin, **words}}, lists=lists)
    monkeypatch.chdir(tmp_path)
    assert main(["datasets", "mine"]) == main(["splits"]) == 0
    found = Samples(Path("data/tiny/datasets/mine"), IDS)
    assert {image_id: found.read(image_id).labels["semantic"].tolist() for image_id in IDS} == MEANT
    assert found.facts.targets["semantic"].palette == (tuple(GREY), tuple(RED), tuple(BLUE))
    drawn = [Path(f"data/tiny/splits/{name}.txt").read_text(encoding="utf-8").splitlines() for name in ("part", "rest")]
    assert sorted([*drawn[0], *drawn[1]]) == sorted(IDS)


def test_an_id_may_end_as_a_file_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of x.jpg.jpg and x.jpg.png the id is x.jpg, also where a list says so, and in the list that is made of it."""
    members = {"pictures/x.jpg.jpg": tiny.jpeg((3, 2)), "labels/x.jpg.png": png(np.array([[0, 1, 2], [1, 0, 0]], "u1"))}
    tiny.unpack(tmp_path / "mine", {**members, "lists/some.txt": b"x.jpg\n"})
    entries = {"mine": {"format": "folder", "from": "mine", "classes": NAMES}}
    tiny.params(
        tmp_path, datasets=entries, lists={"all": {"dataset": "mine"}, "some": {"dataset": "mine", "list": "some"}}
    )
    monkeypatch.chdir(tmp_path)
    assert main(["datasets", "mine"]) == main(["splits"]) == 0
    lists = [list_files.read_back(Path(f"data/tiny/splits/{name}.txt")) for name in ("all", "some")]
    assert lists == [["x.jpg"], ["x.jpg"]]


@pytest.mark.parametrize(
    ("words", "content", "said"),
    [
        (
            {"classes": COLOURED},
            png(np.array([[RED, RED, WHITE], [[1, 2, 3]] * 3], np.uint8)),
            "4 pixels have a colour that is no class and not void: [1, 2, 3] in 3, and 1 other; allowed are "
            "[90, 90, 90], [200, 30, 30], [30, 30, 200]: write it into `classes`, or as `void`, or mend the label",
        ),
        (
            {},
            png(np.array([[0, 1, 7], [0, 7, 9]], np.uint8)),
            "3 pixels have a number that is no class and not void: 7 in 2, and 1 other; allowed are 0, 1, 2, 255",
        ),
        (
            {"void": 0},
            png(np.array([[0, 1, 255]], np.uint8)),
            "1 pixel has a number that is no class and not void: 255 in 1; allowed are 1, 2, 3, 0: write",
        ),
        ({"classes": [*"abcdefgh"]}, png(np.array([[9]], np.uint8)), "are 0, 1, 2, 3, 4 and 4 more: write it into"),
        ({}, png(shown(np.zeros((2, 3), np.uint8))), "format folder takes colours, too, as `classes: {NAME: [R, G, B]"),
        ({}, palette(np.ones((2, 3), np.uint8)), "pixels of index 1 are (200, 30, 30); if the indices are the classes"),
        ({"classes": COLOURED}, png(np.zeros((2, 3, 4), np.uint8)), "it has pixels that are transparent, whose colour"),
        ({"classes": COLOURED}, png(np.zeros((2, 3), np.uint16)), "its pixels have more than 8 bits (mode I;16); save"),
        ({"classes": COLOURED}, tiny.jpeg(), "not a whole picture (it begins as no PNG does); a label is a PNG that "),
        (
            {},
            tiny.jpeg(),
            "a label is a PNG that never was a JPEG, which smears the numbers of classes: fetch it, or save",
        ),
        (
            {},
            png(np.zeros((2, 3, 2), np.uint8)),
            "it has transparency beside its grey values (mode LA); save it without",
        ),
    ],
)
def test_a_label_that_means_nothing_is_named(tmp_path: Path, words: dict[str, Any], content: bytes, said: str) -> None:
    """Colours and numbers that nobody named are named, with their file, how many pixels have them, what is allowed."""
    found, folders = read(tmp_path, words, {**KINDS["greys"][1], "labels/b.png": content})
    (folders["mine"] / "labels/b.PNG").unlink()
    with pytest.raises(InputError) as caught:
        found.read(folders, "b")
    assert str(caught.value).startswith(f"{tmp_path}/mine/labels/b.png: ")
    assert said in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({}, "labels/b.mat: in a .mat are numbers; write its label's name as `variable`, and no colours"),
        ({"variable": "S", "classes": COLOURED}, "labels/b.mat: in a .mat are numbers; write its label's name as"),
        ({"variable": "T"}, "labels/b.mat: no label of the folder can be read from it: no variable T, found S; it sho"),
    ],
)
def test_a_mat_needs_the_name_of_its_label(tmp_path: Path, words: dict[str, Any], said: str) -> None:
    """A .mat without a variable to look for, or without the one that is named, is refused with its path."""
    found, folders = read(tmp_path, words, KINDS["mat"][1])
    with pytest.raises(InputError) as caught:
        found.read(folders, "b")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"classes": []}, "2 to 255 classes"),
        (
            {"labels": "masks/*.jpg"},
            "labels: 'masks/*.jpg' is no folder, and no pattern with one * for the id, such as labels/*.png; "
            "allowed are files .png, .PNG, .mat: a label is a PNG that never was a JPEG",
        ),
        ({"lists": ".."}, "lists: '..' leads out of `from`; write a folder in it"),
        ({"pictures": "/photos/*.jpg"}, "pictures: '/photos/*.jpg' leads out of `from`"),
        ({"labels": "*/*.png"}, "labels: '*/*.png' is no folder, and no pattern with one *"),
        ({"labels": "*/mask.png"}, "labels: '*/mask.png' is no folder, and no pattern with one *"),
        ({"pictures": "photos/*.tif"}, "allowed are files .jpg, .jpeg, .png, .JPG, .JPEG, .PNG"),
        ({"format": "voc", "void": 0}, "format 'voc' takes no `void`; format folder does"),
        (
            {"format": "sbd", "labels": "masks", "variable": "S"},
            "format 'sbd' takes no `labels`, `variable`; format fo",
        ),
        ({"format": "voc", "classes": COLOURED}, "format 'voc' takes no values of `classes`; format folder does"),
    ],
)
def test_words_that_say_nothing_are_refused(words: dict[str, Any], said: str) -> None:
    """A pattern that can't be, and a word that a format doesn't take, are named."""
    with pytest.raises((InputError, ValueError)) as caught:
        formats.targets(entry(**words))
    assert said in str(caught.value)


def test_classes_are_asked_for() -> None:
    """The format has no classes of its own, and says so."""
    with pytest.raises(InputError, match="format 'folder' has no classes of its own; write `classes`, such as"):
        formats.targets(TypeAdapter(Dataset).validate_python({"format": "folder", "from": "mine"}))


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        (["pictures/b.jpg"], "error: dataset 'mine': 1 of 3 labels is refused: mine/pictures/b.jpg: no such image"),
        (
            ["labels/b.png", "labels/c.png"],
            "warning: list 'pictures': 2 of its 3 ids have no label (b, c); no run can use it",
        ),
        (
            [f"pictures/{name}.jpg" for name in IDS],
            "none of the 3 labels labels/*.png has a picture pictures/*.jpg; `*` is the same in both: found are ",
        ),
        (
            [f"labels/{name}.png" for name in IDS],
            "mine: no such tree in it: found lists/some.txt, pictures/a cat.jpg; expected pictures/*.jpg and ",
        ),
    ],
)
def test_what_has_no_partner_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], gone: list[str], said: str
) -> None:
    """Labels without a picture are refused, pictures without a label left out, and both are counted and named."""
    members = {name: content for name, content in KINDS["VOC's palette"][1].items() if name not in gone}
    tiny.unpack(tmp_path / "mine", members)
    tiny.params(tmp_path, datasets={"mine": {"format": "folder", "from": "mine", "classes": NAMES}})
    monkeypatch.chdir(tmp_path)
    main(["datasets", "mine"])
    assert said in capsys.readouterr().err


def test_labels_that_are_jpeg_are_called_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder of labels with nothing but JPEG in it is told what a label is; under other names, once for all three."""
    pictures = {name: content for name, content in KINDS["greys"][1].items() if name.startswith("pictures/")}
    monkeypatch.chdir(tmp_path)
    tiny.params(tmp_path, datasets={"mine": {"format": "folder", "from": "mine", "classes": NAMES}})
    for suffix in ("jpg", "png"):
        tiny.unpack(tmp_path / "mine", {**pictures, **{f"labels/{name}.{suffix}": tiny.jpeg() for name in IDS}})
        assert main(["datasets", "mine"]) == 2
        said = capsys.readouterr().err
        assert said.count("a label is a PNG that never was a JPEG") == 1
        assert said.count(f".{suffix}") == (1 if suffix == "jpg" else 3)


def test_a_label_of_another_size_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A label is as large as its picture."""
    tiny.unpack(tmp_path / "mine", {**KINDS["VOC's palette"][1], "labels/b.png": png(np.zeros((4, 3), np.uint8))})
    tiny.params(tmp_path, datasets={"mine": {"format": "folder", "from": "mine", "classes": NAMES}})
    monkeypatch.chdir(tmp_path)
    assert main(["datasets", "mine"]) == 2
    assert "b: the label has 3x4 pixels, its image mine/pictures/b.jpg 3x2; both must" in capsys.readouterr().err
