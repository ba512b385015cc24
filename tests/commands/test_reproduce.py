"""`python -m fcn reproduce`: DVC does it, and its stages are counted."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from fcn.commands.reproduce import Counter
from fcn.config import parse
from tests.training import processes, tiny


def test_stages_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage that begins has its number and what is left by the last time's costs; one that is up to date no line."""
    monkeypatch.chdir(tmp_path)
    cost = tmp_path / "data/tiny/cost"
    cost.mkdir(parents=True)
    for name in (tiny.COARSE, tiny.FINER, "evaluate@" + tiny.FINER):
        (cost / f"{name}.json").write_text(json.dumps({"seconds": 600.0}))
    two_lanes = Counter(parse(tiny.params()), 2).read(f"Running stage 'train@{tiny.COARSE}':\n")
    assert two_lanes == f"[1 of 17, about 15 min left] Running stage 'train@{tiny.COARSE}':\n"
    counter = Counter(parse(tiny.params()))
    told = [
        counter.read(line)
        for line in (
            "Stage 'code' didn't change, skipping\n",
            "Stage 'archives@voc2012' is cached - skipping run, checking out outputs\n",
            f"Running stage 'profiles/tiny/dvc.yaml:train@{tiny.COARSE}':\n",
            "> python -m fcn train\n",
            "Updating lock file 'dvc.lock'\n",
            "\tgit add dvc.lock\n",
            "\n",
            f"Stage 'train@{tiny.FINER}' didn't change, skipping\n",
            f"Running stage 'evaluate@{tiny.FINER}':\n",
        )
    ]
    assert told[1:4] == [
        "Stage 'archives@voc2012' is cached - skipping run, checking out outputs\n",
        f"[3 of 17, about 30 min left] Running stage 'profiles/tiny/dvc.yaml:train@{tiny.COARSE}':\n",
        "> python -m fcn train\n",
    ]
    assert re.fullmatch(rf"\[5 of 17, about \d+ min left\] Running stage 'evaluate@{tiny.FINER}':\n", told[8] or "")
    assert [told[index] for index in (0, 4, 5, 6, 7)] == [None] * 5
    assert counter.summary() == "2 of 17 stages ran, the rest was there already"
    shutil.rmtree(cost)
    assert Counter(parse(tiny.params())).read("Running stage 'code':\n") == "[1 of 17] Running stage 'code':\n"


def test_dvc_does_it(workspace_done: Path, tmp_path: Path) -> None:
    """Of an up-to-date project there is one line; where DVC fails, its words come through, and its exit code."""
    project = shutil.copytree(workspace_done, tmp_path / "project", symlinks=True)

    def reproduce() -> "subprocess.CompletedProcess[str]":
        command, environment = processes.fcn("reproduce"), processes.environment(PYTHONPATH="")
        return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)

    assert reproduce().stdout == "0 of 18 stages ran, the rest was there already\n"
    graph = (project / "dvc.yaml").read_text(encoding="utf-8")
    (project / "dvc.yaml").write_text(graph.replace("python -m fcn tables", "exit 7; python"), encoding="utf-8")
    ended = reproduce()
    assert re.search(r"(?m)^\[\d+ of 18, about \d+ min left\] Running stage 'tables':$", ended.stdout), ended.stdout
    assert "exited with 7" in ended.stderr
    assert ended.stderr.splitlines()[-1] == "error: `dvc repro dvc.yaml` failed; why is said above"
    assert ended.returncode == 255
