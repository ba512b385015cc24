"""Small made-up results of the sample profile, written as the stages write them; the tables are the stage's own."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from fcn.config import Config, load
from fcn.datasets.formats.voc import TARGETS
from fcn.files import write_json
from fcn.scoring.metrics import class_metrics, constant_answer, metrics
from fcn.stages.places import Places
from tests import forked

PARAMS = "params.yaml"
SEMANTIC = TARGETS["semantic"]
# As a picture file starts; MLflow only copies it.
PICTURE = b"\x89PNG\r\n\x1a\n"


def make(root: Path, repository: Path, *runs: str) -> Config:
    """Fill `root` with the results of these runs of the sample profile, or of every one, and return the profile."""
    (root / PARAMS).write_text((repository / PARAMS).read_text(encoding="utf-8"), encoding="utf-8")
    config = load(root / PARAMS)
    places = Places(config)
    for index, name in enumerate(runs or config.runs):
        score(root, config, name, right=400 + 37 * index)
        history = [
            {"iteration": step, "images": 2 * step, "loss": 3.0 / step, "rate": 0.01} for step in range(1, 1205, 100)
        ]
        path = root / places.history(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in history), encoding="utf-8")
        cost = {"seconds": 61.5 + index, "peak_memory_bytes": 3 << 29, "device": "a CPU", "threads": 1, "torch": "2"}
        write_json(root / places.cost(name), {**cost, "pieces_per_pass": 1})
        picture = root / places.figures / f"{name}-curves.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(PICTURE + name.encode())
    (root / places.figures / "segmentations.png").write_bytes(PICTURE)
    timed = {"seconds_per_image": 0.0123, "median": 0.012, "deviation": 0.001, "trials": 20, "parameters": 123456}
    about = {"device": "a CPU", "threads": 1, "torch": "2", "side_px": 500}
    for net in config.nets:
        write_json(root / places.timing(net), {**about, **timed})
    for index, name in enumerate(config.datasets):
        write_json(root / places.audit(name), {"sha256": f"{index:064x}"})
    (root / places.report).mkdir(parents=True, exist_ok=True)
    (root / places.report / "report.html").write_text("<title>Report</title>", encoding="utf-8")
    lock = {
        "schema": "2.0",
        "stages": {
            f"{stage}@{name}": {"cmd": "-", "outs": [{"path": path.as_posix(), "hash": "md5", "md5": f"{index:032x}"}]}
            for index, name in enumerate(config.runs)
            for stage, path in (("train", places.net(name)), ("evaluate", places.histograms(name)))
        },
    }
    (root / "dvc.lock").write_text(json.dumps(lock), encoding="utf-8")  # JSON is YAML
    tables(root, repository)
    return config


def score(root: Path, config: Config, name: str, *, right: int) -> None:
    """What evaluate writes for a net that gets `right` of 1000 pixels of each class right and calls the others 0."""
    places = Places(config)
    hist = np.diag(np.full(len(SEMANTIC.classes), right, np.int64))
    hist[:, 0] += 1000 - right
    by_class = class_metrics(hist)
    path = root / places.histogram(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, hist)
    classes = {
        title: {"accuracy": float(by_class.accuracy[index]), "iu": float(by_class.iu[index])}
        for index, title in enumerate(SEMANTIC.classes)
    }
    write_json(root / places.classes(name), {"semantic": classes})
    background = metrics(constant_answer(hist)).mean_iu
    scores = {**asdict(metrics(hist)), "background_mean_iu": background, "images": 100}
    write_json(root / places.scores(name), scores)


def tables(root: Path, repository: Path) -> None:
    """Run the stage that makes the tables."""
    ended = forked.run(["tables", "--params", PARAMS], root, {"PYTHONPATH": str(repository), "OMP_NUM_THREADS": "1"})
    assert ended.returncode == 0, ended.stderr


def only(root: Path, config: Config, *keys: str) -> None:
    """Leave only these of the papers' tables, so that publishing is short."""
    for path in (root / Places(config).tables).iterdir():
        if path.stem not in ("scores", *keys):
            path.unlink()
