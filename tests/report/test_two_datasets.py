"""Figures, tables and report of a profile with a second dataset, which has other classes and no background."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from fcn import tables
from fcn.cli import main
from fcn.config import Config, load
from fcn.datasets import labels
from fcn.datasets.facts import Facts, Target
from fcn.files import write_json
from fcn.nets import checkpoint, preprocessing
from fcn.nets.checkpoint import Checkpoint
from fcn.nets.fcn import FCN, is_score_layer
from fcn.publishing import card
from fcn.report import summary
from fcn.stages.places import Places
from fcn.stages.publish import wanted
from fcn.stages.report import material
from tests.report.project import RUNS, inside
from tests.report.reading import markdown_tables

pytestmark = pytest.mark.slow
ROOMS = Target(
    classes=("sky", "ground", "wall"),
    background=None,
    average="truth",
    palette=((10, 20, 200), (90, 200, 30), (200, 40, 50)),
)
COARSE, FINE = "rooms-fcn32s-vgg16", "rooms-fcn16s-vgg16"


def add_rooms(folder: Path) -> None:
    """A second dataset with the ids of the first, and two runs on it, which do better than all others."""
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["datasets"]["rooms"] = {"format": "voc", "from": "rooms"}
    params["lists"]["rooms-val"] = {"dataset": "rooms", "list": "val"}
    ref = {"dataset": "rooms", "list": "rooms-val"}
    for name, parent in ((COARSE, None), (FINE, COARSE)):
        old = params["runs"][name.replace("rooms", "voc")]
        params["nets"][name] = {**params["nets"][old["net"]], "heads": {"semantic": 3}}
        init = old["init"] if parent is None else f"nets/{parent}"
        params["runs"][name] = {**old, "train": ref, "val": ref, "net": name, "init": init}
    params["departures"]["keep"] = "a test"
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    config = load(folder / "params.yaml")
    places = Places(config)
    splits = json.loads(places.audit("splits").read_text())
    write_json(places.audit("splits"), {"rooms-val": {"count": 5, "sha256": "0"}, **splits})
    shares = {"class_share": dict.fromkeys(ROOMS.classes, 0.3), "labels": 5, "void_share": 0.0, "sha256": "0"}
    sides = {f"{side}_{end}": 64 for side in ("width", "height") for end in ("min", "max")}
    write_json(places.audit("rooms"), {**shares, **sides})
    add_pictures(places)
    for index, name in enumerate((COARSE, FINE)):
        add_run(config, name, right=800 + 100 * index)


def add_pictures(places: Places) -> None:
    """Five pictures of 64 px in blocks of the three classes."""
    ids = places.list_file("voc2012-val-minus-sbd-train").read_text().split()[:5]
    places.list_file("rooms-val").write_text("".join(f"{image_id}\n" for image_id in ids))
    folder, random = places.dataset("rooms"), np.random.default_rng(0)
    for name in ("rgb", "semantic"):
        (folder / name).mkdir(parents=True)
    for image_id in ids:
        label = random.integers(3, size=(4, 4), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
        Image.fromarray(labels.palette(ROOMS.palette)[label]).save(folder / f"rgb/{image_id}.jpg")
        labels.write(label, path=folder / f"semantic/{image_id}.png", colours=ROOMS.palette)
    facts = Facts(format="voc", generated=False, inputs={"rgb": 3}, targets={"semantic": ROOMS}, images=5, sha256="0")
    write_json(folder / "dataset.json", facts.as_json())


def add_run(config: Config, name: str, *, right: int) -> None:
    """A net that nobody trained, and made-up scores as evaluate writes them without a background."""
    places, shape = Places(config), config.net(name)
    torch.manual_seed(right)
    net = FCN(shape)
    for key, parameter in net.named_parameters():
        if is_score_layer(key):
            torch.nn.init.normal_(parameter, std=0.3)
    prepared = {"rgb": preprocessing.preset("sample")}
    saved = Checkpoint(
        backbone=shape.backbone,
        net=shape,
        targets={"semantic": ROOMS},
        preprocessing=prepared,
        state=net.state_dict(),
        provenance={},
    )
    checkpoint.save(saved, places.net(name))
    hist = np.full((3, 3), (1000 - right) // 2, np.int64)
    np.fill_diagonal(hist, right)
    places.histogram(name, "semantic").parent.mkdir(parents=True)
    np.save(places.histogram(name, "semantic"), hist)
    share = right / 1000
    iu = right / (2000 - right)
    write_json(places.classes(name), {"semantic": {title: {"accuracy": share, "iu": iu} for title in ROOMS.classes}})
    metrics = {"pixel_acc": share, "mean_acc": share, "mean_iu": iu, "fw_iu": iu}
    write_json(places.scores(name), {**metrics, "images": 5})
    rows = [{"iteration": step, "images": step, "loss": 1 / step, "rate": 0.1} for step in range(1, 5)]
    places.history(name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    timed = {"device": "CPU (a test)", "threads": 1, "torch": "2", "side_px": 500, "trials": 20}
    write_json(places.timing(name), {**timed, "seconds_per_image": 0.5, "parameters": 1000})


@pytest.fixture(name="both", scope="module")
def _both(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with both datasets, walked from tables to the report once more; tests only read it."""
    folder = tmp_path_factory.mktemp("both") / "project"
    shutil.copytree(project, folder, ignore=shutil.ignore_patterns("figures", "report", "tables", "archives"))
    with inside(folder):
        add_rooms(folder)
        for stage in ("tables", "figures", "report"):
            assert main([stage]) == 0, stage
    return folder


