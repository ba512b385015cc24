"""The registry of datasets: a format is a file in its folder, and a new one needs nothing else."""

import json
import os
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter

from fcn.cli import main
from fcn.datasets import formats
from fcn.datasets import lists as list_files
from fcn.datasets.formats import Original, voc
from fcn.datasets.labels import palette
from fcn.entries import Dataset
from fcn.errors import InputError
from tests import forked
from tests.data import tiny

Form = Literal["NFC", "NFD"]

# As NYUDv2 comes: all pictures, depths and labels as arrays in one file. Two inputs, two targets, no own lists.
NEW = '''
"""Rooms: pictures with depths in one HDF5 file, labelled twice."""

import h5py
import numpy as np

from fcn.datasets.facts import Target
from fcn.datasets.formats import Original, voc
from fcn.errors import InputError

INPUTS = {"rgb": 3, "depth": 1}
TARGETS = {
    "semantic": Target(classes=("wall", "floor", "chair"), background=None, average="truth"),
    "geometric": Target(classes=("flat", "upright"), background=0, average="seen", palette=((9, 8, 7), (6, 5, 4))),
}


def root(members):
    return ""


def wanted(members):
    if "rooms.mat" not in members:
        raise InputError(f"no rooms.mat in it: found {members}")
    return ["rooms.mat"]


def lists(folders):
    return {"all": ids(folders)}


def ids(folders):
    with h5py.File(_file(folders)) as file:
        return [f"room{number}" for number in range(len(file["images"]))]


def _file(folders):
    (folder,) = folders.values()
    return folder / "rooms.mat"


def read(folders, image_id):
    with h5py.File(_file(folders)) as file:
        number = int(image_id.removeprefix("room"))
        return Original(
            inputs={"rgb": file["images"][number], "depth": file["depths"][number]},
            labels={name: file[name][number] for name in TARGETS},
        )
'''


def test_every_format_offers_what_is_asked_of_it() -> None:
    """Each module of the folder, or what it makes of an entry, has inputs, targets and the five functions."""
    assert {"context33", "context59", "folder", "nyud", "nyud_png", "sbd", "siftflow", "voc"} <= set(formats.names())
    for name in formats.names():
        words = {"classes": ["road", "sky"]} if name == "folder" else {}
        found = formats.reader(TypeAdapter(Dataset).validate_python({"format": name, "from": "mine", **words}))
        assert found.INPUTS["rgb"] == 3
        assert all(target.classes for target in found.TARGETS.values())
        for function in ("root", "wanted", "lists", "ids", "read"):
            assert callable(getattr(found, function))


def test_an_unknown_format_is_refused() -> None:
    """An unknown name is refused with those there are."""
    with pytest.raises(InputError, match=r"dataset format 'coco' is unknown; there are .*sbd.*, voc"):
        formats.load("coco")


@pytest.mark.parametrize(
    ("count", "first", "background"), [(2, "background", 0), (21, "road", None), (255, "Background", 0)]
)
def test_a_dataset_names_its_own_classes(count: int, first: str, background: int | None) -> None:
    """Own names, fewer or more than the format's, have VOC's colours; background is what is called so."""
    classes = [first, *(f"class {number}" for number in range(1, count))]
    entry = TypeAdapter(Dataset).validate_python({"format": "sbd", "from": "mine", "classes": classes})
    (target,) = formats.targets(entry).values()
    assert (list(target.classes), target.background, target.average) == (classes, background, "seen")
    assert target.palette == tuple(map(tuple, palette()[:count].tolist()))


