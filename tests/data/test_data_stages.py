"""The data stages as people and DVC call them, on tiny archives in the true formats."""

import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from fcn.datasets import labels
from tests.conftest import RunFcn
from tests.data import tiny

LOCAL = {
    "voc-tiny": {"format": "voc", "from": "voc.tar"},
    "sbd-tiny": {"format": "sbd", "from": "sbd.tgz"},
}
LISTS = {
    "sbd-train": {"dataset": "sbd-tiny", "list": "train", "expect": 3},
    "val": {"dataset": "voc-tiny", "list": "val", "expect": 3},
    "rest": {"dataset": "voc-tiny", "list": "val", "minus": "sbd-train", "published": "seg11valid", "expect": 2},
}
STAGES = [["datasets", name] for name in LOCAL]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with two tiny archives and their params.yaml."""
    tiny.pack(tmp_path / "voc.tar", tiny.voc())
    tiny.pack(tmp_path / "sbd.tgz", tiny.sbd())
    tiny.params(tmp_path, datasets=LOCAL, lists=LISTS, disjoint=[["sbd-train", "rest"]])
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
        label = labels.read(data / "datasets" / "voc-tiny" / "semantic" / f"{image_id}.png")
        assert np.array_equal(label, tiny.label(image_id, void=True))
    for image_id in [*tiny.SBD_TRAIN, *tiny.SBD_VAL]:
        label = labels.read(data / "datasets" / "sbd-tiny" / "semantic" / f"{image_id}.png")
        assert np.array_equal(label, tiny.label(image_id, void=False))
    assert {path.stem: path.read_text().split() for path in (data / "splits").iterdir()} == {
        "sbd-train": tiny.SBD_TRAIN,
        "val": tiny.VOC_VAL,
        "rest": tiny.VOC_VAL[:2],
    }
    audit = json.loads((data / "audit" / "voc-tiny.json").read_text())
    assert audit["sha256"] == json.loads((data / "datasets" / "voc-tiny" / "dataset.json").read_text())["sha256"]
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


def test_a_dataset_has_one_layout(project: Path, stages: Callable[..., str]) -> None:
    """Of any dataset there is what is needed and no more: pictures, labels, lists, and what it says of itself."""
    stages(*STAGES)
    for name, members, ids in (
        ("voc-tiny", tiny.voc(), [*tiny.VOC_TRAIN, *tiny.VOC_VAL]),
        ("sbd-tiny", tiny.sbd(), [*tiny.SBD_TRAIN, *tiny.SBD_VAL]),
    ):
        folder = project / "data" / "tiny" / "datasets" / name
        lists = ["train", "trainval", "val"] if name == "voc-tiny" else ["train", "val"]
        assert tiny.tree(project / "data" / "tiny" / "lists" / name) == [f"{each}.txt" for each in lists]
        assert tiny.tree(folder) == sorted(
            ["dataset.json"]
            + [f"rgb/{image_id}.jpg" for image_id in ids]
            + [f"semantic/{image_id}.png" for image_id in ids]
        )
        for image_id in ids:
            (original,) = [content for path, content in members.items() if path.endswith(f"/{image_id}.jpg")]
            assert (folder / "rgb" / f"{image_id}.jpg").read_bytes() == original
        assert all(path.stat().st_nlink == 1 for path in folder.rglob("*") if path.is_file())


def test_a_dataset_says_what_it_is(project: Path, stages: Callable[..., str]) -> None:
    """dataset.json has inputs, targets, their classes and colours, and a digest of all beside it; lists are apart."""
    stages(*STAGES)
    folder = project / "data" / "tiny" / "datasets" / "voc-tiny"
    facts = json.loads((folder / "dataset.json").read_text())
    assert {key: facts[key] for key in ("format", "generated", "inputs", "images")} == {
        "format": "voc",
        "generated": False,
        "inputs": {"rgb": 3},
        "images": 6,
    }
    (target,) = facts["targets"].values()
    assert (target["classes"][15], target["palette"][15]) == ("person", [192, 128, 128])
    assert (len(target["classes"]), target["background"], target["average"]) == (21, 0, "seen")
    before, files = facts["sha256"], contents(folder)
    members = tiny.voc()
    members[f"{tiny.VOC}ImageSets/Segmentation/few.txt"] = b"2007_000001\n"
    tiny.pack(project / "voc.tar", members)
    stages(STAGES[0])
    assert contents(folder) == files
    assert (project / "data/tiny/lists/voc-tiny/few.txt").read_text() == "2007_000001\n"
    members[f"{tiny.VOC}JPEGImages/2007_000001.jpg"] = tiny.jpeg(colour=(1, 2, 3))
    tiny.pack(project / "voc.tar", members)
    stages(STAGES[0])
    assert json.loads((folder / "dataset.json").read_text())["sha256"] != before


def test_a_folder_is_as_good_as_archives(project: Path, stages: Callable[..., str]) -> None:
    """From one extracted folder that holds both datasets come the same files as from their archives."""
    stages(*STAGES, ["splits"])
    data = project / "data" / "tiny"
    before = contents(data)
    shutil.rmtree(data)
    tiny.unpack(project / "both", {**tiny.voc(), **tiny.sbd()})
    tiny.params(project, datasets={name: {**entry, "from": "both"} for name, entry in LOCAL.items()}, lists=LISTS)
    stages(*STAGES, ["splits"])
    assert {k: v for k, v in contents(data).items() if k != "audit/splits.json"} == {
        k: v for k, v in before.items() if k != "audit/splits.json"
    }


def test_a_persons_own_files_are_left_alone(project: Path, stages: Callable[..., str]) -> None:
    """A folder is only read: nothing is written there, and no file is shared with it, not even by a hard link."""
    mine = tiny.unpack(project / "both", {**tiny.voc(), **tiny.sbd()})
    tiny.params(project, datasets={name: {**entry, "from": "both"} for name, entry in LOCAL.items()})
    before = {path: path.stat() for path in mine.rglob("*")}
    for path in (mine, *before):
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = {path: path.stat() for path in mine.rglob("*")}
    stages(*STAGES)
    for path in (project / "data").rglob("*"):  # as DVC does with what it holds
        path.chmod(0o700 if path.is_dir() else 0o400)
    assert {path: path.stat() for path in mine.rglob("*")}.keys() == before.keys()
    for path, stat in before.items():
        now = path.stat()
        assert (now.st_mode, now.st_nlink, now.st_mtime_ns, now.st_size) == (
            stat.st_mode,
            stat.st_nlink,
            stat.st_mtime_ns,
            stat.st_size,
        )


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
        (
            "cls/2009_000005.mat",
            b"not matlab",
            "sbd.tgz: benchmark_RELEASE/dataset/cls/2009_000005.mat: no label of SBD can be read from it",
        ),
        ("cls/2009_000005.mat", value_77(), "2009_000005: the label has the value 77 in 1 pixel; allowed are 0..20"),
        ("img/2009_000005.jpg", tiny.jpeg((10, 9)), "the label has 12x9 pixels, its image"),
        ("img/2009_000005.jpg", tiny.jpeg()[:-100], "not a whole picture"),
        ("img/2009_000005.jpg", None, "2009_000005.jpg: no such image; every label needs its image, as .jpg, .jpeg, "),
    ],
)
def test_a_bad_label_stops_the_stage(
    project: Path, stages: Callable[..., str], member: str, content: bytes | None, words: str
) -> None:
    """One bad label or image among good ones is named, the exit code is 2, and nothing is left behind."""
    spoil_sbd(project, **{member: content})
    message = stages(["datasets", "sbd-tiny"], code=2)
    assert words in message
    assert "error: dataset 'sbd-tiny': " in message
    assert ".part" not in message
    assert tiny.tree(project / "data") == []


def test_a_list_stops_only_those_who_use_it(project: Path, stages: Callable[..., str]) -> None:
    """A list that can't be read, or has ids without a label, is a warning, until a run wants it."""
    members = tiny.voc()
    members[f"{tiny.VOC}ImageSets/Segmentation/old.txt"] = "caf\xe9\n".encode("latin-1")
    members[f"{tiny.VOC}ImageSets/Segmentation/test.txt"] = b"2008_000001\n2008_000002\n"
    tiny.pack(project / "voc.tar", members)
    message = stages(STAGES[0])
    assert "warning: voc.tar: VOCdevkit/VOC2012/ImageSets/Segmentation/old.txt: line 1 is not UTF-8 text" in message
    assert "warning: list 'test': 2 of its 2 ids have no label (2008_000001, 2008_000002); no run can use" in message
    mine = {"val": {"dataset": "voc-tiny", "list": "val"}}
    tiny.params(project, datasets=LOCAL, lists=mine)
    stages(["splits"])
    for name, words in (
        ("old", "lists/voc-tiny/old.txt: line 1 is not UTF-8"),
        ("test", "2 of its 2 ids have no label"),
    ):
        tiny.params(project, datasets=LOCAL, lists={**mine, "a": {"dataset": "voc-tiny", "list": name}})
        assert words in stages(["splits"], code=2)


