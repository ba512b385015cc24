"""The nets that the authors released fill rows of the papers' tables of all datasets, without any training."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from fcn.cli import main
from fcn.files import write_json
from tests.weights import test_released as released
from tests.weights.test_caffe_file import caffemodel

# By dataset: the run, the released net that it scores, and the row that it fills.
RUNS = {
    "siftflow": ("siftflow-fcn8s-vgg16-released", "siftflow-fcn8s-heavy", ("pami_siftflow", "FCN-8s")),
    "nyud": ("nyud-fcn32s-vgg16-rgb-hha-released", "nyud-fcn32s-color-hha-heavy", ("pami_nyud", "FCN-32s RGB-HHA")),
    "context59": ("context-fcn16s-vgg16-released", "pascalcontext-fcn16s-heavy", ("pami_context_59", "FCN-16s")),
}
LISTS = {"siftflow": ("trainval", "test"), "nyud": ("trainval", "test"), "context59": ("train", "val")}
MEANS = {"siftflow": "caffe-siftflow", "nyud": "caffe-nyud", "context59": "caffe"}
# A stand-in's pictures are few and generated, and the nets of this test narrow.
DEPARTURES = ("val-list", "input", "fc", "width")


def params() -> dict[str, Any]:
    """A profile whose runs score nets of the shapes in profiles/paper, but narrow, on the sample's stand-ins."""
    paper = yaml.safe_load(Path(__file__).resolve().parents[2].joinpath("profiles/paper/params.yaml").read_text())
    backbone = asdict(released.RELEASED["nyud-fcn32s-hha-heavy"][0])
    nets = {run: {**paper["nets"][paper["runs"][run]["net"]], "backbone": backbone} for run, _, _ in RUNS.values()}
    found: dict[str, Any] = {
        "profile": "tiny",
        "root": ".",
        "params": "params.yaml",
        "threads": 1,
        "archives": {},
        "datasets": {},
        "lists": {},
        "weights": {},
        "nets": nets,
        "recipes": {"released": paper["recipes"]["released"]},
        "runs": {},
        "departures": dict.fromkeys(DEPARTURES, "a test"),
    }
    for name, (run, net, _) in RUNS.items():
        kind = "context" if name == "context59" else name
        found["archives"][kind] = {"kind": "sample", "format": kind, "train": 3, "val": 2}
        found["datasets"][name] = {"format": name, "from": f"data/tiny/archives/{kind}"}
        train, val = ({"dataset": name, "list": f"{name}-{each}"} for each in LISTS[name])
        found["lists"] |= {
            ref["list"]: {**ref, "list": each} for ref, each in zip((train, val), LISTS[name], strict=True)
        }
        entry = {"backbone": backbone, "kind": "caffemodel", "from": f"{net}.caffemodel", "preprocessing": MEANS[name]}
        found["weights"][net] = entry
        about = {"regime": "pami", "train": train, "val": val, "net": run, "init": f"weights/{net}"}
        found["runs"][run] = {**about, "recipe": "released"}
    return found


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """The tables by key, of a project that went through all stages up to them."""
    folder = tmp_path_factory.mktemp("released")
    values = params()
    (folder / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    for _, net, _ in RUNS.values():
        layers = released.two_trunks()[0] if "color-hha" in net else released.their_layers(net, released.made(net))
        (folder / f"{net}.caffemodel").write_bytes(caffemodel(layers))
    each = {"archives": "archives", "datasets": "datasets", "weights": "weights", "train": "runs", "evaluate": "runs"}
    stages = [[stage, name] for stage, section in each.items() for name in values[section]]
    stages[6:6] = [["splits"]]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for net in values["nets"]:  # times, which take minutes here and are asked by nobody, are given
            timed = {"device": "a test", "side_px": 500, "seconds_per_image": 0.1, "trials": 20, "parameters": 1}
            write_json(folder / f"data/tiny/timing/{net}.json", timed)
        for stage in [*stages, ["tables"]]:
            assert main(stage) == 0, stage
    return {path.stem: json.loads(path.read_text()) for path in (folder / "data/tiny/tables").glob("*.json")}


@pytest.mark.slow
@pytest.mark.parametrize("dataset", RUNS)
def test_a_released_net_fills_its_row(tables: Mapping[str, Any], dataset: str) -> None:
    """Every cell of the row has a number of the released net's, and the run departs in nothing that a net can."""
    run, _, (key, label) = RUNS[dataset]
    row = next(row for row in tables[key]["rows"] if row["row"] == label)
    assert row["run"] == run
    assert all(0 <= cell["ours"] <= 100 for cell in row["cells"].values())
    assert {item["name"] for item in tables["scores"]["departures"][run]} == set(DEPARTURES)


@pytest.mark.slow
def test_siftflow_has_both_means(tables: Mapping[str, Any]) -> None:
    """SIFT Flow's row says what mean IU is by the release's own rule, which is never above the papers'."""
    run = RUNS["siftflow"][0]
    numbers = next(row["numbers"] for row in tables["scores"]["scores"] if row["run"] == run)
    assert 0 <= numbers["mean_iu_seen"] <= numbers["mean_iu"]
    assert f"mean IU is {numbers['mean_iu_seen']:.1f} for {run}" in tables["pami_siftflow"]["remarks"]
