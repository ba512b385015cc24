"""NYUDv2: the true files there are, stand-ins in the true formats read back, and each sort of bad file one sentence."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
from numpy.typing import NDArray

from fcn.cli import main
from fcn.datasets import labels, mat73
from fcn.datasets import lists as list_files
from fcn.datasets.formats import nyud
from fcn.datasets.hha import hha
from fcn.errors import InputError
from tests.data import rooms, tiny

ROWS, COLUMNS = slice(12, 117), slice(10, 150)  # of pictures that are smaller by 4, and 45..470 and 40..600 by 4
IDS = ["5001", "5002", "5003", "5004"]
Arrays = dict[str, NDArray[Any]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three files."""
    return rooms.folder(tmp_path_factory.mktemp("nyud"))


@pytest.fixture
def data(shared: Path) -> Path:
    """The true split, map and lists."""
    folder = shared / "reference" / "data"
    if not folder.is_dir():
        pytest.skip("needs the true lists and maps in ../shared/reference/data, which are not part of the project")
    return folder


def test_the_stand_in_is_a_file_of_that_version(made: Path) -> None:
    """MATLAB's own marks stand before it, names are behind references, and the last axis is MATLAB's first."""
    path = made / "nyu_depth_v2_labeled.mat"
    assert scipy.io.matlab.matfile_version(str(path)) == (2, 0)
    with h5py.File(path) as file:
        assert file["images"].shape == (4, 3, 160, 120)
        assert file["depths"].attrs["MATLAB_class"] == b"single"
        letters = file[file["names"][0, 893]][:]
        assert "".join(map(chr, letters.ravel())) == "name 894"


def test_a_picture_is_read_as_matlab_shows_it(made: Path) -> None:
    """Colour, depth in mm, HHA and label are the arrays' own, without the border, each class one less, 0 void."""
    arrays = rooms.arrays()
    folders = {"nyud": made}
    assert nyud.ids(folders) == IDS
    assert nyud.lists(folders) == {"trainval": ["5002", "5004"], "test": ["5001", "5003"]}
    camera = nyud.CAMERA.shrunk(4).cropped(ROWS, COLUMNS)
    for at, image_id in enumerate(IDS):
        original = nyud.read(folders, image_id)
        inputs: Any = original.inputs
        assert np.array_equal(inputs["rgb"], arrays["images"][ROWS, COLUMNS, :, at])
        millimetres = np.round(arrays["depths"][ROWS, COLUMNS, at].astype(np.float64) * 1000)
        assert np.abs(inputs["depth"][:, :, 0] - millimetres).max() <= 1
        assert inputs["depth"].dtype == np.uint16
        missing = arrays["rawDepths"][ROWS, COLUMNS, at] == 0
        assert np.array_equal(inputs["hha"], hha(inputs["depth"][:, :, 0] / 1000, missing=missing, camera=camera))
        raw = arrays["labels"][ROWS, COLUMNS, at].astype(int)
        assert np.array_equal(original.labels["semantic"], np.where(raw == 0, labels.VOID, raw - 1))


def test_millimetres_are_matlabs(tmp_path: Path) -> None:
    """Half a millimetre goes up, 70 m are 65.535 m; of raw depth no number is missing."""
    arrays = rooms.arrays()
    arrays["depths"][12, 10:13, 0] = [1.0625, 0.99951, 70]
    arrays["rawDepths"][20, 20, 0] = np.nan
    depth: Any = nyud.read({"nyud": rooms.folder(tmp_path, arrays)}, "5001").inputs["depth"]
    assert depth[0, :3, 0].tolist() == [1063, 1000, 65535]


def test_a_picture_of_the_true_size(tmp_path: Path) -> None:
    """Of 480 x 640 pixels 425 x 560 are left: rows 46 to 470, columns 41 to 600, counted from 1."""
    arrays = rooms.arrays(times=1)
    inputs: Any = nyud.read({"nyud": rooms.folder(tmp_path, arrays)}, "5002").inputs
    assert [each.shape for each in inputs.values()] == [(425, 560, 3), (425, 560, 1), (425, 560, 3)]
    assert np.array_equal(inputs["rgb"], arrays["images"][45:470, 40:600, :, 1])


def test_the_true_split_is_the_authors(data: Path) -> None:
    """splits.mat has 795 and 654 pictures, each in one list; they are the ids of the FCN authors' three lists."""
    named = {
        variable: nyud.numbers_in(data / "splits.mat", variable, among=range(1, 1450)).ravel().tolist()
        for variable in ("trainNdxs", "testNdxs")
    }
    assert {name: len(numbers) for name, numbers in named.items()} == {"trainNdxs": 795, "testNdxs": 654}
    assert sorted(named["trainNdxs"] + named["testNdxs"]) == list(range(1, 1450))
    ids = {name: list_files.read(data / f"nyud_{name}.txt") for name in ("train", "val", "test")}
    assert {name: len(each) for name, each in ids.items()} == {"train": 381, "val": 414, "test": 654}
    assert {int(image_id) - 5000 for image_id in ids["train"] + ids["val"]} == set(named["trainNdxs"])
    assert {int(image_id) - 5000 for image_id in ids["test"]} == set(named["testNdxs"])