@pytest.fixture(name="index")
def _index(both: Path) -> Any:
    return json.loads((both / "data/sample/figures/index.json").read_text())


def test_every_figure_has_its_own_classes(index: Any) -> None:
    """Words of figures on the second dataset count its classes and name them; the first's stay as they were."""
    alt = {figure["key"]: figure["alt"] for figure in index["figures"]}
    assert f"Confusion matrix of {FINE}, 3 classes" in alt[f"confusion-{FINE}"]
    assert f"Confusion matrix of {RUNS[0]}, 21 classes" in alt[f"confusion-{RUNS[0]}"]
    assert "IU for 3 classes" in alt[f"classes-{FINE}"]
    assert "IU for 21 classes" in alt[f"classes-{RUNS[-1]}"]


def test_figures_of_the_first_dataset_stay_the_same(project: Path, both: Path) -> None:
    """Beside a second dataset, pictures of the first's runs are what they were, to the byte."""
    before, after = (folder / "data/sample/figures/charts" for folder in (project, both))
    names = ["score-maps", f"classes-{RUNS[-1]}", f"segmentations-{RUNS[-1]}", *(f"confusion-{run}" for run in RUNS)]
    assert [
        name for name in names if (before / f"{name}.png").read_bytes() != (after / f"{name}.png").read_bytes()
    ] == []


def test_layers_and_legend_are_in_the_datasets_own_colours(both: Path, index: Any) -> None:
    """A switch's layers have the palette of its dataset, though both have the same ids, and its legend the names."""
    figures, places = both / "data/sample/figures", both / "data/sample/datasets"
    switches = {switch["key"]: switch for switch in index["switches"]}
    known = {"#" + bytes(colour).hex(): name for name, colour in zip(ROOMS.classes, ROOMS.palette, strict=True)}
    legend = {entry["colour"]: entry["name"] for entry in switches[FINE]["legend"]}
    assert legend == known
    assert {"background"} <= {entry["name"] for entry in switches[RUNS[-1]]["legend"]}
    for key, dataset, colours in (
        (FINE, "rooms", labels.palette(ROOMS.palette)),
        (RUNS[-1], "voc2012", labels.palette()),
    ):
        for picture in switches[key]["pictures"]:
            truth = np.array(Image.open(places / dataset / f"semantic/{picture['id']}.png"))
            layer = np.array(Image.open(figures / picture["layers"][-1]["file"]).convert("RGB"))
            assert np.array_equal(layer[truth != labels.VOID], colours[truth[truth != labels.VOID]])
    assert set(known) < set(index["colours"])
    assert len(index["colours"]) == 21 + 1 + 3