@pytest.mark.parametrize(
    "make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to(path)], ids=["folder", "pipe", "loop"]
)
def test_what_only_has_a_files_name_is_named(
    project: Path, stages: Callable[..., str], make: Callable[[Path], object]
) -> None:
    """A folder, a pipe, which would be waited for, or a link in a circle is no label; a list stops only its users."""
    voc, sbd = (tiny.unpack(project / name, members(prefix="")) for name, members in (("v", tiny.voc), ("s", tiny.sbd)))
    datasets = {"voc": {"format": "voc", "from": "v"}, "sbd": {"format": "sbd", "from": "s"}}
    tiny.params(project, datasets=datasets, lists={"a": {"dataset": "voc", "list": "test"}})
    make(voc / "ImageSets/Segmentation/test.txt")
    warning = stages(["datasets", "voc"])
    assert "v/ImageSets/Segmentation/test.txt is a folder, a pipe or a link to nothing; a file should" in warning
    assert "dataset 'voc' has no list 'test'; it has train, trainval, val" in stages(["splits"], code=2)
    for name, label in (("voc", voc / "SegmentationClass/a.png"), ("sbd", sbd / "cls/a.mat")):
        make(label)
        refused = stages(["datasets", name], code=2)
        assert f"labels is refused: {label.relative_to(project)} is a folder, a pipe or a link" in refused


