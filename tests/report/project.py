"""A small project whose road was walked up to the tables: generated data, nets of a few steps."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import yaml

from fcn.cli import main
from fcn.config import parse
from fcn.departures import departures
from fcn.nets import checkpoint
from fcn.nets.fcn import is_score_layer

ROOT = Path(__file__).resolve().parents[2]
RUNS = ("voc-fcn32s-alexnet", "voc-fcn32s-vgg16", "voc-fcn16s-vgg16", "voc-fcn8s-vgg16")
SCENES = {"sbd_train": 8, "voc_train": 4, "voc_val": 14, "leaked": 4}
COUNTS = {"sbd-train": 8, "voc2012-train": 4, "voc2012-val": 14, "voc2012-val-minus-sbd-train": 10}


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Be in `folder`, as DVC is when it runs a stage."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def small_params() -> dict[str, Any]:
    """The sample profile's parameters, with four runs of a few steps on a few scenes, all from scratch."""
    params: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["threads"] = 1  # as many as tests have, so that a test may ask a net the same and get the same
    for section in ("archives", "datasets"):
        params[section] = {name: params[section][name] for name in ("voc2012", "sbd")}
    for archive in params["archives"].values():
        archive["scenes"] = dict(SCENES)
    params["lists"] = {name: {**params["lists"][name], "expect": count} for name, count in COUNTS.items()}
    params["disjoint"] = [pair for pair in params["disjoint"] if set(pair) <= COUNTS.keys()]
    backbones = params["backbones"]
    params["classifiers"] = {
        name: {"backbone": backbones[name], "preprocessing": "sample"} for name in ("alexnet", "vgg16")
    }
    params["runs"] = {name: params["runs"][name] for name in RUNS}
    for run in params["runs"].values():
        if run["init"].startswith("weights/"):
            run["init"] = f"weights/{run['net'].partition('-')[2]}"
    nets = {run["net"] for run in params["runs"].values()}
    params["nets"] = {name: net for name, net in params["nets"].items() if name in nets}
    for recipe in params["recipes"].values():
        recipe["iterations"] = 12
    config = parse(params)
    needed = {item.name for name in RUNS for item in departures(config, name)}
    params["departures"] = {name: reason for name, reason in params["departures"].items() if name in needed}
    return params


def make(folder: Path) -> None:
    """Walk from archives to tables in `folder`; times, which no two machines share, are given."""
    params = small_params()
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    with inside(folder):
        for stage, names in (("archives", params["archives"]), ("datasets", params["datasets"])):
            for name in names:
                _run(stage, name)
        _run("splits")
        for name in params["classifiers"]:
            _run("classifiers", name)
        for name in RUNS:
            _run("train", name)
            _stir(Path(f"data/sample/nets/{name}.pt"), seed=len(name))
            _run("evaluate", name)
        about = {"device": "CPU (a test)", "threads": 1, "torch": "2", "side_px": 500}
        Path("data/sample/timing").mkdir()
        for index, name in enumerate(params["nets"]):
            timed = {"seconds_per_image": 0.0251 + index, "trials": 20, "parameters": 1_234_567 + index}
            Path(f"data/sample/timing/{name}.json").write_text(json.dumps({**about, **timed}))
        _run("tables")


def _stir(net: Path, *, seed: int) -> None:
    """Give a net of a few steps, which answers background everywhere, other answers: its score layers get noise."""
    saved = checkpoint.load(net)
    random = torch.Generator().manual_seed(seed)
    for name, tensor in saved.state.items():
        if is_score_layer(name):
            tensor += torch.randn(tensor.shape, generator=random) * 0.3
    checkpoint.save(saved, net)


def _run(*arguments: str) -> None:
    assert main(arguments) == 0, arguments
