"""NYUDv2 as the FCN authors prepared it: what it has in common with the dataset itself, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fcn.cli import main
from fcn.datasets import lists as list_files
from fcn.datasets.formats import nyud, nyud_png
from fcn.datasets.samples import Samples
from fcn.errors import InputError
from tests.data import rooms, tiny

IDS = ["5001", "5002", "5003", "5004"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset's own three files."""
    return rooms.folder(tmp_path_factory.mktemp("nyud"))


def test_both_ways_to_the_dataset_are_one(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Samples made of the .mat and of the authors' prepared folder are equal, all inputs and labels of them."""
    found = {image_id: nyud.read({"nyud": made}, image_id) for image_id in IDS}
    tiny.pack(tmp_path / "nyud.tgz", {"readme": b"", **rooms.prepared(found)})
    entries = {"mat": {"format": "nyud", "from": str(made)}, "png": {"format": "nyud_png", "from": "nyud.tgz"}}
    lists = {name: {"dataset": name, "list": "trainval", "expect": 2} for name in entries}
    tiny.params(tmp_path, datasets=entries, lists=lists)
    monkeypatch.chdir(tmp_path)
    assert [main(["datasets", name]) for name in entries] == [0, 0], capsys.readouterr().err
    assert main(["splits"]) == 0
    folders = {name: tmp_path / "data" / "tiny" / "datasets" / name for name in entries}
    samples = [Samples(folder, IDS) for folder in folders.values()]
    for image_id in IDS:
        first, second = (each.read(image_id) for each in samples)
        for name in nyud.INPUTS:
            assert first.inputs[name].dtype == second.inputs[name].dtype
            assert np.array_equal(first.inputs[name], second.inputs[name]), name
        assert np.array_equal(first.labels["semantic"], second.labels["semantic"])
    own = tmp_path / "data" / "tiny" / "lists"
    assert list_files.read_folder(own / "mat") == {"trainval": ["5002", "5004"], "test": ["5001", "5003"]}
    assert list_files.read_folder(own / "png") == {
        "train": ["5002"],
        "val": ["5004"],
        "trainval": ["5002", "5004"],
        "test": ["5003", "5001"],
    }


def test_a_torn_list_stops_no_other(tmp_path: Path) -> None:
    """Where train.txt is no text, there is no trainval, and the list test is as it was; lines may be names of files."""
    lines = b"img_5003.png\nimages/img_5001.png segmentation/img_5001.mat\n5004"
    tiny.unpack(tmp_path, {"train.txt": b"\xff\xfe5", "val.txt": b"5002", "test.txt": lines})
    found = nyud_png.lists({"nyud": tmp_path})
    assert found == {"train": tmp_path / "train.txt", "val": ["5002"], "test": ["5003", "5001", "5004"]}


def segmented(values: NDArray[Any]) -> bytes:
    return rooms.v5(segmentation=values)


@pytest.mark.parametrize(
    ("member", "content", "said"),
    [
        ("data/depth/img_5001.png", rooms.png(np.zeros((9, 12), np.uint16)), "the depth is 0 in 108 pixels, and its"),
        ("data/depth/img_5001.png", rooms.png(np.ones((9, 12), np.uint8)), "of 16 bits, and this one's mode is L"),
        ("data/depth/img_5001.png", None, "data/depth/img_5001.png: no such image; every label needs its image"),
        ("data/hha/img_5001.png", None, "data/hha/img_5001.png: no such image; every label needs its image"),
        ("segmentation/img_5001.mat", segmented(np.full((9, 12), 41)), "segmentation holds 41..41; allowed are whole"),
        ("segmentation/img_5001.mat", rooms.v5(seg=np.ones((9, 12))), "no variable segmentation, found seg"),
        ("segmentation/img_5001.mat", segmented(np.ones((9, 12, 2))), "of shape (9, 12, 2); expected H x W"),
        ("segmentation/img_5001.mat", segmented(np.ones((12, 9))), "the label has 9x12 pixels, its image"),
        ("segmentation/img_5001.mat", b"torn", "its 4 bytes don't begin as a version 5 file"),
    ],
)
def test_a_prepared_file_that_is_damaged(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    member: str,
    content: bytes | None,
    said: str,
) -> None:
    """A depth of 0 or of 8 bits, a picture that lacks, and a label that is none are each a sentence with the path."""
    members = {"train.txt": b"5001", "segmentation/img_5001.mat": segmented(np.ones((9, 12)))}
    grey = np.ones((9, 12), np.uint16)
    for image_id in ("5001", "5002"):
        members[f"data/depth/img_{image_id}.png"] = rooms.png(grey)
        members |= {
            f"data/{name}/img_{image_id}.png": rooms.png(np.ones((9, 12, 3), np.uint8)) for name in ("images", "hha")
        }
    members["segmentation/img_5002.mat"] = segmented(np.full((9, 12), 2))
    tiny.unpack(tmp_path / "nyud", {**members, **({member: content} if content else {})})
    if content is None:
        (tmp_path / "nyud" / member).unlink()
    tiny.params(tmp_path, datasets={"mine": {"format": "nyud_png", "from": "nyud"}})
    monkeypatch.chdir(tmp_path)
    assert main(["datasets", "mine"]) == 2
    shown = capsys.readouterr().err.splitlines()[-1]
    assert shown.startswith("error: dataset 'mine': 1 of 2 labels is refused: ")
    assert said in shown


def test_a_prepared_folder_without_a_kind_of_file(made: Path) -> None:
    """A folder without HHA pictures or lists is refused with what lacks and what belongs there."""
    members = rooms.prepared({image_id: nyud.read({"nyud": made}, image_id) for image_id in IDS[:2]})
    assert sorted(nyud_png.wanted(list(members))) == sorted(name for name in members if "rawdepth" not in name)
    for part, said in (
        ("/hha/", "no data/hha/img_.*png in nyud/; a prepared"),
        (".txt", "no train.txt, val.txt, train"),
    ):
        with pytest.raises(InputError, match=said):
            nyud_png.wanted([name for name in members if part not in name])
    with pytest.raises(InputError, match=r"no prepared NYUDv2 tree in it: found nyud/.*; expected train.txt, val.txt"):
        nyud_png.root([name for name in members if "segmentation" not in name])