def test_many_bad_labels_are_counted(project: Path, stages: Callable[..., str]) -> None:
    """Of many bad labels the first three are named, what is wrong with them is said once, and all are counted."""
    spoil_sbd(project, **{f"cls/{image_id}.mat": b"x" for image_id in [*tiny.SBD_TRAIN, *tiny.SBD_VAL]})
    message = stages(["datasets", "sbd-tiny"], code=2)
    assert "4 of 4 labels are refused" in message
    assert message.count("/cls/") == 3
    assert message.count("no label of SBD can be read from it") == 1


def test_a_cut_archive_stops_the_stage(project: Path, stages: Callable[..., str]) -> None:
    """A truncated archive is refused with exit code 2, and nothing of it is left behind."""
    path = project / "sbd.tgz"
    path.write_bytes(path.read_bytes()[:-1000])
    assert "sbd.tgz: damaged or cut off" in stages(["datasets", "sbd-tiny"], code=2)
    assert tiny.tree(project / "data") == []


def test_a_climbing_member_stops_the_stage(project: Path, stages: Callable[..., str]) -> None:
    """A member path that leads out is refused with exit code 2, and nothing is written anywhere."""
    tiny.pack(project / "sbd.tgz", {**tiny.sbd(), f"{tiny.SBD}img/../../../../../../evil.jpg": b"x"})
    message = stages(["datasets", "sbd-tiny"], code=2)
    assert "evil.jpg leads out of the folder" in message
    assert tiny.tree(project / "data") == []
    assert not list(project.parent.rglob("evil.jpg"))


