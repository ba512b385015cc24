"""The four data stages as people and DVC call them, on tiny archives in the true formats."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from fcn.datasets import labels
from tests.conftest import RunFcn
from tests.data import tiny

LOCAL = {
    "voc-tiny": {"dataset": "voc", "kind": "local", "from": "voc.tar"},
    "sbd-tiny": {"dataset": "sbd", "kind": "local", "from": "sbd.tgz"},
}
LISTS = {
    "sbd-train": {"source": "sbd-tiny", "list": "train", "expect": 3},
    "val": {"source": "voc-tiny", "list": "val", "expect": 3},
    "rest": {"source": "voc-tiny", "list": "val", "minus": "sbd-train", "published": "seg11valid", "expect": 2},
}
STAGES = [[stage, source] for stage in ("archives", "raw", "labels") for source in LOCAL]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with two tiny archives and their params.yaml."""
    tiny.pack(tmp_path / "voc.tar", tiny.voc())
    tiny.pack(tmp_path / "sbd.tgz", tiny.sbd())
    tiny.params(tmp_path, sources=LOCAL, lists=LISTS, disjoint=[["sbd-train", "rest"]])
    return tmp_path


@pytest.fixture
def stages(run_fcn: RunFcn, project: Path) -> Callable[..., str]:
    """Run stages in turn; all but the last must pass, the last must end with `code`, and its errors come back."""

    def run(*commands: Sequence[str], code: int = 0) -> str:
        for command in commands[:-1]:
            done = run_fcn(command, project)
            assert done.returncode == 0, done.stderr
        done = run_fcn(commands[-1], project)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        if code:
            assert done.stderr.splitlines()[-1].startswith("error: ")
        assert not list(project.rglob("*.part")), "something half-written was left behind"
        return done.stderr

    return run


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a folder."""
    names = [name for name in tiny.tree(folder) if not name.startswith("cost/")]  # times differ from run to run
    return {name: (folder / name).read_bytes() for name in names}


def test_from_archives_to_lists(project: Path, stages: Callable[..., str]) -> None:
    """Two archives become labels, index for index, lists that are proven, and metrics that say so; twice the same."""
    stages(*STAGES, ["splits"])
    data = project / "data" / "tiny"
    for image_id in [*tiny.VOC_TRAIN, *tiny.VOC_VAL]:
        label = labels.read(data / "labels" / "voc-tiny" / f"{image_id}.png")
        assert np.array_equal(label, tiny.label(image_id, void=True))
    for image_id in [*tiny.SBD_TRAIN, *tiny.SBD_VAL]:
        label = labels.read(data / "labels" / "sbd-tiny" / f"{image_id}.png")
        assert np.array_equal(label, tiny.label(image_id, void=False))
    assert {path.stem: path.read_text().split() for path in (data / "splits").iterdir()} == {
        "sbd-train": tiny.SBD_TRAIN,
        "val": tiny.VOC_VAL,
        "rest": tiny.VOC_VAL[:2],
    }
    audit = json.loads((data / "audit" / "voc-tiny.json").read_text())
    assert (audit["labels"], audit["width_min"], audit["height_max"]) == (6, 12, 9)
    assert audit["void_share"] == round(1 / 12, 6)
    assert sum(audit["class_share"].values()) == pytest.approx(1, abs=1e-5)
    proofs = json.loads((data / "audit" / "splits.json").read_text())
    assert proofs["rest"]["count"] == 2
    assert proofs["disjoint"] == {"sbd-train / rest": True}
    before = contents(data)
    assert str(project).encode() not in b"".join(before.values())
    shutil.rmtree(data)
    stages(*STAGES, ["splits"])
    assert contents(data) == before


def test_only_what_is_needed_is_extracted(project: Path, stages: Callable[..., str]) -> None:
    """Raw folders have the dataset's own layout without what stands before it, and the manifest counts their files."""
    stages(*STAGES[:4])
    raw = project / "data" / "tiny" / "raw"
    voc = tiny.tree(raw / "voc-tiny")
    assert {name.split("/")[0] for name in voc} == {"ImageSets", "JPEGImages", "SegmentationClass", "manifest.json"}
    assert len(voc) == 3 + 6 + 6 + 1
    sbd = tiny.tree(raw / "sbd-tiny")
    assert {name.split("/")[0] for name in sbd} == {"train.txt", "val.txt", "img", "cls", "manifest.json"}
    assert json.loads((raw / "sbd-tiny" / "manifest.json").read_text())["files"] == len(sbd) - 1


