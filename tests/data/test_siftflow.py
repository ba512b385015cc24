"""SIFT Flow: pictures that are labelled twice, in a zip or a folder."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fcn.cli import main
from fcn.datasets import lists as list_files
from fcn.datasets.formats import siftflow
from fcn.datasets.samples import Samples
from fcn.errors import InputError
from tests.data import tiny

FACTS = "reference/data"
LABELS = {
    "semantic": f"SemanticLabels/{tiny.SCENES}/coast_a.mat",
    "geometric": f"GeoLabels/{tiny.SCENES}/coast_a.mat",
}


def read(folder: Path, spoilt: dict[str, bytes]) -> dict[str, list[list[int]]]:
    """The labels of a picture, with these files in the place of its own."""
    members = tiny.siftflow() | {LABELS[target]: content for target, content in spoilt.items()}
    found = siftflow.read({"mine": tiny.unpack(folder, members)}, "coast_a").labels
    return {target: label.tolist() for target, label in found.items()}


def test_numbers_become_classes(tmp_path: Path) -> None:
    """Semantic 1..33 and geometric 1..3 are the classes from 0 on; 0, and -1 of the geometry, are void."""
    every = np.arange(34, dtype=np.int16)[None]
    geometry = np.array([[-1, 0, 1, 2, 3]], np.int16)
    found = read(tmp_path, {"semantic": tiny.scene(every, 33), "geometric": tiny.scene(geometry, 3)})
    assert found == {"semantic": [[255, *range(33)]], "geometric": [[255, 255, 0, 1, 2]]}


def test_classes_are_those_of_the_release(shared: Path) -> None:
    """Names and their order are those of the FCN release's list, and three of them are in no test picture."""
    text = (shared / FACTS / "sift-flow_classes.txt").read_text()
    semantic, geometric = text.split("Geometric")
    listed = [[line[3:] for line in part.splitlines() if line[:2].isdigit()] for part in (semantic, geometric)]
    assert listed == [list(target.classes) for target in siftflow.TARGETS.values()]
    assert {target.average for target in siftflow.TARGETS.values()} == {"truth"}


def test_lists_are_those_of_the_release(tmp_path: Path, shared: Path) -> None:
    """From the true TestSet1.txt come the release's lists, 200 and 2,486, without what has one label alone."""
    release = {name: (shared / FACTS / f"sift-flow_{name}.txt").read_text().split() for name in ("trainval", "test")}
    both = [*release["trainval"], *release["test"]]
    alone = ["highway_bost181", "street_urb506"]
    for folder, names in (("SemanticLabels", [*both, *alone]), ("GeoLabels", both)):
        tiny.unpack(tmp_path, {f"{folder}/{tiny.SCENES}/{name}.mat": b"" for name in names})
    (tmp_path / "TestSet1.txt").write_bytes((shared / FACTS / "siftflow_TestSet1.txt").read_bytes())
    lists = siftflow.lists({"mine": tmp_path})
    found = {name: list_files.read(given) if isinstance(given, Path) else given for name, given in lists.items()}
    assert {name: len(listed) for name, listed in found.items()} == {"trainval": 2486, "test": 200}
    assert {name: set(listed) for name, listed in found.items()} == {name: set(ids) for name, ids in release.items()}


