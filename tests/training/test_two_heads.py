"""A net of two heads goes through the stages as one of a single head does: trained, resumed, scored, saved."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fcn.cli import main
from fcn.datasets.labels import VOID, read, write
from fcn.datasets.samples import Samples
from fcn.nets import checkpoint
from fcn.nets.build import trained
from fcn.scoring.metrics import metrics
from tests.training import pictures, processes, tiny
from tests.training.processes import fcn, saved_iteration, start, until

RUN, FINER, ITERATIONS = "toy-fcn16s-vgg16", "toy-fcn8s-vgg16", 30
HEADS = {"semantic": 4, "geometric": 3}
SIZES = [(48, 64), (40, 40), (64, 48), (33, 57)]
DATA = Path("data/toy")


def params(heads: dict[str, int] | None = None) -> dict[str, Any]:
    """A net of two heads from scratch, and a finer one that starts from it."""
    backbone = {"architecture": "vgg16", "width": 0.0625, "fc": 8, "input_px": 32, "dropout": 0.5}
    net = {"backbone": backbone, "inputs": ["rgb"], "heads": heads or HEADS, "pad": "same", "upsampling": "all"}
    recipe = tiny.params()["recipes"]["coarse"] | {"iterations": ITERATIONS, "crop": 32, "precision": "float32"}
    refs = {side: {"dataset": "toy", "list": "every"} for side in ("train", "val")}
    run = {"regime": "cvpr", **refs, "recipe": "some", "seed": 3}
    return {
        "profile": "toy",
        "root": ".",
        "params": "params.yaml",
        "threads": 1,
        "archives": {},
        "datasets": {"toy": {"format": "voc", "from": "nowhere"}},
        "lists": {"every": {"dataset": "toy", "list": "every"}},
        "disjoint": [],
        "backbones": {},
        "classifiers": {"none": {"backbone": backbone, "preprocessing": "sample"}},
        "weights": {},
        "nets": {"toy16": {**net, "taps": [16]}, "toy8": {**net, "taps": [16, 8]}},
        "recipes": {"some": recipe},
        "runs": {
            RUN: {**run, "net": "toy16", "init": "weights/none"},
            FINER: {**run, "net": "toy8", "init": f"nets/{RUN}"},
        },
        "departures": {},
    }


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory, run_fcn: tiny.RunFcn) -> Path:
    """A project with a dataset of two labels a picture, and nothing trained."""
    folder = tmp_path_factory.mktemp("toy")
    tiny.write(folder, params())
    samples = pictures.write(folder / DATA / "datasets" / "toy", SIZES, heads=HEADS)
    label = samples.read_label("0", "geometric")
    label[5:20, 7:30] = VOID  # so that one head's void is not the other's
    write(label, path=samples.folder / "geometric" / "0.png")
    (folder / DATA / "splits").mkdir()
    (folder / DATA / "splits" / "every.txt").write_text("".join(f"{image_id}\n" for image_id in samples.ids))
    ended = run_fcn(["classifiers", "none"], folder)
    assert ended.returncode == 0, ended.stderr
    return folder


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, before: Path, run_fcn: tiny.RunFcn) -> Path:
    """The same, trained and scored, with nobody disturbing."""
    folder = shutil.copytree(before, tmp_path_factory.mktemp("done") / "toy")
    for stage in ("train", "evaluate"):
        ended = run_fcn([stage, RUN], folder)
        assert ended.returncode == 0, ended.stderr
    return folder


@pytest.fixture
def project(tmp_path: Path, done: Path) -> Iterator[Path]:
    """A copy of the trained project, for a test to spoil."""
    yield shutil.copytree(done, tmp_path / "toy")
    processes.end_all()


def test_every_head_is_scored(done: Path) -> None:
    """Each head has its histogram and its classes; the first one's metrics have the plain names."""
    data = done / DATA
    saved = checkpoint.load(data / f"nets/{RUN}.pt")
    assert saved.net is not None
    assert saved.net.heads == HEADS
    samples = Samples(data / "datasets/toy", [str(index) for index in range(len(SIZES))])
    net = trained(saved)
    wanted: dict[str, float] = {}
    by_class = json.loads((data / f"classes/{RUN}.json").read_text())
    assert list(by_class) == list(HEADS)
    for target, classes in HEADS.items():
        hist = np.zeros((classes, classes), np.int64)
        for image_id in samples.ids:
            sample = samples.read(image_id)
            found = net.predict({"rgb": saved.preprocessing["rgb"](sample.inputs["rgb"])[None]})[target][0].numpy()
            valid = sample.labels[target] != VOID
            np.add.at(hist, (sample.labels[target][valid], found[valid]), 1)
        assert np.array_equal(np.load(data / f"histograms/{RUN}/{target}.npy"), hist)
        prefix = "" if target == "semantic" else "geometric_"
        wanted |= {f"{prefix}{name}": value for name, value in asdict(metrics(hist)).items()}
        assert list(by_class[target]) == [f"class-{index}" for index in range(classes)]
    scores = json.loads((data / f"scores/{RUN}.json").read_text())
    assert scores.pop("images") == len(SIZES)
    constant = {name: scores.pop(name) for name in ("background_mean_iu", "geometric_background_mean_iu")}
    assert all(0 < value < 1 for value in constant.values())
    assert scores == pytest.approx(wanted)
    assert list(scores) == list(wanted)
    assert len(list((data / f"histograms/{RUN}").iterdir())) == 2


