"""NYUDv2, SIFT Flow and PASCAL-Context of the sample: from the archives stage to datasets, and the same bytes."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from fcn.cli import main
from fcn.datasets import labels
from fcn.datasets import lists as list_files
from fcn.datasets.formats import context59, nyud, siftflow
from fcn.datasets.sample import standins
from fcn.datasets.sample.scenes import edges
from fcn.datasets.sample.standins import context as context_standin
from fcn.datasets.sample.standins import nyud as nyud_standin
from fcn.datasets.sample.standins import siftflow as siftflow_standin
from fcn.datasets.samples import Samples
from fcn.entries import Archive
from fcn.errors import InputError
from tests.data import tiny

TRAIN, VAL, SEED = 9, 5, 6
FILES = {
    "context": ["VOCtrainval_03-May-2010.tar", "trainval.tar.gz", "labels.txt"],
    "nyud": ["nyu_depth_v2_labeled.mat", "splits.mat", "classMapping40.mat"],
    "siftflow": ["SiftFlowDataset.zip"],
}
DATASETS = {"context33": "context", "context59": "context", "context59_void": "context", "nyud": "nyud",
            "siftflow": "siftflow"}  # fmt: skip
LISTS = {"context": ("train", "val"), "nyud": ("trainval", "test"), "siftflow": ("trainval", "test")}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where the stages made all archives, datasets and lists; what they said is in `said`."""
    folder = tmp_path_factory.mktemp("standins")
    archives = {name: {"kind": "sample", "format": name, "train": TRAIN, "val": VAL, "seed": SEED} for name in FILES}
    datasets = {name: {"format": name, "from": f"data/tiny/archives/{origin}"} for name, origin in DATASETS.items()}
    lists = {
        f"{name}-{each}".replace("_", "-"): {"dataset": name, "list": each, "expect": count}
        for name, origin in DATASETS.items()
        for each, count in zip(LISTS[origin], (TRAIN, VAL), strict=True)
    }
    disjoint = [[f"{name}-{each}".replace("_", "-") for each in LISTS[origin]] for name, origin in DATASETS.items()]
    tiny.params(folder, archives=archives, datasets=datasets, lists=lists, disjoint=disjoint)
    commands = [["archives", name] for name in FILES] + [["datasets", name] for name in DATASETS] + [["splits"]]
    with pytest.MonkeyPatch.context() as patch, (folder / "said").open("w") as said:
        patch.chdir(folder)
        patch.setattr(sys, "stderr", said)
        assert [main(command) for command in commands] == [0] * len(commands)
    return folder


def read(project: Path, name: str) -> Samples:
    """All samples of a dataset."""
    folder = project / "data" / "tiny" / "datasets" / name
    return Samples(folder, sorted(path.stem for path in (folder / "semantic").iterdir()))


def test_the_audit_has_nothing_to_say(project: Path) -> None:
    """Every stand-in becomes a dataset that is the sample's, of as many pictures as asked for, without a warning."""
    assert "warning" not in (project / "said").read_text()
    for name in DATASETS:
        facts = json.loads((project / f"data/tiny/datasets/{name}/dataset.json").read_text())
        assert (facts["generated"], facts["images"]) == (True, TRAIN + VAL)


def test_a_manifest_has_every_file(project: Path) -> None:
    """An archives folder holds the files under their true names, and its manifest each one's size and hash."""
    for name, files in FILES.items():
        folder = project / "data/tiny/archives" / name
        manifest = json.loads((folder / "manifest.json").read_text())
        assert [manifest["file"], *manifest.get("beside", {})] == files
        assert sorted(path.name for path in folder.iterdir()) == sorted([*files, "manifest.json"])
        noted = {manifest["file"]: manifest["content"], **manifest.get("beside", {})}
        for file, content in noted.items():
            held = (folder / file).read_bytes()
            assert content == {"bytes": len(held), "sha256": hashlib.sha256(held).hexdigest()}


def test_the_same_entry_gives_the_same_bytes_in_another_process(project: Path, tmp_path: Path) -> None:
    """All files are byte-equal when another process, with another hash seed, zone and day, writes them."""
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "time.time = lambda: 1.0e9\n"
        "from fcn.datasets.sample import standins\n"
        "from fcn.entries import Archive\n"
        f"for name in {list(FILES)!r}:\n"
        f"    entry = Archive(kind='sample', format=name, train={TRAIN}, val={VAL}, seed={SEED})\n"
        "    standins.load(entry, where='a').write(Path(sys.argv[1]), entry)\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, env=environment)
    for name, files in FILES.items():
        for file in files:
            first = (project / "data/tiny/archives" / name / file).read_bytes()
            assert hashlib.sha256(first).digest() == hashlib.sha256((tmp_path / file).read_bytes()).digest(), file


@pytest.mark.parametrize("name", FILES)
def test_another_seed_gives_another_archive(project: Path, tmp_path: Path, name: str) -> None:
    """The seed reaches the pictures."""
    entry = Archive(kind="sample", format=name, train=TRAIN, val=VAL, seed=SEED + 1)
    file = standins.load(entry, where="a").write(tmp_path, entry)[0]
    assert (tmp_path / file).read_bytes() != (project / "data/tiny/archives" / name / file).read_bytes()