@pytest.mark.parametrize("prefix", ["", "SiftFlowDataset/"])
@pytest.mark.parametrize("origin", ["SiftFlowDataset.zip", "folder"])
def test_a_zip_or_its_folder_is_a_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, origin: str, prefix: str
) -> None:
    """Either, with a top folder or without, gives pictures, both labels and both lists."""
    bring: Callable[..., Path] = tiny.unpack if origin == "folder" else tiny.pack
    bring(tmp_path / origin, tiny.siftflow(prefix=prefix))
    lists = {name: {"dataset": "mine", "list": name, "expect": 2} for name in ("trainval", "test")}
    tiny.params(tmp_path, datasets={"mine": {"format": "siftflow", "from": origin}}, lists=lists)
    monkeypatch.chdir(tmp_path)
    assert main(["datasets", "mine"]) == main(["splits"]) == 0
    ids = {name: list_files.read(Path(f"data/tiny/splits/{name}.txt")) for name in lists}
    assert ids == {"trainval": ["coast_a", "street_b"], "test": ["coast_c", "forest_d"]}
    samples = Samples(Path("data/tiny/datasets/mine"), [*ids["trainval"], *ids["test"]])
    for image_id in samples.ids:
        found = samples.read(image_id)
        assert found.inputs["rgb"].shape == (9, 12, 3)
        for target, numbers in (("semantic", tiny.semantic), ("geometric", tiny.geometric)):
            expected = np.maximum(numbers(image_id), 0) - 1
            assert np.array_equal(found.labels[target], expected.astype(np.uint8)), target


@pytest.mark.parametrize(
    ("without", "words"),
    [
        ("SemanticLabels", f"no SIFT Flow tree in it: found GeoLabels/{tiny.SCENES}/"),
        ("GeoLabels", f"no GeoLabels/{tiny.SCENES}/*.mat of the semantic labels; a SIFT Flow tree has"),
        ("Images", f"no Images/{tiny.SCENES}/*.jpg of the labels; a SIFT Flow tree has"),
        ("TestSet1.txt", "TestSet1.txt missing; a SIFT Flow tree has"),
    ],
)
def test_a_tree_that_is_not_whole_is_refused(without: str, words: str) -> None:
    """Members without a part of SIFT Flow's layout are refused by what was found and expected."""
    with pytest.raises(InputError) as caught:
        siftflow.wanted([member for member in tiny.siftflow() if not member.startswith(without)])
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("spoilt", "words"),
    [
        ({"semantic": tiny.scene(np.full((2, 2), 34, np.int16), 33)}, "values are 34..34, and allowed are 0..33"),
        ({"semantic": tiny.scene(np.full((2, 2), -1, np.int16), 33)}, "values are -1..-1, and allowed are 0..33"),
        ({"geometric": tiny.scene(np.full((2, 2), 4, np.int16), 3)}, "values are 4..4, and allowed are -1..3"),
        ({"geometric": tiny.mat_of({"names": "sky"})}, "no variable S, found names"),
        (
            {"geometric": tiny.mat_of({"S": np.full((2, 2), 0.5)})},
            "S is float64 of shape (2, 2); expected whole numbers",
        ),
        ({"semantic": tiny.mat_of({"S": np.ones((2, 2, 2), np.int16)})}, "S is int16 of shape (2, 2, 2); expected"),
        ({"semantic": b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM"}, "of version 7.3, where one of version 5"),
        ({"semantic": tiny.siftflow()[LABELS["semantic"]][:-9]}, "damaged or cut off"),
    ],
)
def test_a_label_that_cannot_be_is_refused(tmp_path: Path, spoilt: dict[str, bytes], words: str) -> None:
    """A number that is no class, another array or file, or a damaged one, is named with what was found instead."""
    with pytest.raises(InputError) as caught:
        read(tmp_path, spoilt)
    assert str(caught.value).startswith(str(tmp_path / LABELS[next(iter(spoilt))]))
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


def test_labels_of_two_sizes_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A label of another size than its picture is named with its target; the others' are not at fault."""
    tiny.unpack(tmp_path / "mine", tiny.siftflow() | {LABELS["geometric"]: tiny.scene(np.ones((4, 4), np.int16), 3)})
    tiny.params(tmp_path, datasets={"mine": {"format": "siftflow", "from": "mine"}})
    monkeypatch.chdir(tmp_path)
    assert main(["datasets", "mine"]) == 2
    assert "1 of 4 labels is refused: coast_a, geometric: the label has 4x4 pixels" in capsys.readouterr().err