def test_a_folder_is_as_good_as_archives(project: Path, stages: Callable[..., str]) -> None:
    """From one extracted folder that holds both datasets come the same files as from their archives."""
    stages(*STAGES, ["splits"])
    data = project / "data" / "tiny"
    before = contents(data)
    shutil.rmtree(data)
    tiny.unpack(project / "both", {**tiny.voc(), **tiny.sbd()})
    sources = {name: {**source, "from": "both"} for name, source in LOCAL.items()}
    tiny.params(project, sources=sources, lists=LISTS)
    stages(*STAGES, ["splits"])
    after = contents(data)
    for folder in ("raw", "labels", "splits"):
        assert {k: v for k, v in before.items() if k.startswith(folder)} == {
            k: v for k, v in after.items() if k.startswith(folder)
        }
    assert tiny.tree(data / "archives") == ["sbd-tiny/manifest.json", "voc-tiny/manifest.json"]


def test_generated_archives_take_the_same_road(project: Path, stages: Callable[..., str]) -> None:
    """The sample's archives, made by the archives stage, pass extraction, label audit and lists."""
    scenes = {"sbd_train": 4, "voc_train": 2, "voc_val": 4, "leaked": 2}
    sources = {
        "voc-tiny": {"dataset": "voc", "kind": "sample", "from": "voc.tar", "archive": "v.tar", "scenes": scenes},
        "sbd-tiny": {"dataset": "sbd", "kind": "sample", "from": "voc.tar", "archive": "s.tgz", "scenes": scenes},
    }
    lists = {
        "sbd-train": {"source": "sbd-tiny", "list": "train", "expect": 4},
        "rest": {"source": "voc-tiny", "list": "val", "minus": "sbd-train", "expect": 2},
    }
    tiny.params(project, sources=sources, lists=lists, disjoint=[["sbd-train", "rest"]])
    stages(*STAGES, ["splits"])
    assert tiny.tree(project / "data" / "tiny" / "splits") == ["rest.txt", "sbd-train.txt"]


def spoil_sbd(project: Path, **members: bytes | None) -> None:
    """Pack the SBD archive anew with other members; None leaves one out."""
    packed = tiny.sbd()
    for name, content in members.items():
        if content is None:
            del packed[f"{tiny.SBD}{name}"]
        else:
            packed[f"{tiny.SBD}{name}"] = content
    tiny.pack(project / "sbd.tgz", packed)


def value_77() -> bytes:
    """A label with one wrong pixel."""
    values = tiny.label("2009_000005", void=False)
    values[0, 0] = 77
    return tiny.mat(values)


@pytest.mark.parametrize(
    ("member", "content", "words"),
    [
        (
            "cls/2009_000005.mat",
            tiny.mat(np.zeros((9, 12), np.uint8), field="Other"),
            "no field Segmentation, found Other",
        ),
        ("cls/2009_000005.mat", b"not matlab", "not a readable .mat file"),
        ("cls/2009_000005.mat", value_77(), "2009_000005: the label has the value 77 in 1 pixels; allowed are 0..20"),
        ("img/2009_000005.jpg", tiny.jpeg((10, 9)), "the label has 12x9 pixels, its image"),
        ("img/2009_000005.jpg", tiny.jpeg()[:-100], "not a whole image"),
        ("cls/2009_000005.mat", None, "1 of the 3 ids in list 'train' have no label or no image (2009_000005)"),
        ("img/2009_000005.jpg", None, "1 of the 3 ids in list 'train' have no label or no image (2009_000005)"),
    ],
)
def test_a_bad_label_stops_the_stage(
    project: Path, stages: Callable[..., str], member: str, content: bytes | None, words: str
) -> None:
    """One bad label or image among good ones is named, the exit code is 2, and no labels are left behind."""
    spoil_sbd(project, **{member: content})
    assert words in stages(["archives", "sbd-tiny"], ["raw", "sbd-tiny"], ["labels", "sbd-tiny"], code=2)
    data = project / "data" / "tiny"
    assert not (data / "labels" / "sbd-tiny").exists()
    assert not (data / "audit" / "sbd-tiny.json").exists()