@pytest.mark.parametrize(
    ("datasets", "command", "words"),
    [
        ({"voc2012": LOCAL["voc-tiny"]}, ["datasets", "voc2012"], "not the file VOCtrainval_11-May-2012.tar"),
        ({"x": {"format": "voc", "from": "gone"}}, ["datasets", "x"], "gone: no such archive or folder"),
        ({"x": {"format": "coco", "from": "voc.tar"}}, ["datasets", "x"], "'coco' is unknown; there are "),
        ({"x": {"format": "sbd", "from": "voc.tar"}}, ["datasets", "x"], "no SBD tree in it: found VOCdevkit"),
        ({"x": {"format": "sbd", "from": "folder"}}, ["datasets", "x"], "folder: no SBD tree in it: found nothing"),
        ({"x": {"format": "voc", "from": "params.yaml"}}, ["datasets", "x"], "params.yaml: not a tar archive"),
        ({"x": {"format": "voc", "from": "data/tiny/archives/a"}}, ["datasets", "x"], "which an earlier stage fills"),
        (LOCAL, ["datasets", "voc-tinny"], "unknown name 'voc-tinny'; did you mean 'voc-tiny'?"),
        (LOCAL, ["datasets"], "which dataset? add its name; known are: voc-tiny, sbd-tiny"),
        (LOCAL, ["archives"], "which archive? add its name; known are: a, nowhere, other"),
        (LOCAL, ["archives", "nowhere"], "'nowhere' can't be downloaded: fcn/paper/downloads.toml has"),
        (LOCAL, ["splits"], "run `make reproduce` for the sample profile, `dvc repro profiles/NAME/dvc.yaml` for"),
        (LOCAL, ["archives", "a"], "archives.a: a sample of voc needs file and scenes"),
        (LOCAL, ["archives", "other"], "archives.other.format: no sample of 'coco'; there are context, nyud, sbd,"),
        (LOCAL, ["splits", "voc-tiny"], "splits builds all lists at once"),
    ],
)
def test_wrong_settings_are_refused(
    project: Path, stages: Callable[..., str], datasets: dict[str, object], command: list[str], words: str
) -> None:
    """Wrong datasets, archives, hashes and names end with exit code 2 and a sentence that says what is known."""
    scenes = {"sbd_train": 4, "voc_train": 2, "voc_val": 4, "leaked": 2}
    archives = {
        "a": {"kind": "sample", "format": "voc"},
        "nowhere": {"kind": "download"},
        "other": {"kind": "sample", "format": "coco", "file": "c.tar", "scenes": scenes},
    }
    lists = {"val": {"dataset": next(iter(datasets)), "list": "val"}}
    (project / "folder").mkdir()
    tiny.params(project, archives=archives, datasets=datasets, lists=lists)
    assert words in stages(command, code=2)
    assert not (project / "data" / "tiny").exists() or tiny.tree(project / "data") == []


@pytest.mark.parametrize(
    ("lists", "disjoint", "words"),
    [
        (
            {"a": {"dataset": "voc-tiny", "list": "train11"}},
            [],
            "no list 'train11'; did you mean 'train'? it has ",
        ),
        (
            {"a": {"dataset": "voc-tiny", "list": "val", "published": "seg11valid", "expect": 736}},
            [],
            "lacks 734 of the 736",
        ),
        (LISTS, [["sbd-train", "rest", "val"]], "lists 'sbd-train' and 'val' share 1 images (2008_000004)"),
    ],
)
def test_lists_that_cannot_be_proven_are_refused(
    project: Path, stages: Callable[..., str], lists: dict[str, object], disjoint: list[list[str]], words: str
) -> None:
    """A list that isn't there, lacks published ids, or leaks, ends with exit code 2, and no list is left behind."""
    tiny.params(project, datasets=LOCAL, lists=lists, disjoint=disjoint)
    assert words in stages(*STAGES, ["splits"], code=2)
    assert not (project / "data" / "tiny" / "splits").exists()
