"""A miniature of the sample profile: a few small scenes, networks a sixteenth as wide, dozens of iterations."""

import copy
import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from fcn.config import parse
from fcn.departures import _differences

RunFcn = Callable[[Sequence[str], Path], "subprocess.CompletedProcess[str]"]

ROOT = Path(__file__).resolve().parents[2]
RECIPE = {
    "trained": "all", "mirror": True, "crop": 64, "jitter": 4, "batch": 2, "accumulation": 1, "momentum": 0.9,
    "rate": 0.01, "bias_rate": 2, "decay": 5.0e-4, "loss": "mean", "precision": "bfloat16", "warmup": 5,
    "drop_at": 0.75, "clip": 1.0, "score_rate": 10,
}  # fmt: skip
TRAINING = {"crops": 20, "held_out": 8, "batch": 4, "iterations": 3, "rate": 1.0e-3, "precision": "float32"}
COARSE, FINER = "voc-fcn32s-vgg16", "voc-fcn16s-vgg16"
BEFORE_TRAINING = [
    *([stage, name] for stage in ("archives", "datasets") for name in ("voc2012", "sbd")),
    ["splits"],
    ["classifiers", "vgg16-sample"],
]


def params(*, iterations: int = 80) -> dict[str, Any]:
    """The root's params.yaml with smaller numbers, and two runs, of which the second starts from the first."""
    values: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    values |= {"profile": "tiny", "params": "params.yaml", "root": ".", "threads": 1}
    scenes = {"sbd_train": 8, "voc_train": 2, "voc_val": 4, "leaked": 1}
    for name in ("voc2012", "sbd"):
        values["archives"][name]["scenes"] = scenes
        values["datasets"][name]["from"] = f"data/tiny/archives/{name}"
    expected = {"sbd-train": 8, "voc2012-train": 2, "voc2012-val": 4, "voc2012-val-minus-sbd-train": 3}
    for name, count in expected.items():
        values["lists"][name]["expect"] = count
    vgg16 = {"architecture": "vgg16", "width": 0.0625, "fc": 8, "input_px": 32, "dropout": 0.5}
    values["backbones"] = {"vgg16": vgg16}
    values["classifiers"] = {
        "vgg16-sample": values["classifiers"]["vgg16-sample"] | {"backbone": vgg16, "training": TRAINING}
    }
    values["recipes"] = {
        "coarse": RECIPE | {"iterations": iterations},
        "finer": RECIPE | {"accumulation": 2, "iterations": iterations // 2},
    }
    values["runs"] = {name: values["runs"][name] for name in (COARSE, FINER)}
    nets = [run["net"] for run in values["runs"].values()]
    values["nets"] = {name: values["nets"][name] | {"backbone": vgg16} for name in nets}
    values = copy.deepcopy(values)  # without the anchors, which would be written as such
    config = parse(values)
    names = [difference.name for run in config.runs for difference in _differences(config, run)]
    return values | {"departures": dict.fromkeys(names, "it is a test")}


def write(folder: Path, values: dict[str, Any]) -> Path:
    """Make `values` the folder's params.yaml."""
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(json.loads(json.dumps(values)), sort_keys=False), encoding="utf-8")
    return path


def build(folder: Path, run_fcn: RunFcn) -> None:
    """Run every stage before the trainings in the folder, from its params.yaml."""
    for command in BEFORE_TRAINING:
        ended = run_fcn(command, folder)
        assert ended.returncode == 0, ended.stderr