def test_the_true_map_has_40_classes(data: Path) -> None:
    """classMapping40.mat maps 894 names to 40 classes, 37 of which are a name each, under the names that are ours."""
    mapped = nyud.numbers_in(data / "classMapping40.mat", "mapClass", among=range(1, 41)).ravel()
    counts = np.bincount(mapped, minlength=41)[1:].tolist()
    assert counts == [1] * 37 + [68, 82, 707]
    assert mapped[:12].tolist() == [40, 40, 3, 22, 5, 40, 12, 38, 40, 40, 2, 39]
    names = scipy.io.loadmat(data / "classMapping40.mat", variable_names=["className"])["className"][0]
    assert tuple(str(name.item()) for name in names) == nyud.CLASSES


@pytest.mark.parametrize("name", ["nyu_depth_v2_labeled.mat", "splits.mat", "classMapping40.mat"])
def test_a_missing_file_is_named(made: Path, name: str) -> None:
    """Each of the three files that isn't there is named, with all three."""
    members = [f"nyud/{each}" for each in sorted(path.name for path in made.iterdir()) if each != name]
    said = r"expected nyu_depth.* and splits.mat and" if name.startswith("nyu") else f"nyud/{name} missing; give the"
    with pytest.raises(InputError, match=said):
        nyud.wanted(members)


def without(name: str) -> Callable[[Arrays], None]:
    def change(arrays: Arrays) -> None:
        del arrays[name]

    return change


def changed(name: str, value: Callable[[NDArray[Any]], NDArray[Any]]) -> Callable[[Arrays], None]:
    def change(arrays: Arrays) -> None:
        arrays[name] = value(arrays[name])

    return change


def put(name: str, value: float) -> Callable[[Arrays], None]:
    def change(arrays: Arrays) -> None:
        arrays[name][50, 60, 0] = value

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without("rawDepths"), "no variable rawDepths, found depths, images, labels, names"),
        (
            changed("depths", lambda each: each.astype(float)),
            "depths is float64 of shape 120 x 160 x 4; expected float32 of 120 x 160 x 1",
        ),
        (changed("labels", lambda each: each[:, 1:]), "labels is uint16 of shape 120 x 159 x 4; expected uint16 of"),
        (changed("labels", lambda each: each[:, :, 1:]), None),
        (changed("images", lambda each: each[:100]), "images have 100 rows and 160 columns, for which no camera is"),
        (
            changed("images", lambda each: each[0, 0]),
            "images is uint8 of shape 3 x 4; expected uint8 of 3 x 4 x 3 x 1 or more",
        ),
        (changed("images", lambda each: each[0, 0, 0]), "images is no array of pictures, but uint8 4"),
        (put("depths", 0), "depths of picture 5001: the depth is 0, negative or no number in 1 of its 14,700 pixels"),
        (put("depths", np.nan), "depths of picture 5001: the depth is 0, negative or no number in 1 of"),
        (put("labels", 895), "it maps 894 names, but labels of picture 5001 have the name 895"),
    ],
)
def test_a_mat_that_is_none_of_nyud(tmp_path: Path, change: Callable[[Arrays], None], said: str | None) -> None:
    """A variable that lacks, is of another type or shape, a depth of 0 and an unmapped name are each a sentence."""
    arrays = rooms.arrays()
    change(arrays)
    folders = {"nyud": rooms.folder(tmp_path, arrays)}
    image_id = "5001" if said else "5004"
    with pytest.raises(InputError, match=said or "labels is uint16 of shape 120 x 160 x 3; expected .* x 4 or more"):
        nyud.read(folders, image_id)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda whole: rooms.v5(images=np.zeros((2, 2))), "a version 5 .mat, where one of version 7.3 is expected"),
        (
            lambda whole: whole[: len(whole) // 2],
            "images can't be read from it as HDF5, which a .mat of version 7.3 is",
        ),
        (lambda whole: b"", "images can't be read from it as HDF5"),
        (lambda whole: b"<html>Please log in</html>", "images can't be read from it as HDF5"),
    ],
    ids=["version 5", "cut off", "empty", "a page"],
)
def test_a_file_that_is_no_such_mat(tmp_path: Path, made: Path, content: Callable[[bytes], bytes], said: str) -> None:
    """A version 5 file, a torn one, and a page from a server are called what they are."""
    path = tmp_path / "nyu_depth_v2_labeled.mat"
    path.write_bytes(content((made / path.name).read_bytes()))
    with pytest.raises(InputError, match=f"{path}: {said}"):
        nyud.ids({"nyud": tmp_path})