def test_the_best_is_of_one_list_and_target(both: Path) -> None:
    """Runs on other lists than the first one's, or of another target, may be easier: the best is none of them."""
    with inside(both):
        content = material(load(Path("params.yaml")))
    first, *others = content.scores["scores"]
    known = {row["run"]: row["numbers"]["mean_iu"] for row in (first, *others) if row["run"] in RUNS}
    best = max(known, key=lambda run: known[run])
    assert max(known.values()) < 81.8
    assert f"The best on {first['val']}, {best}, has a mean IU of {known[best]:.1f} on 10 " in summary.words(content)
    assert summary.facts(content)["best mean IU"] == f"{known[best]:.1f}"
    other = {"fcn32s-alexnet": replace(content.config.net(RUNS[0]), heads={"geometric": 21})}
    config = replace(content.config, nets=content.config.nets | other)
    of_first = summary.words(replace(content, config=config))
    assert f"The best on {first['val']}, {RUNS[0]}, has a mean IU of {known[RUNS[0]]:.1f} on" in of_first


def test_without_a_background_its_score_is_left_out(both: Path) -> None:
    """The summary of a best run without background, its scores, MLflow run and model card name none."""
    report = both / "data/sample/report/report.md"
    with inside(both):
        content = material(load(Path("params.yaml")))
    rows = {"scores": [row for row in content.scores["scores"] if row["run"] not in RUNS]}
    alone = summary.words(replace(content, scores={**content.scores, **rows}, figures={"switches": []}))
    assert f"The best on rooms-val, {FINE}, has a mean IU of 81.8 on 5 images. " in alone
    head, *lines = markdown_tables(report)["Scores of all runs: generated pictures in part"]
    cells = {line[0]: line[head.index("all background")] for line in lines}
    assert [cells[run] for run in (COARSE, FINE)] == ["-", "-"]
    assert all(float(cells[run]) > 0 for run in RUNS)
    scores = json.loads((both / "data/sample/tables/scores.json").read_text())["scores"]
    ours, rooms = ([row for row in scores if (row["run"] in RUNS) is known] for known in (True, False))
    assert "all background" in tables.score_note(ours, {})
    assert "all background" not in tables.score_note(rooms, {})
    with inside(both):
        config = load(Path("params.yaml"))
        trainings = next(item for item in wanted(config) if "background_mean_iu" in item.entries[0].metrics)
        assert {entry.name for entry in trainings.entries if "background_mean_iu" in entry.metrics} == set(RUNS)
        assert {entry.name for entry in trainings.entries} == {*RUNS, COARSE, FINE}
        text = {row["run"]: card.card(config, row, departures=[]) for row in scores}
    assert "one of them, mostly background. " in text[RUNS[-1]]
    assert "one of them. " in text[FINE]


def test_classes_of_another_dataset_are_left_open(both: Path) -> None:
    """The table of classes has those of both datasets; a run's cells of the other's classes are `-`, and it says so."""
    head, *lines = markdown_tables(both / "data/sample/report/report.md")["IU by class: generated pictures in part"]
    found = {line[0]: line[head.index(FINE)] for line in lines}
    assert {name: found[name] for name in ("sky", "plain star")} == {"sky": "81.8", "plain star": "-"}
    assert "or none of the dataset’s" in (both / "data/sample/report/report.md").read_text()


def test_times_of_a_busy_machine_are_called_so() -> None:
    """Whether the trials disagreed or others wanted the cores all the while; one's own two threads are no others."""
    timed = {"side_px": 500, "device": "CPU", "precision": "float32", "steady": True, "load_average": 2.4, "cores": 2}
    assert "busy" not in tables.score_note([], {"quiet": timed})
    timing = {"quiet": timed, "uneven": {**timed, "steady": False}, "late": {**timed, "load_average": 3.1}}
    assert "busy while it timed uneven, late:" in tables.score_note([], timing)
