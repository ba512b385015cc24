"""The sample's archives: VOC's and SBD's own formats, their overlap, and the same bytes every time."""

import dataclasses
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import scipy.sparse
from numpy.typing import NDArray
from PIL import Image

from fcn.cli import main
from fcn.datasets.sample import standins
from fcn.datasets.sample.scenes import scene
from fcn.datasets.sample.standins.voc import roster
from fcn.entries import Archive, Scenes
from fcn.errors import InputError
from tests.data import tiny

SCENES = Scenes(sbd_train=9, voc_train=3, voc_val=6, leaked=2)
SEED = 4
VOC = "VOCdevkit/VOC2012"
SBD = "benchmark_RELEASE/dataset"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with voc.tar and sbd.tgz."""
    folder = tmp_path_factory.mktemp("sample")
    write("voc", folder)
    write("sbd", folder)
    return folder


def write(name: str, folder: Path, *, seed: int = SEED, scenes: Scenes = SCENES) -> None:
    """Write voc.tar or sbd.tgz."""
    file = {"voc": "voc.tar", "sbd": "sbd.tgz"}[name]
    entry = Archive(kind="sample", format=name, file=file, scenes=scenes, seed=seed)
    assert standins.load(entry, where="a").write(folder, entry) == [file]


@pytest.fixture(scope="module")
def voc(folder: Path) -> dict[str, bytes]:
    """The VOC archive's files by name."""
    return _files(folder / "voc.tar", mode="r:")


@pytest.fixture(scope="module")
def sbd(folder: Path) -> dict[str, bytes]:
    """The SBD archive's files by name."""
    return _files(folder / "sbd.tgz", mode="r:gz")


def _files(path: Path, *, mode: str) -> dict[str, bytes]:
    files = {}
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]  # typeshed lists modes one by one
        for member in tar:
            if member.isfile():
                content = tar.extractfile(member)
                assert content is not None
                files[member.name] = content.read()
    return files


def _ids(files: dict[str, bytes], name: str) -> list[str]:
    text = files[name].decode()
    assert text.endswith("\n")
    return text.splitlines()


def _pixels(content: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(content)))


def _gtcls(content: bytes) -> Any:
    """The struct, as scipy's array of one record."""
    file: Any = io.BytesIO(content)  # scipy takes open files, its stubs only know names
    return scipy.io.loadmat(file)["GTcls"]