@pytest.mark.parametrize("name", ["voc", "sbd"])
def test_a_format_reads_pictures_as_files_and_labels_as_indices(tmp_path: Path, name: str) -> None:
    """Of VOC and SBD a picture is the file that it comes in, and its label the class indices."""
    members = {"voc": tiny.voc, "sbd": tiny.sbd}[name](prefix="")
    folders = {name: tiny.unpack(tmp_path, members)}
    found = formats.load(name)
    train = found.lists(folders)["train"]
    assert isinstance(train, Path)
    assert list_files.read(train) == {"voc": tiny.VOC_TRAIN, "sbd": tiny.SBD_TRAIN}[name]
    for image_id in found.ids(folders):
        original: Original = found.read(folders, image_id)
        picture = original.inputs["rgb"]
        assert isinstance(picture, Path)
        assert picture.read_bytes() == tiny.jpeg()
        assert np.array_equal(original.labels["semantic"], tiny.label(image_id, void=name == "voc"))


@pytest.mark.parametrize("picture", ["JPEGImages/my cat.JPG", "JPEGImages/my cat.jpeg", "JPEGImages/my cat.png"])
def test_pictures_and_names_as_people_have_them(tmp_path: Path, picture: str) -> None:
    """A picture may be a .jpg, .jpeg or .png, in capitals too, its name have blanks, and macOS have left its own."""
    members = {
        "ImageSets/Segmentation/train.txt": b"my cat\n",
        picture: tiny.jpeg(),
        "JPEGImages/._my cat.jpg": b"",
        "SegmentationClass/my cat.PNG": tiny.png(tiny.label("a", void=True)),
        "SegmentationClass/._my cat.png": b"",
    }
    folders = {"mine": tiny.unpack(tmp_path, members)}
    assert sorted(voc.wanted(list(members))) == sorted(name for name in members if "._" not in name)
    assert voc.ids(folders) == ["my cat"]
    assert voc.read(folders, "my cat").inputs["rgb"] == tmp_path / picture


@pytest.mark.parametrize("listed", ["NFC", "NFD"])
@pytest.mark.parametrize("format_", ["voc", "sbd"])
def test_a_letter_of_two_signs_is_one_letter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format_: str, listed: Form
) -> None:
    """Names with é as macOS writes it are the ids of lists that have it otherwise, and the other way round."""
    named: Form = "NFD" if listed == "NFC" else "NFC"
    members = {"voc": tiny.voc, "sbd": tiny.sbd}[format_](["caf\xe9"], ["th\xe9"], prefix="")
    files = {unicodedata.normalize(named, name): content for name, content in members.items()}
    for name in (name for name in files if name.endswith(".txt")):
        files[name] = unicodedata.normalize(listed, files[name].decode()).encode()
    tiny.unpack(tmp_path / "mine", files)
    lists = {"mine": {"dataset": "mine", "list": "train", "expect": 1}}
    tiny.params(tmp_path, datasets={"mine": {"format": format_, "from": "mine"}}, lists=lists)
    monkeypatch.chdir(tmp_path)
    assert main(["datasets", "mine"]) == main(["splits"]) == 0
    (image_id,) = list_files.read(Path("data/tiny/splits/mine.txt"))
    assert image_id == "caf\xe9"
    assert Path(f"data/tiny/datasets/mine/rgb/{image_id}.jpg").is_file()


def test_two_pictures_of_one_label_are_refused() -> None:
    """Where it can't be known which picture a label belongs to, both are named; others don't count."""
    members = [*tiny.voc(prefix=""), "JPEGImages/2007_000001.png", "JPEGImages/2007_999999.JPG"]
    with pytest.raises(InputError, match=r"JPEGImages/2007_000001.jpg and JPEGImages/2007_000001.png are both there"):
        voc.wanted(members)