def test_the_releases_mean_stands_beside_one_over_the_truth(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a mean is over the classes in the truth, the one over all seen, as the release has it, is scored too."""
    monkeypatch.chdir(project)
    facts = Path(DATA, "datasets/toy/dataset.json")
    values = json.loads(facts.read_text())
    values["targets"]["semantic"]["average"] = "truth"
    facts.write_text(json.dumps(values))
    for label in Path(DATA, "datasets/toy/semantic").iterdir():
        image = read(label)
        write(np.where(image == 1, VOID, image).astype(np.uint8), path=label)
    assert main(["evaluate", RUN]) == 0
    scores = json.loads(Path(DATA, f"scores/{RUN}.json").read_text())
    hist = np.load(f"{DATA}/histograms/{RUN}/semantic.npy")
    assert scores["mean_iu_seen"] == metrics(hist).mean_iu
    assert scores["mean_iu"] == metrics(hist, over="truth").mean_iu
    assert "geometric_mean_iu_seen" not in scores


def test_the_net_knows_its_classes(done: Path) -> None:
    """Names and colours of both heads' classes travel with the net."""
    saved = checkpoint.load(done / DATA / f"nets/{RUN}.pt")
    facts = Samples(done / DATA / "datasets/toy", []).facts
    assert dict(saved.targets) == dict(facts.targets)
    assert saved.targets["geometric"].classes == ("class-0", "class-1", "class-2")
    assert saved.targets["geometric"].palette[1] == (128, 0, 0)


def test_both_heads_learn(done: Path, before: Path) -> None:
    """Score layers start at zero and have moved in both heads."""
    state = checkpoint.load(done / DATA / f"nets/{RUN}.pt").state
    for target in HEADS:
        for layer in ("score_fr", "score_pool4"):
            assert bool(state[f"heads.{target}.{layer}.weight"].any()), (target, layer)


def test_stopped_and_resumed_it_ends_with_the_same_bits(project: Path, run_fcn: tiny.RunFcn) -> None:
    """A training of two heads that is stopped by a signal and started again leaves the net of an undisturbed one."""
    path = project / DATA / f"nets/{RUN}.pt"
    whole = path.read_bytes()
    path.unlink()
    process = start(fcn("train", RUN), project, FCN_SAVE_SECONDS="0")
    until(lambda: saved_iteration(project, RUN) >= 5 or process.poll() is not None, doing="saving")
    process.terminate()
    assert process.wait() == 143, (project / "err").read_text()
    assert not path.exists()
    ended = run_fcn(["train", RUN], project)
    assert ended.returncode == 0, ended.stderr
    assert "going on after iteration" in ended.stderr
    assert path.read_bytes() == whole


def test_a_finer_net_starts_from_both_heads(project: Path, run_fcn: tiny.RunFcn) -> None:
    """The staged hand-over takes both heads along: with no iteration, only the new skips and last upsamplings are new.

    Where the parent's file has another shape than params.yaml says, it is refused by what would be lost.
    """
    values = params()
    values["recipes"]["some"] |= {"iterations": 0}
    tiny.write(project, values)
    ended = run_fcn(["train", FINER], project)
    assert ended.returncode == 0, ended.stderr
    parent, child = (checkpoint.load(project / DATA / f"nets/{run}.pt").state for run in (RUN, FINER))
    for name, tensor in parent.items():
        assert torch.equal(child[name], tensor) or name.endswith(".upscore.weight"), name
    values["nets"]["toy8"]["upsampling"] = values["nets"]["toy16"]["upsampling"] = "intermediate"
    tiny.write(project, values)
    ended = run_fcn(["train", FINER], project)
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].startswith(f"error: data/toy/nets/{RUN}.pt has learned its upsampling (all)")


