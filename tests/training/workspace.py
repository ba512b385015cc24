"""A project folder with git and DVC, in which the tiny profile's graph can run."""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.training import tiny
from tests.training.processes import ROOT, environment

DVC = [sys.executable, "-m", "dvc"]


def make(folder: Path) -> Path:
    """The code, the graph and the tiny params, in a new git repository."""
    folder.mkdir()
    for name in ("fcn", ".dvc", "dvc.yaml", ".dvcignore", ".gitignore"):
        source = ROOT / name
        if source.is_dir():
            ignore = shutil.ignore_patterns("__pycache__", "tmp", "cache", "config.local")
            shutil.copytree(source, folder / name, ignore=ignore)
        else:
            shutil.copy(source, folder)
    tiny.write(folder, tiny.params())
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