def test_many_bad_labels_are_counted(project: Path, stages: Callable[..., str]) -> None:
    """Of many bad labels the first three are named, and all are counted."""
    spoil_sbd(project, **{f"cls/{image_id}.mat": b"x" for image_id in [*tiny.SBD_TRAIN, *tiny.SBD_VAL]})
    message = stages(["archives", "sbd-tiny"], ["raw", "sbd-tiny"], ["labels", "sbd-tiny"], code=2)
    assert "4 of 4 labels are refused" in message
    assert message.count("not a readable .mat file") == 3


def test_a_cut_archive_stops_the_stage(project: Path, stages: Callable[..., str]) -> None:
    """A truncated archive is refused with exit code 2, and nothing of it is left behind."""
    path = project / "sbd.tgz"
    path.write_bytes(path.read_bytes()[:-1000])
    assert "sbd.tgz: damaged or cut off" in stages(["archives", "sbd-tiny"], ["raw", "sbd-tiny"], code=2)
    assert list(contents(project / "data" / "tiny")) == ["archives/sbd-tiny/manifest.json"]


def test_a_climbing_member_stops_the_stage(project: Path, stages: Callable[..., str]) -> None:
    """A member path that leads out is refused with exit code 2, and nothing is written anywhere."""
    tiny.pack(project / "sbd.tgz", {**tiny.sbd(), f"{tiny.SBD}img/../../../../../../evil.jpg": b"x"})
    message = stages(["archives", "sbd-tiny"], ["raw", "sbd-tiny"], code=2)
    assert "evil.jpg leads out of the folder" in message
    assert list(contents(project / "data" / "tiny")) == ["archives/sbd-tiny/manifest.json"]
    assert not list(project.parent.rglob("evil.jpg"))


@pytest.mark.parametrize(
    ("sources", "command", "words"),
    [
        ({"voc2012": LOCAL["voc-tiny"]}, ["archives", "voc2012"], "not the file VOCtrainval_11-May-2012.tar"),
        ({"x": {**LOCAL["voc-tiny"], "from": "gone"}}, ["archives", "x"], "gone: no such archive or folder"),
        ({"x": {**LOCAL["voc-tiny"], "kind": "download"}}, ["archives", "x"], "'x' can't be downloaded"),
        ({"x": {**LOCAL["voc-tiny"], "kind": "sample"}}, ["archives", "x"], "kind sample needs `archive`"),
        ({"x": {**LOCAL["voc-tiny"], "dataset": "coco"}}, ["archives", "x"], "Input should be 'voc' or 'sbd'"),
        (LOCAL, ["archives", "voc-tinny"], "unknown name 'voc-tinny'; did you mean 'voc-tiny'?"),
        (LOCAL, ["labels"], "which source? add its name; known are: voc-tiny, sbd-tiny"),
        (LOCAL, ["raw", "voc-tiny"], "it is made by an earlier stage: run `dvc repro`"),
        (LOCAL, ["labels", "voc-tiny"], "it is made by an earlier stage: run `dvc repro`"),
        (LOCAL, ["splits", "voc-tiny"], "splits builds all lists at once"),
    ],
)
def test_wrong_settings_are_refused(
    project: Path, stages: Callable[..., str], sources: dict[str, object], command: list[str], words: str
) -> None:
    """Wrong sources, hashes, names and orders end with exit code 2 and a sentence that says what is known."""
    tiny.params(project, sources=sources)
    assert words in stages(command, code=2)
    assert not (project / "data" / "tiny").exists() or tiny.tree(project / "data") == []