@pytest.mark.parametrize("origin", ["rooms.mat", "rooms.tgz", "folder"])
def test_a_new_dataset_is_one_file(tmp_path: Path, repository: Path, origin: str) -> None:
    """A module in the folder and a line in params.yaml make a dataset of two inputs, two targets, own colours."""
    h5py = pytest.importorskip("h5py")
    shutil.copytree(repository / "fcn", tmp_path / "fcn", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "fcn" / "datasets" / "formats" / "rooms.py").write_text(NEW.lstrip())
    random = np.random.default_rng(0)
    with h5py.File(tmp_path / "rooms.mat", "w") as file:
        file["images"] = random.integers(0, 256, (3, 9, 12, 3), np.uint8)
        file["depths"] = random.random((3, 9, 12, 1), np.float32)
        file["semantic"] = random.integers(0, 3, (3, 9, 12), np.uint8)
        file["geometric"] = random.integers(0, 2, (3, 9, 12), np.uint8)
        written = {name: file[name][:] for name in file}
    if origin != "rooms.mat":
        members = {"README": b"", "rooms.mat": (tmp_path / "rooms.mat").read_bytes()}
        (tmp_path / "rooms.mat").unlink()
        if origin == "folder":
            tiny.unpack(tmp_path / origin, members)
        else:
            tiny.pack(tmp_path / origin, members)
    lists = {"two": {"dataset": "mine", "list": "all", "expect": 3}}
    tiny.params(tmp_path, datasets={"mine": {"format": "rooms", "from": origin}}, lists=lists)
    for command in (["datasets", "mine"], ["splits"]):
        done = forked.run(command, tmp_path, os.environ)
        assert done.returncode == 0, done.stderr
    read = (
        "import numpy as np\n"
        "from pathlib import Path\n"
        "from fcn.datasets.samples import Samples\n"
        "samples = Samples(Path('data/tiny/datasets/mine'), Path('data/tiny/splits/two.txt').read_text().split())\n"
        "read = [samples.read(image_id) for image_id in samples.ids]\n"
        "keep = {'images': [s.inputs['rgb'] for s in read], 'depths': [s.inputs['depth'] for s in read]}\n"
        "keep |= {name: [s.labels[name] for s in read] for name in ('semantic', 'geometric')}\n"
        "np.savez('read.npz', **keep)\n"
    )
    subprocess.run([sys.executable, "-c", read], cwd=tmp_path, check=True)
    with np.load(tmp_path / "read.npz") as found:
        for name, values in written.items():
            assert np.array_equal(found[name], values), name
    folder = tmp_path / "data" / "tiny" / "datasets" / "mine"
    facts = json.loads((folder / "dataset.json").read_text())
    assert facts["inputs"] == {"rgb": 3, "depth": 1}
    assert facts["targets"]["geometric"]["palette"] == [[9, 8, 7], [6, 5, 4]]
    with Image.open(folder / "geometric" / "room0.png") as image:
        assert (image.getpalette() or [])[:6] == [9, 8, 7, 6, 5, 4]
    audit = json.loads((tmp_path / "data" / "tiny" / "audit" / "mine.json").read_text())
    assert list(audit["class_share"]) == ["wall", "floor", "chair"]
    assert list(audit["geometric"]["class_share"]) == ["flat", "upright"]
    tiny.params(tmp_path, datasets={"mine": {"format": "rooms", "from": origin, "classes": ["a", "b"]}}, lists=lists)
    done = forked.run(["datasets", "mine"], tmp_path, os.environ)
    assert "format 'rooms' has semantic and geometric, each with classes of its own; leave out `classes`" in done.stderr


def test_a_link_to_a_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pictures behind a link to their folder, into which nobody looks, are not called missing without a word of it."""
    mine = tiny.unpack(tmp_path / "mine", tiny.voc(prefix=""))
    (mine / "JPEGImages").rename(tmp_path / "elsewhere")
    (mine / "JPEGImages").symlink_to(tmp_path / "elsewhere")
    tiny.params(tmp_path, datasets={"mine": {"format": "voc", "from": "mine"}})
    monkeypatch.chdir(tmp_path)
    assert main(["datasets", "mine"]) == 2
    said = capsys.readouterr().err
    assert "error: mine: no JPEGImages/*.jpg of the masks" in said
    assert "not followed are links to folders, such as JPEGImages: link the files" in said