def test_the_same_arguments_give_the_same_bytes_in_another_process(folder: Path, tmp_path: Path) -> None:
    """Both archives are byte-equal when another process, with another hash seed, zone and day, writes them."""
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "time.time = lambda: 1.0e9\n"
        "from fcn.datasets.sample.standins import sbd, voc\n"
        "from fcn.entries import Archive, Scenes\n"
        f"shared = dict(kind='sample', scenes={SCENES!r}, seed={SEED})\n"
        "voc.write(Path(sys.argv[1]), Archive(file='voc.tar', **shared))\n"
        "sbd.write(Path(sys.argv[1]), Archive(file='sbd.tgz', **shared))\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, env=environment)
    for name in ("voc.tar", "sbd.tgz"):
        assert _digest(tmp_path / name) == _digest(folder / name), name


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_they_become_datasets_and_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The archives stage makes them, and they become datasets that say that they are generated, and lists."""
    archives = {
        name: {"kind": "sample", "format": name, "file": file, "scenes": dataclasses.asdict(SCENES), "seed": 3}
        for name, file in (("voc", "v.tar"), ("sbd", "s.tgz"))
    }
    datasets = {name: {"format": name, "from": f"data/tiny/archives/{name}/"} for name in archives}
    lists = {
        "sbd-train": {"dataset": "sbd", "list": "train", "expect": SCENES.sbd_train},
        "rest": {"dataset": "voc", "list": "val", "minus": "sbd-train", "expect": SCENES.voc_val - SCENES.leaked},
    }
    tiny.params(tmp_path, archives=archives, datasets=datasets, lists=lists, disjoint=[["sbd-train", "rest"]])
    monkeypatch.chdir(tmp_path)
    for command in [*([stage, name] for stage in ("archives", "datasets") for name in archives), ["splits"]]:
        assert main(command) == 0
    data = tmp_path / "data" / "tiny"
    assert tiny.tree(data / "splits") == ["rest.txt", "sbd-train.txt"]
    for name in archives:
        assert json.loads((data / "datasets" / name / "dataset.json").read_text())["generated"] is True
    manifest = json.loads((data / "archives" / "voc" / "manifest.json").read_text())
    content = (data / "archives" / "voc" / "v.tar").read_bytes()
    assert manifest == {
        "archive": "voc",
        "kind": "sample",
        "file": "v.tar",
        "content": {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()},
    }


def test_another_seed_gives_another_archive(folder: Path, tmp_path: Path) -> None:
    """The seed reaches the pictures."""
    write("voc", tmp_path, seed=SEED + 1)
    assert _digest(tmp_path / "voc.tar") != _digest(folder / "voc.tar")


def test_nothing_but_the_archives_is_left(folder: Path) -> None:
    """The temporary sibling is gone when an archive has its name."""
    assert sorted(path.name for path in folder.iterdir()) == ["sbd.tgz", "voc.tar"]


def test_headers_tell_nothing_of_this_machine(folder: Path) -> None:
    """Members carry no time, owner or group, and folders come before what they hold."""
    for name in ("voc.tar", "sbd.tgz"):
        seen = {""}
        with tarfile.open(folder / name) as tar:
            for member in tar:
                assert (member.mtime, member.uid, member.gid, member.uname, member.gname) == (0, 0, 0, "", "")
                assert str(Path(member.name).parent).removeprefix(".") in seen
                if member.isdir():
                    seen.add(member.name)
    assert (folder / "sbd.tgz").read_bytes()[4:8] == bytes(4)  # gzip's own time stamp


def test_voc_layout(voc: dict[str, bytes]) -> None:
    """Lists, JPEGs and palette PNGs lie where VOC has them, one of each for every id of trainval."""
    lists = {name: _ids(voc, f"{VOC}/ImageSets/Segmentation/{name}.txt") for name in ("train", "val", "trainval")}
    assert len(lists["train"]) == SCENES.voc_train
    assert len(lists["val"]) == SCENES.voc_val
    assert lists["trainval"] == sorted(lists["train"] + lists["val"])
    expected = {f"{VOC}/ImageSets/Segmentation/{name}.txt" for name in lists}
    for name in lists["trainval"]:
        expected |= {f"{VOC}/JPEGImages/{name}.jpg"}
        expected |= {f"{VOC}/SegmentationClass/{name}.png", f"{VOC}/SegmentationObject/{name}.png"}
    assert set(voc) == expected


def test_voc_labels_are_palette_pngs(voc: dict[str, bytes]) -> None:
    """Mode P, VOC's colours, indices 0..20 and 255, the size of the JPEG."""
    for name, content in voc.items():
        if "SegmentationClass" not in name:
            continue
        label = Image.open(io.BytesIO(content))
        palette = label.getpalette()
        assert label.mode == "P"
        assert palette is not None
        assert palette[:15] == [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0, 0, 0, 128]
        assert palette[3 * 20 : 3 * 21] == [0, 64, 128]  # tvmonitor
        assert palette[-3:] == [224, 224, 192]  # void
        assert set(np.unique(np.asarray(label)).tolist()) <= {*range(21), 255}
        photo = Image.open(io.BytesIO(voc[name.replace("SegmentationClass", "JPEGImages").replace(".png", ".jpg")]))
        assert (photo.format, photo.mode, photo.size) == ("JPEG", "RGB", label.size)


def test_voc_objects_agree_with_classes(voc: dict[str, bytes]) -> None:
    """SegmentationObject has void and background where SegmentationClass has, and one class an object."""
    for name in _ids(voc, f"{VOC}/ImageSets/Segmentation/trainval.txt"):
        classes = _pixels(voc[f"{VOC}/SegmentationClass/{name}.png"])
        objects = _pixels(voc[f"{VOC}/SegmentationObject/{name}.png"])
        for value in (0, 255):
            assert np.array_equal(classes == value, objects == value)
        assert all(len(np.unique(classes[objects == value])) == 1 for value in np.unique(objects))


def test_sbd_layout(sbd: dict[str, bytes]) -> None:
    """Lists, JPEGs and .mat files lie where SBD has them, one of each for every id, train and val apart."""
    train, val = (_ids(sbd, f"{SBD}/{name}.txt") for name in ("train", "val"))
    assert len(train) == SCENES.sbd_train
    assert len(val) == SCENES.voc_val - SCENES.leaked
    assert not set(train) & set(val)
    expected = {f"{SBD}/train.txt", f"{SBD}/val.txt"}
    for name in train + val:
        expected |= {f"{SBD}/img/{name}.jpg", f"{SBD}/cls/{name}.mat"}
    assert set(sbd) == expected


def test_sbd_labels_are_gtcls_structs(sbd: dict[str, bytes]) -> None:
    """GTcls holds a uint8 mask without void, a sparse boundary for each of 20 classes, and the classes present."""
    for name, content in sbd.items():
        if not name.endswith(".mat"):
            continue
        struct = _gtcls(content)
        assert struct.shape == (1, 1)
        mask, boundaries = struct[0, 0]["Segmentation"], struct[0, 0]["Boundaries"]
        present = sorted(set(np.unique(mask).tolist()) - {0})
        assert mask.dtype == np.uint8
        assert present
        assert present[-1] <= 20
        assert struct[0, 0]["CategoriesPresent"].ravel().tolist() == present
        assert boundaries.shape == (20, 1)
        for label in range(1, 21):
            assert scipy.sparse.issparse(boundaries[label - 1, 0])
            boundary: Any = boundaries[label - 1, 0]
            assert boundary.shape == mask.shape
            assert bool(boundary.nnz) == (label in present)
            assert set(mask[boundary.toarray() > 0].tolist()) <= {label}


