"""A project folder with git and DVC, in which the tiny profile's graph can run."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import torch

from fcn.nets.backbones import vgg16
from tests.training import tiny
from tests.training.processes import ROOT, environment

DVC = [sys.executable, "-m", "dvc"]


def make(folder: Path) -> Path:
    """The code, the graph and the tiny params, in a new git repository."""
    folder.mkdir()
    for name in ("fcn", "flows", ".dvc", "dvc.yaml", ".dvcignore", ".gitignore"):
        source = ROOT / name
        if source.is_dir():
            ignore = shutil.ignore_patterns("__pycache__", "tmp", "cache", "config.local")
            shutil.copytree(source, folder / name, ignore=ignore)
        else:
            shutil.copy(source, folder)
    values = tiny.params()
    backbone = values["backbones"]["vgg16"]
    sizes = {name: value for name, value in backbone.items() if name in ("width", "fc", "input_px")}
    torch.save(vgg16.classifier(**sizes, classes=20).state_dict(), folder / "vgg16.pth")
    entry = {"backbone": backbone, "kind": "state_dict", "from": "vgg16.pth", "preprocessing": "sample"}
    tiny.write(folder, values | {"weights": {"vgg16-file": entry}})  # so that the graph has a stage of every kind
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "tiny"]):
        subprocess.run([*git, *command], cwd=folder, check=True, capture_output=True)
    return folder


def repro(folder: Path, *arguments: str, **extra: str) -> str:
    """`dvc repro`, which must succeed; what it said."""
    ended = subprocess.run(
        [*DVC, "repro", *arguments],
        cwd=folder,
        env=environment(**({"PYTHONPATH": ""} | extra)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def ran_in_a_clone(folder: Path, clone: Path, *targets: str) -> list[str]:
    """What `dvc repro` runs in a git clone of `folder`, as it is now, which takes its results from the same cache."""
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@example.org"]
    for command in (["add", "--all"], ["commit", "-q", "-m", "as it is"], ["clone", "-q", ".", str(clone)]):
        subprocess.run([*git, *command], cwd=folder, check=True, capture_output=True)
    for options in (["cache", "dir", "--local", str(folder / ".dvc/cache")], ["checkout", "-q", *targets]):
        subprocess.run([*DVC, *options], cwd=clone, env=environment(), check=True, capture_output=True)
    return re.findall(r"Running stage '(.*)'", repro(clone, *targets))