def test_what_a_file_says_that_it_holds_is_no_reason_to_ask_for_memory(tmp_path: Path) -> None:
    """Pieces of a terabyte, or as many pictures, as small files can name, are refused; so is what lies elsewhere."""
    path = tmp_path / "a.mat"
    with h5py.File(path, "w") as file:
        file.create_dataset("large", (4, 1 << 20, 1 << 20), np.uint8, chunks=(1, 1 << 15, 1 << 14))
        file.create_dataset("many", (1 << 40, 4), np.uint8, chunks=(1, 4))
        file.create_dataset("elsewhere", (4, 4), np.uint8, external=[(str(path), 0, 16)])
        file["away"] = h5py.ExternalLink(str(tmp_path / "b.mat"), "away")
    with h5py.File(tmp_path / "b.mat", "w") as file:
        file.create_dataset("away", (4, 4), np.uint8)
    for name in ("large", "many", "elsewhere"):
        with pytest.raises(InputError, match=f"{name} is no array of pictures, but uint8"):
            mat73.shape(path, name)
    with pytest.raises(InputError, match="no variable away"):
        mat73.shape(path, "away")


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        ("nyud/nyu_depth_v2_labeled.mat", "nyud/nyu_depth_v2_labeled.mat: splits.mat and classMapping40.mat missing; "),
        ("nyud", "4 of 4 labels are refused: nyud/classMapping40.mat: its 0 bytes don't begin as a version 5 file, "),
    ],
)
def test_one_sentence_for_one_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], origin: str, said: str
) -> None:
    """The .mat alone is no whole dataset, and no archive; what is wrong with all pictures is said once."""
    (tmp_path / "nyud").mkdir()
    (rooms.folder(tmp_path / "nyud") / "classMapping40.mat").write_bytes(b"")
    tiny.params(tmp_path, datasets={"mine": {"format": "nyud", "from": origin}})
    monkeypatch.chdir(tmp_path)
    assert main(["datasets", "mine"]) == 2
    assert capsys.readouterr().err.count(said) == 1


def test_what_is_no_array_is_called_so(tmp_path: Path) -> None:
    """A struct and an empty variable are there, but no array of pictures."""
    path = tmp_path / "a.mat"
    with h5py.File(path, "w") as file:
        file.create_group("struct")
        file["empty"] = h5py.Empty("f4")
    for name in ("struct", "empty"):
        with pytest.raises(InputError, match=f"{name} is no array of pictures, but a struct, or empty"):
            mat73.shape(path, name)


@pytest.mark.parametrize(
    ("split", "said"),
    [
        ({"trainNdxs": [1, 5], "testNdxs": [2]}, "trainNdxs holds 1..5; allowed are whole numbers 1..4"),
        ({"trainNdxs": [1, 2], "testNdxs": [0]}, "testNdxs holds 0..0; allowed are whole numbers 1..4"),
        ({"trainNdxs": [1.5], "testNdxs": [2]}, "trainNdxs holds 1.5..1.5; allowed are whole numbers 1..4"),
        ({"trainNdxs": [], "testNdxs": [2]}, "trainNdxs holds nothing; allowed are"),
        ({"trainNdxs": [1, 2], "testNdxs": [2]}, "1 pictures are in both lists, such as 2"),
        ({"trainNdxs": [1, 2]}, "no variable testNdxs, found trainNdxs; fetch it again"),
    ],
)
def test_a_split_of_other_pictures(tmp_path: Path, made: Path, split: dict[str, list[float]], said: str) -> None:
    """A split with numbers of no picture, with one in both lists, or without a list is a sentence."""
    for name in ("nyu_depth_v2_labeled.mat", "classMapping40.mat"):
        (tmp_path / name).symlink_to(made / name)
    content = rooms.v5(**{name: np.array(numbers, np.float64) for name, numbers in split.items()})
    (tmp_path / "splits.mat").write_bytes(content)
    with pytest.raises(InputError, match=f"splits.mat: {said}"):
        nyud.lists({"nyud": tmp_path})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.arange(41.0), "mapClass holds 0..40; allowed are whole numbers 1..40"),
        (np.full(894, np.nan), "mapClass holds nan..nan; allowed"),
        (
            np.arange(1.0, 12),
            "it maps 11 names, but labels of picture 5001 have the name 22; fetch the map of the whole",
        ),
    ],
)
def test_a_map_that_lacks_a_name(tmp_path: Path, made: Path, values: NDArray[Any], said: str) -> None:
    """A map to other classes than the 40, or of fewer names than the labels have, is a sentence."""
    for name in ("nyu_depth_v2_labeled.mat", "splits.mat"):
        (tmp_path / name).symlink_to(made / name)
    (tmp_path / "classMapping40.mat").write_bytes(rooms.v5(mapClass=values))
    with pytest.raises(InputError, match=f"classMapping40.mat: {said}"):
        nyud.read({"nyud": tmp_path}, "5001")