def test_lists_overlap_as_the_real_ones_do(voc: dict[str, bytes], sbd: dict[str, bytes]) -> None:
    """SBD train holds all of VOC train and `leaked` of VOC val; the rest of VOC val is SBD val."""
    sbd_train, sbd_val = (set(_ids(sbd, f"{SBD}/{name}.txt")) for name in ("train", "val"))
    voc_train, voc_val = (set(_ids(voc, f"{VOC}/ImageSets/Segmentation/{name}.txt")) for name in ("train", "val"))
    assert not voc_train & voc_val
    assert voc_train < sbd_train
    assert len(voc_val & sbd_train) == SCENES.leaked
    assert voc_val - sbd_train == sbd_val
    assert sbd_train - voc_train - voc_val


def test_an_id_names_one_picture(voc: dict[str, bytes], sbd: dict[str, bytes]) -> None:
    """An image in both archives has the same pixels in both, and labels that differ in the void band only."""
    shared = [name for name in sbd if name.endswith(".jpg") and f"{VOC}/JPEGImages/{Path(name).name}" in voc]
    assert len(shared) == SCENES.voc_train + SCENES.voc_val
    for name in shared:
        stem = Path(name).stem
        assert np.array_equal(_pixels(sbd[name]), _pixels(voc[f"{VOC}/JPEGImages/{stem}.jpg"]))
        label = _pixels(voc[f"{VOC}/SegmentationClass/{stem}.png"])
        mask = _gtcls(sbd[f"{SBD}/cls/{stem}.mat"])[0, 0]["Segmentation"]
        assert np.array_equal(label[label != 255], mask[label != 255])


def test_an_archive_holds_the_scenes_of_its_seed(voc: dict[str, bytes]) -> None:
    """The number in an id is the scene's index; its label is stored exactly, its picture up to JPEG's loss."""
    for name in _ids(voc, f"{VOC}/ImageSets/Segmentation/val.txt"):
        drawn = scene(SEED, int(name.removeprefix("2008_")))
        assert np.array_equal(_pixels(voc[f"{VOC}/SegmentationClass/{name}.png"]), drawn.label)
        photo = _pixels(voc[f"{VOC}/JPEGImages/{name}.jpg"]).astype(float)
        assert np.abs(photo - drawn.image).mean() < 15


@pytest.mark.parametrize(
    ("scenes", "words"),
    [
        (Scenes(sbd_train=4, voc_train=3, voc_val=6, leaked=2), "make it 5 or more"),
        (Scenes(sbd_train=9, voc_train=3, voc_val=2, leaked=2), "make it less than voc_val"),
    ],
)
def test_counts_that_cannot_overlap_are_refused(scenes: Scenes, words: str, tmp_path: Path) -> None:
    """Too small an SBD train, or a VOC val that is all leaked, is an InputError, and no file is made."""
    with pytest.raises(InputError, match=words):
        write("voc", tmp_path, scenes=scenes)
    with pytest.raises(InputError, match=words):
        write("sbd", tmp_path, scenes=scenes)
    assert not list(tmp_path.iterdir())


def test_the_sample_profile_keeps_its_promise() -> None:
    """With the root profile's counts, VOC val minus SBD train has 100 scenes and 500 are drawn in all."""
    lists = roster(Scenes(sbd_train=400, voc_train=60, voc_val=140, leaked=40))
    assert len(set(lists.voc_val) - set(lists.sbd_train)) == 100
    assert set(lists.voc_train) < set(lists.sbd_train)
    assert len({*lists.sbd_train, *lists.sbd_val, *lists.voc_train, *lists.voc_val}) == 500


def test_a_full_disk_leaves_an_older_archive_alone(tmp_path: Path) -> None:
    """A write that the system cuts short after 20 kB raises OSError, replaces nothing and leaves no part."""
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from fcn.datasets.sample.standins import voc\n"
        "from fcn.entries import Archive, Scenes\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "try:\n"
        f"    voc.write(Path(sys.argv[1]), Archive(kind='sample', file='voc.tar', scenes={SCENES!r}))\n"
        "except OSError:\n"
        "    sys.exit(7)\n"
    )
    path = tmp_path / "voc.tar"
    path.write_bytes(b"older")
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == 7
    assert [(found.name, found.read_bytes()) for found in tmp_path.iterdir()] == [("voc.tar", b"older")]
