"""A small project on our conventions, and clones of it that know what their stages ran."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import ROOT

# As in our graph: a profile, the root as working directory, a stage a run, scores that are git's, a folder as a
# dependency, and a last stage whose output is kept out of the cache. Every stage says in ran.txt that it ran, which
# nobody tracks.
_COMMAND = "python -c \"open('ran.txt', 'a').write('{name}\\n')\" && {work}"
_GRAPH = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
_PUBLISHED = next(iter(_GRAPH["publish"]["outs"][0].values()))
_SCORES = next(iter(_GRAPH["evaluate"]["do"]["metrics"][0].values()))
STAGES: dict[str, Any] = {
    "train": {
        "foreach": "${runs}",
        "do": {
            "wdir": "${root}",
            "cmd": _COMMAND.format(
                name="train@${key}", work="mkdir -p data/nets && echo ${key} ${item.iterations} > data/nets/${key}.pt"
            ),
            "params": ["runs.${key}"],
            "outs": ["data/nets/${key}.pt"],
        },
    },
    "evaluate": {
        "foreach": "${runs}",
        "do": {
            "wdir": "${root}",
            "cmd": _COMMAND.format(
                name="evaluate@${key}",
                work="mkdir -p scores && md5sum data/nets/${key}.pt > scores/${key}.json",
            ),
            "deps": ["data/nets/${key}.pt"],
            "metrics": [{"scores/${key}.json": _SCORES}],
        },
    },
    "tables": {
        "wdir": "${root}",
        "cmd": _COMMAND.format(name="tables", work="mkdir -p data/tables && cat data/nets/* > data/tables/scores.md"),
        "deps": ["data/nets", "scores"],
        "outs": ["data/tables"],
    },
    "publish": {
        "wdir": "${root}",
        "cmd": _COMMAND.format(name="publish", work="md5sum data/tables/scores.md > data/published.json"),
        "deps": ["data/tables"],
        "outs": [{"data/published.json": _PUBLISHED}],
    },
}
RUNS = {"voc-fcn32s": {"iterations": 10}, "voc-fcn16s": {"iterations": 20}}


class Clone:
    """A git clone with a DVC cache of its own."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self._environment = {
            **os.environ,
            **environment,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "DVC_NO_ANALYTICS": "1",
        }

    def git(self, *arguments: str) -> None:
        """`git ...`, which must succeed."""
        self._run(["git", "-c", "user.name=test", "-c", "user.email=test@example.org", *arguments])

    def dvc(self, *arguments: str) -> str:
        """`dvc ...`, which must succeed; what it said."""
        return self._run([sys.executable, "-m", "dvc", *arguments])

    def _run(self, command: list[str]) -> str:
        ended = subprocess.run(
            command, cwd=self.folder, env=self._environment, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, f"{command}\n{ended.stdout}{ended.stderr}"
        return ended.stdout + ended.stderr

    def clone(self, folder: Path) -> "Clone":
        """A clone of what is committed here, with the same environment and an empty cache."""
        self.git("clone", "-q", str(self.folder), str(folder))
        other = Clone(folder)
        other._environment = self._environment
        return other

    def ran(self) -> list[str]:
        """The stages that ran here since this was asked last."""
        path = self.folder / "ran.txt"
        if not path.exists():
            return []
        found = path.read_text(encoding="utf-8").split()
        path.unlink()
        return found

    def set_iterations(self, run: str, iterations: int) -> None:
        """Change a parameter, as a person does."""
        path = self.folder / "params.yaml"
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        values["runs"][run]["iterations"] = iterations
        path.write_text(yaml.safe_dump(values), encoding="utf-8")

    def lock(self) -> dict[str, Any]:
        """dvc.lock as data: the order of its stages is nobody's promise."""
        found: dict[str, Any] = yaml.safe_load((self.folder / "dvc.lock").read_text(encoding="utf-8"))
        return found

    def result(self) -> str:
        """The table, which has all trainings' numbers."""
        return (self.folder / "data/tables/scores.md").read_text(encoding="utf-8")


def make(folder: Path, *, remote: str, options: dict[str, str], environment: dict[str, str]) -> Clone:
    """A project with our DVC configuration and the remote, in which nothing has run yet."""
    folder.mkdir()
    project = Clone(folder, **environment)
    project.git("init", "-q")
    project.dvc("init", "-q")
    shutil.copy(ROOT / ".dvc/config", folder / ".dvc/config")
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": STAGES}), encoding="utf-8")
    (folder / "params.yaml").write_text(yaml.safe_dump({"root": ".", "runs": RUNS}), encoding="utf-8")
    (folder / ".gitignore").write_text("/data/\n/ran.txt\n", encoding="utf-8")
    project.dvc("remote", "add", "-q", "--default", "shared", remote)
    for name, value in options.items():
        project.dvc("remote", "modify", "-q", "shared", name, value)
    project.git("add", ".")
    project.git("commit", "-q", "-m", "project")
    return project
