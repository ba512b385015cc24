"""A small project in which everything agrees: made-up results, and the report, MLflow and DVC that tell the same."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import yaml

from fcn.config import Config
from fcn.datasets import audit
from fcn.datasets.audit import Audited
from fcn.datasets.formats import voc
from fcn.files import write_json
from fcn.stages.places import Places
from tests.conftest import RunFcn
from tests.publishing import results

BEST = "voc-fcn8s-vgg16"
Doctor = Callable[..., tuple[int, dict[str, dict[str, str]]]]

# DVC's part is small: who made which results, and in which order.
STAGES = {
    "evaluate": {"outs": ["data/sample/scores", "data/sample/timing"]},
    "tables": {"deps": ["data/sample/scores", "data/sample/timing"], "outs": ["data/sample/tables"]},
    "report": {"deps": ["data/sample/tables"], "outs": ["data/sample/report"]},
}


def make(root: Path, repository: Path, run_fcn: RunFcn) -> None:
    """Fill `root`: results of every run, two of the papers' tables, the report, MLflow, and DVC's lock and cache."""
    config = results.make(root, repository)
    results.only(root, config, "cvpr_table2", "pami_table3")
    shutil.rmtree(root / Places(config).report)
    _what_a_report_needs(root, config)
    for stage in ("report", "publish"):
        ended = run_fcn([stage], root)
        assert ended.returncode == 0, ended.stderr
    (root / "dvc.lock").unlink()
    stages = {name: {"cmd": f"python -m fcn {name}", **stage} for name, stage in STAGES.items()}
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}), encoding="utf-8")
    shutil.copy(repository / "pyproject.toml", root)
    for command in (["git", "init", "-q"], [*DVC, "init", "-q"], [*DVC, "commit", "-f", "-q"]):
        subprocess.run(command, cwd=root, check=True, capture_output=True)


DVC = [sys.executable, "-m", "dvc"]


def _what_a_report_needs(root: Path, config: Config) -> None:
    places = Places(config)
    write_json(root / places.figures / "index.json", {"figures": [], "switches": []})
    picture = Audited(height=100, width=160, pixels={"semantic": np.full(256, 9)})
    classes = {name: target.classes for name, target in voc.TARGETS.items()}
    for dataset in config.datasets:
        write_json(root / places.audit(dataset), {**audit.metric([picture] * 3, classes=classes), "sha256": "0" * 64})
    counted = {name: {"count": 3, "sha256": "0" * 64} for name in config.lists}
    write_json(root / places.audit("splits"), {**counted, "disjoint": {"a, b": True}})


def database(root: Path) -> str:
    """MLflow's address of the project's database."""
    return f"sqlite:///{root}/mlflow.db"


def edit(path: Path, old: str, new: str) -> None:
    """Put a file with other text in the place of one: what DVC has made is read-only, and linked to its cache."""
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{path} has no {old!r}"
    path.unlink()
    path.write_text(text.replace(old, new), encoding="utf-8")


def score(root: Path, run: str) -> float:
    """A run's mean IU in percent."""
    scores = json.loads((root / "data/sample/scores" / f"{run}.json").read_text(encoding="utf-8"))
    return 100 * float(scores["mean_iu"])


def broken(found: dict[str, dict[str, str]]) -> set[str]:
    """The names of what is broken; each of them says what to do."""
    names = {name for name, item in found.items() if item["state"] == "broken"}
    assert all(found[name]["do"] for name in names)
    return names
