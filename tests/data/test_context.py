"""PASCAL-Context: labels in each form, told by their names, as 59 or 33 classes, with and without background."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcn.cli import main
from fcn.datasets import formats
from fcn.datasets import lists as list_files
from fcn.datasets.formats import context33, context59, context59_void
from fcn.datasets.samples import Samples
from fcn.errors import InputError
from tests.data import tiny

FACTS = "reference/data/pascal-context_"
SAME = {"diningtable": "table", "clothes": "cloth", "bedcloth": "bedclothes"}

# What the 59 classes, in their order, are among the 459 (Zhang et al., PASCAL in Detail), and the 33 among the 59.
OF_459 = (
    "2 23 25 31 34 45 59 65 72 98 397 113 207 258 284 308 347 368 416 427 9 18 22 33 44 46 68 80 85 104 115 144 158 "
    "159 162 187 189 220 232 259 260 105 296 355 295 324 326 349 354 360 366 19 415 420 424 440 445 454 458"
)
OF_59 = [*range(1, 21), 50, 36, 37, 46, 25, 54, 57, 40, 56, 33, 53, 38, 27]


def numbered(names: Sequence[str]) -> bytes:
    """A list of names as it is served."""
    return "".join(f"{number}: {name}\n" for number, name in enumerate(names, 1)).encode()


NAMES = {
    "trainval": numbered([*context59.CLASSES, "pot"]),
    "59_context_labels": numbered(context59.CLASSES),
    "33_context_labels": numbered(context33.CLASSES),
}


def members(form: str, values: Sequence[int], names: bytes) -> dict[str, bytes]:
    """A tree with one picture, `a`, whose label has these numbers in a row."""
    label = np.array([values])
    png, mat = tiny.grey(label.astype(np.uint8)), tiny.mat_of({"LabelMap": label.astype(np.uint16)})
    whole = tiny.context(["a"], [], form=form, names=names)
    return whole | ({"trainval/a.mat": mat} if form == "trainval" else {f"{form}/a.png": png})


def read(folder: Path, format_: str, files: dict[str, bytes]) -> list[int]:
    """The indices that a format makes of such a label."""
    label = formats.load(format_).read({"mine": tiny.unpack(folder, files)}, "a").labels["semantic"]
    return [int(value) for value in label[0]]


def table(kept: Sequence[int], *, numbers: int, first: int, other: int) -> list[int]:
    """What 0 and the numbers after it become, if those kept are the classes from `first` on."""
    return [kept.index(number) + first if number in kept else other for number in range(numbers + 1)]


@pytest.mark.parametrize(
    ("format_", "first", "other"),
    [("context59", 1, 0), ("context59_void", 0, 255), ("context33", 1, 0), ("context33_void", 0, 255)],
)
def test_the_true_names_give_the_known_classes(
    tmp_path: Path, shared: Path, format_: str, first: int, other: int
) -> None:
    """By their names, the 459 become the 59 that others have, and the 33 of these; all else background, or void."""
    of_459 = [int(number) for number in OF_459.split()]
    kept = of_459 if "59" in format_ else [of_459[number - 1] for number in OF_59]
    names = (shared / f"{FACTS}classes-400.txt").read_bytes()
    found = read(tmp_path, format_, members("trainval", range(460), names))
    assert found == table(kept, numbers=459, first=first, other=other)


@pytest.mark.parametrize("served", ["59_labels.txt", "classes-59.txt"])
def test_pngs_of_59_give_both(tmp_path: Path, shared: Path, served: str) -> None:
    """The PNGs of 59 are 59 or 33 classes, by the served list as by the release's, which calls three otherwise."""
    files = members("59_context_labels", range(60), (shared / f"{FACTS}{served}").read_bytes())
    assert read(tmp_path, "context59", files) == list(range(60))
    assert read(tmp_path, "context59_void", files) == [255, *range(59)]
    assert read(tmp_path, "context33", files) == table(OF_59, numbers=59, first=1, other=0)


def test_pngs_of_33_give_33(tmp_path: Path, shared: Path) -> None:
    """The PNGs of 33 are these, and lack classes of the 59."""
    files = members("33_context_labels", range(34), (shared / f"{FACTS}classes-33.txt").read_bytes())
    assert read(tmp_path, "context33", files) == list(range(34))
    assert read(tmp_path, "context33_void", files) == [255, *range(33)]
    with pytest.raises(InputError, match=r"33_labels\.txt: it lacks 26 of the 59 classes: bag, bed, bench, \.\.\.; "):
        read(tmp_path, "context59", files)


def test_classes_are_those_of_the_lists(shared: Path) -> None:
    """Names and their order are those of the served lists."""
    for name, found in (("59_labels", context59.CLASSES), ("classes-33", context33.CLASSES)):
        lines = (shared / f"{FACTS}{name}.txt").read_text().split("\n")
        listed = [line.partition(": ")[2] for line in lines if line]
        assert [SAME.get(each, each) for each in listed] == list(found)


def test_the_order_of_numbers_is_that_of_the_list(tmp_path: Path) -> None:
    """Labels whose list is in another order, as alphabetical ones are, become the same classes."""
    names = sorted(context59.CLASSES)
    found = read(tmp_path, "context59_void", members("59_context_labels", range(60), numbered(names)))
    assert [context59.CLASSES[index] for index in found[1:]] == names


def test_a_palette_says_nothing(tmp_path: Path) -> None:
    """A PNG's pixels are numbers of the list, whatever colours viewers show."""
    path = tmp_path / "a.png"
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8))
    image.putpalette([200, 100, 0, 0, 100, 200, 7, 7, 7])
    image.save(path)
    files = members("59_context_labels", [0], NAMES["59_context_labels"])
    assert read(tmp_path, "context59", files | {"59_context_labels/a.png": path.read_bytes()}) == [0, 1, 2]