def test_depth_is_the_scenes(project: Path) -> None:
    """Depth is the scene's to a millimetre, raw depth lacks some of it, and no pixel of HHA is left to chance."""
    for number, image_id in enumerate((samples := read(project, "nyud")).ids):
        drawn, found = nyud_standin.scene(SEED, number), samples.read(image_id)
        cropped = np.s_[12:117, 10:150]
        assert np.abs(found.inputs["depth"][:, :, 0] - 1000 * drawn.depth[cropped]).max() < 2
        names = np.array([nyud_standin._CALLED.get(what, what) for what in drawn.what])[drawn.faces][cropped]
        border = edges(drawn.faces)[cropped]
        assert np.array_equal(found.labels["semantic"] == labels.VOID, border)
        classes = np.array([*nyud.CLASSES, "void"])[np.minimum(found.labels["semantic"], 40)]
        assert np.array_equal(classes[~border], names[~border])
    with h5py.File(project / "data/tiny/archives/nyud/nyu_depth_v2_labeled.mat") as file:
        depth, raw, named = file["depths"][:], file["rawDepths"][:], file["names"]
        assert 0.02 < np.mean(raw == 0) < 0.4
        assert np.array_equal(raw[raw > 0], depth[raw > 0])
        assert (file["labels"].dtype, int(file["labels"][:].max()) > 40, named.shape) == (np.uint16, True, (1, 894))
        assert "".join(map(chr, file[named[0, 40]][:].ravel())) == "wall 1"


def test_geometry_is_the_horizons(project: Path) -> None:
    """Both labels are the scene's: its things, and whether these are open sky, level or upright."""
    for image_id in (samples := read(project, "siftflow")).ids:
        drawn, found = siftflow_standin.scene(SEED, int(image_id[-6:])), samples.read(image_id)
        inside = ~edges(drawn.faces)
        what = np.array(drawn.what)[drawn.faces][inside]
        semantic, geometric = (found.labels[target][inside] for target in ("semantic", "geometric"))
        called = [siftflow_standin._CALLED.get(name, name) for name in what]
        assert np.array_equal(np.array(siftflow.CLASSES)[semantic], called)
        finite = np.isfinite(drawn.depth)[inside]
        assert (geometric[~finite] == 0).all()
        assert (geometric[np.isin(what, ["road", "field", "grass", "sea", "mark"])] == 1).all()
        for target in ("semantic", "geometric"):
            assert (found.labels[target][~inside] == labels.VOID).all()
    lines = zipfile.ZipFile(project / "data/tiny/archives/siftflow/SiftFlowDataset.zip").read("TestSet1.txt")
    assert lines.count(b"\\") == lines.count(b"\n") == VAL


def test_labels_of_context_are_known_by_their_names(project: Path) -> None:
    """Of 459 names in the alphabet's order the 59 are the scene's things, and others are background."""
    folder = project / "data/tiny/archives/context"
    assert len(list_files.read(folder / "labels.txt")) == 459
    with tarfile.open(folder / "trainval.tar.gz") as tar:
        assert len([member for member in tar if member.isfile()]) == TRAIN + VAL
    background = 0
    for image_id in (samples := read(project, "context59")).ids:
        drawn = context_standin.scene(SEED, int(image_id[-6:]))
        called = [context_standin._CALLED.get(name, name) for name in drawn.what]
        classes = [context59.CLASSES.index(name) + 1 if name in context59.CLASSES else 0 for name in called]
        label = samples.read(image_id).labels["semantic"]
        assert np.array_equal(label, np.array(classes)[drawn.faces])
        background += int(np.count_nonzero(label == 0))
    assert background


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"format": "nyud", "train": 3}, "a: a sample of nyud needs train and val"),
        ({"format": "siftflow", "train": 3, "val": 2, "file": "a.zip"}, "needs train and val; leave out file"),
        ({"format": "voc", "file": "a.tar", "train": 3}, "a sample of voc needs file and scenes; leave out train"),
        ({}, "a.format: no sample of None; there are context, nyud, sbd, siftflow, voc"),
    ],
)
def test_words_of_another_sample_are_refused(words: dict[str, object], said: str) -> None:
    """An entry without what its format is made of, or with what that isn't, is told both."""
    with pytest.raises(InputError, match=said):
        standins.load(Archive(kind="sample", **words), where="a")  # type: ignore[arg-type]  # as params.yaml has them


@pytest.mark.parametrize("missing", FILES["context"])
def test_a_file_of_several_that_is_gone_is_named(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    """A dataset whose archives folder lost one of its files says which."""
    shutil.copytree(project / "data/tiny/archives/context", tmp_path / "data/tiny/archives/context")
    shutil.copy(project / "params.yaml", tmp_path)
    (tmp_path / "data/tiny/archives/context" / missing).unlink()
    monkeypatch.chdir(tmp_path)
    assert main(["datasets", "context59"]) == 2
    assert f"archives/context/{missing}" in capsys.readouterr().err.splitlines()[-1]