def test_a_changed_archive_is_noticed(project: Path, stages: Callable[..., str]) -> None:
    """An archive that is no longer the one that was recorded isn't extracted under the old record."""
    stages(["archives", "voc-tiny"])
    tiny.pack(project / "voc.tar", tiny.voc(val=tiny.VOC_VAL[:2]))
    assert "voc.tar has changed since it was recorded" in stages(["raw", "voc-tiny"], code=2)


@pytest.mark.parametrize(
    ("lists", "disjoint", "words"),
    [
        ({"a": {"source": "voc-tiny", "list": "train11"}}, [], "no list 'train11'; it has train, trainval, val"),
        (
            {"a": {"source": "voc-tiny", "list": "val", "published": "seg11valid", "expect": 736}},
            [],
            "lacks 734 of the 736",
        ),
        (LISTS, [["sbd-train", "val"]], "share 1 images (2008_000004)"),
    ],
)
def test_lists_that_cannot_be_proven_are_refused(
    project: Path, stages: Callable[..., str], lists: dict[str, object], disjoint: list[list[str]], words: str
) -> None:
    """A list that isn't there, lacks published ids, or leaks, ends with exit code 2, and no list is left behind."""
    tiny.params(project, sources=LOCAL, lists=lists, disjoint=disjoint)
    assert words in stages(*STAGES, ["splits"], code=2)
    assert not (project / "data" / "tiny" / "splits").exists()


def on_a_small_disk(
    command: Sequence[str], *, project: Path, repository: Path, size: str
) -> tuple[int, str, list[str]]:
    """Run a stage with data/ on a disk of its own; exit code, errors, and what the disk holds afterwards."""
    script = (
        f'mkdir -p "$1" && mount -t tmpfs -o size={size} tmpfs "$1" && cp -r kept/. "$1" || exit 99\n'
        'data="$1"; shift; "$@"; code=$?; find "$data" -type f -printf "%P\\n"; exit $code'
    )
    done = subprocess.run(
        [
            "unshare",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            script,
            "sh",
            "data",
            sys.executable,
            "-m",
            "fcn",
            *command,
        ],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 99 or "unshare" in done.stderr:
        pytest.skip(f"can't make a small disk here: {done.stderr.strip()}")
    return done.returncode, done.stderr, sorted(done.stdout.split())


def small_disk_project(project: Path, stages: Callable[..., str], *, images: int) -> None:
    """A project whose SBD archive has many images, and whose data/ waits in kept/."""
    train = [f"2009_{number:06d}" for number in range(images)]
    tiny.pack(project / "sbd.tgz", tiny.sbd(train=train))
    stages(["archives", "sbd-tiny"])


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare, of util-linux, to make a small disk")
@pytest.mark.parametrize(
    ("size", "words"),
    [
        pytest.param("200k", "no room for the files of sbd.tgz: ", id="too small by the archive's own count"),
        pytest.param("900k", "No space left on device", id="full in the middle: many small files take whole blocks"),
    ],
)
def test_a_full_disk_stops_extraction(
    project: Path, stages: Callable[..., str], repository: Path, size: str, words: str
) -> None:
    """A disk too small for the files ends the stage with exit code 1, and the disk holds what it held before."""
    small_disk_project(project, stages, images=300)
    (project / "data").rename(project / "kept")
    code, errors, held = on_a_small_disk(["raw", "sbd-tiny"], project=project, repository=repository, size=size)
    assert code == 1, errors
    assert words in errors
    assert "Traceback" not in errors
    assert [name for name in held if "/cost/" not in name] == ["tiny/archives/sbd-tiny/manifest.json"]


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare, of util-linux, to make a small disk")
def test_a_full_disk_stops_the_labels(project: Path, stages: Callable[..., str], repository: Path) -> None:
    """A disk that becomes full while labels are written ends the stage with exit code 1 and no labels."""
    small_disk_project(project, stages, images=300)
    stages(["raw", "sbd-tiny"])
    (project / "data").rename(project / "kept")
    before = tiny.tree(project / "kept")
    code, errors, held = on_a_small_disk(["labels", "sbd-tiny"], project=project, repository=repository, size="2700k")
    assert code == 1, errors
    assert "No space left on device" in errors
    assert "Traceback" not in errors
    assert held == before