@pytest.mark.parametrize(
    ("heads", "said"),
    [
        ({"semantic": 4, "depth": 3}, "has a head 'depth', but the labels of toy are: semantic, geometric"),
        ({"semantic": 4, "geometric": 5}, "5 classes for 'geometric', but toy has 3; write heads: {geometric: 3}"),
    ],
)
def test_heads_must_be_the_datasets(before: Path, tmp_path: Path, run_fcn: tiny.RunFcn, heads: Any, said: str) -> None:
    """A head that the dataset has no labels for, or another number of classes, is refused before the training."""
    project = shutil.copytree(before, tmp_path / "toy")
    tiny.write(project, params(heads))
    ended = run_fcn(["train", RUN], project)
    assert ended.returncode == 2
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    assert said in line
    assert f"runs.{RUN}.net" in line


def test_other_classes_are_not_scored(project: Path, run_fcn: tiny.RunFcn) -> None:
    """A val dataset whose classes have other names, or other numbers, is refused, and the old scores stay."""
    scores = (project / DATA / f"scores/{RUN}.json").read_bytes()
    for heads, prefix, said in (
        (HEADS, "thing", "toy has 4 classes for 'semantic', the net was trained on 4 others (class-0, class-1,"),
        (
            {"semantic": 4, "geometric": 2},
            "class",
            "toy has 2 classes for 'geometric', the net was trained on 3 others",
        ),
        ({"semantic": 4}, "class", "toy has 0 classes for 'geometric'"),
    ):
        pictures.describe(project / DATA / "datasets/toy", heads, prefix=prefix)
        ended = run_fcn(["evaluate", RUN], project)
        assert ended.returncode == 2
        (line,) = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
        assert line.startswith(f"error: runs.{RUN}.val: ")
        assert said in line
    assert (project / DATA / f"scores/{RUN}.json").read_bytes() == scores


def test_a_net_without_names_is_scored_with_the_datasets(project: Path, run_fcn: tiny.RunFcn) -> None:
    """Nets of the first checkpoint format don't name their classes: as many of the dataset's are theirs, no others."""
    path = project / DATA / f"nets/{RUN}.pt"
    scores, classes = ((project / DATA / f"{kind}/{RUN}.json").read_bytes() for kind in ("scores", "classes"))
    checkpoint.save(replace(checkpoint.load(path), targets={}), path)
    ended = run_fcn(["evaluate", RUN], project)
    assert ended.returncode == 0, ended.stderr
    assert (project / DATA / f"scores/{RUN}.json").read_bytes() == scores
    assert (project / DATA / f"classes/{RUN}.json").read_bytes() == classes
    pictures.describe(project / DATA / "datasets/toy", {"semantic": 7, "geometric": 3})
    ended = run_fcn(["evaluate", RUN], project)
    assert ended.returncode == 2
    assert "toy has 7 classes for 'semantic', the net was trained on 4; score it" in ended.stderr


def test_void_alone_is_not_scored(project: Path, run_fcn: tiny.RunFcn) -> None:
    """Labels without a pixel of any class have no score, and NaN is written nowhere; those of one class are doubted."""
    labels = list((project / DATA / "datasets/toy/geometric").iterdir())
    for path in labels:
        write(np.full_like(read(path), 2), path=path)
    ended = run_fcn(["evaluate", RUN], project)
    assert ended.returncode == 0, ended.stderr
    assert "warning: all labels of geometric are class-2 alone: a score says nothing" in ended.stderr
    scores = (project / DATA / f"scores/{RUN}.json").read_bytes()
    for path in labels:
        write(np.full_like(read(path), VOID), path=path)
    ended = run_fcn(["evaluate", RUN], project)
    assert ended.returncode == 2
    assert f"runs.{RUN}.val: every pixel of its {len(SIZES)} labels of geometric is void" in ended.stderr
    assert (project / DATA / f"scores/{RUN}.json").read_bytes() == scores
