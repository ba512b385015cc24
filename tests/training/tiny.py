"""The tests' profile: the smoke profile's few small scenes and two narrow nets, in a folder of its own."""

import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

RunFcn = Callable[[Sequence[str], Path], "subprocess.CompletedProcess[str]"]

ROOT = Path(__file__).resolve().parents[2]
SMOKE = ROOT / "profiles/smoke/params.yaml"
COARSE, FINER = "voc-fcn32s-vgg16", "voc-fcn16s-vgg16"
BEFORE_TRAINING = [
    *([stage, name] for stage in ("archives", "datasets") for name in ("voc2012", "sbd")),
    ["splits"],
    ["classifiers", "vgg16-sample"],
]


def params(*, iterations: int = 80) -> dict[str, Any]:
    """The smoke profile as one of a project's root, on one thread; the second of its two runs starts from the first."""
    text = SMOKE.read_text(encoding="utf-8").replace("data/smoke/", "data/tiny/")
    values: dict[str, Any] = yaml.safe_load(text)
    values |= {"profile": "tiny", "params": "params.yaml", "root": ".", "threads": 1}
    values["recipes"]["coarse"]["iterations"] = iterations
    values["recipes"]["finer"]["iterations"] = iterations // 2
    return values


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