@pytest.mark.parametrize("form", NAMES)
@pytest.mark.parametrize("origin", ["both.tar", "folder"])
def test_an_archive_or_a_folder_of_both_is_a_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, origin: str, form: str
) -> None:
    """VOC2010 beside labels of each form gives pictures, labels, and the lists of all images."""
    bring: Callable[..., Path] = tiny.unpack if origin == "folder" else tiny.pack
    bring(tmp_path / origin, tiny.context(form=form, names=NAMES[form], prefix="top/"))
    lists = {name: {"dataset": "mine", "list": name, "expect": 3} for name in ("train", "val")}
    tiny.params(tmp_path, datasets={"mine": {"format": "context33", "from": origin}}, lists=lists)
    monkeypatch.chdir(tmp_path)
    assert main(["datasets", "mine"]) == main(["splits"]) == 0
    ids = {name: list_files.read(Path(f"data/tiny/splits/{name}.txt")) for name in lists}
    assert ids == {"train": tiny.VOC_TRAIN, "val": tiny.VOC_VAL}
    samples = Samples(Path("data/tiny/datasets/mine"), tiny.VOC_VAL)
    for image_id in samples.ids:
        found = samples.read(image_id)
        assert found.inputs["rgb"].shape == (9, 12, 3)
        assert np.array_equal(found.labels["semantic"], tiny.label(image_id, void=False))  # an object: below 21


@pytest.mark.parametrize(
    ("without", "words"),
    [
        (
            "VOCdevkit",
            "no PASCAL-Context tree in it: found labels.txt, trainval/2007_000001.mat; expected VOCdevkit/VOC2010/JP",
        ),
        ("VOCdevkit/VOC2010/ImageSets/Main/val", "VOCdevkit/VOC2010/ImageSets/Main/val.txt missing; a PASCAL-Context"),
        ("VOCdevkit/VOC2010/JPEGImages", "no VOCdevkit/VOC2010/JPEGImages/*.jpg of the labels; a PASCAL-Context tree"),
        ("trainval", "no labels in it; a PASCAL-Context tree has VOCdevkit/VOC2010/JPEGImages/*.jpg"),
        ("labels.txt", "labels.txt missing; a PASCAL-Context tree has"),
    ],
)
def test_a_tree_that_is_not_whole_is_refused(without: str, words: str) -> None:
    """Members without a part of the layout are refused by what was found and expected."""
    whole = tiny.context(names=NAMES["trainval"])
    with pytest.raises(InputError) as caught:
        context59.wanted([member for member in whole if not member.startswith(without)])
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (NAMES["trainval"].replace(b"wood", b"wool"), "it lacks 1 of the 59 classes: wood; fetch it again"),
        (b"", "it lacks 59 of the 59 classes: aeroplane, bicycle, bird, ...; fetch it again"),
        (NAMES["trainval"] + b"wool\n", "the line 'wool' is no number and name, as `1: accordion`"),
        (NAMES["trainval"] + b"60: wool\n", "a number or a name stands in it twice"),
        (NAMES["trainval"] + b"61: clothes\n", "a number or a name stands in it twice"),
        (NAMES["trainval"] + b"99999: wool\n", "the line '99999: wool' is no number and name"),
        (b"\xff\xfe\xff", "is not UTF-16 text"),
    ],
)
def test_names_that_say_nothing_are_refused(tmp_path: Path, names: bytes, words: str) -> None:
    """A list without a class, with another's name, or no list at all, is named with what was found in it."""
    with pytest.raises(InputError) as caught:
        read(tmp_path, "context59", members("trainval", [0, 1], names))
    assert str(caught.value).startswith(f"{tmp_path / 'labels.txt'}: ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("trainval/a.mat", tiny.mat_of({"LabelMap": np.full((2, 2), 61, np.uint16)}), "61..61, and allowed are 0..60"),
        ("trainval/a.mat", tiny.mat_of({"LabelMap": np.full((2, 2), 0.5)}), "float64 of shape (2, 2); expected whole"),
        ("trainval/a.mat", tiny.mat_of({"Map": np.ones((2, 2))}), "no variable LabelMap, found Map"),
        ("trainval/a.mat", b"", "its 0 bytes don't begin as a version 5 file"),
        ("59_context_labels/a.png", tiny.grey(np.full((2, 2), 60, np.uint8)), "60..60, and allowed are 0..59"),
        ("59_context_labels/a.png", tiny.jpeg(), "it should be a whole PNG of 8 bits, grey or with a palette"),
        ("59_context_labels/a.png", tiny.grey(np.ones((9, 9), np.uint8))[:-20], "it should be a whole PNG"),
    ],
)
def test_a_label_that_cannot_be_is_refused(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    """A number without a name, another array or file, or a damaged one, is named with what was found instead."""
    form = name.partition("/")[0]
    with pytest.raises(InputError) as caught:
        read(tmp_path, "context59", members(form, [0], NAMES[form]) | {name: content})
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_first_form_is_read(tmp_path: Path) -> None:
    """Where labels of two forms are there, the 459 are read, and the others are not wanted."""
    files = members("59_context_labels", [1], NAMES["59_context_labels"]) | members("trainval", [2], NAMES["trainval"])
    assert read(tmp_path, "context59_void", files) == [1]
    assert context59_void.ids({"mine": tmp_path}) == ["a"]
    assert not [name for name in context59_void.wanted(list(files)) if name.startswith("59")]
