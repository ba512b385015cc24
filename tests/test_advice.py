"""What the README says to type: its quick commands of DVC work, and what it says of a DVC that was cut short is so."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.training import processes, tiny

README = (ROOT / "README.md").read_text(encoding="utf-8")
# Whole trainings, and what needs a remote, which have tests of their own (tests/training, tests/remotes).
ELSEWHERE = {"repro", "repro evaluate@voc-fcn8s-vgg16", "repro profiles/mine/dvc.yaml", "exp run", "exp run --temp"}
WITH_REMOTE = re.compile(r"[A-Z<]|^push|^pull")
SEVERAL = (
    "import sys, shlex; from dvc.cli import main\nfor line in sys.stdin: print('exit code', main(shlex.split(line)))"
)


def dvc(folder: Path, *commands: str) -> str:
    """These commands of DVC, in one process; what they said, with a line `exit code N` after each."""
    ended = subprocess.run(
        [sys.executable, "-c", SEVERAL],
        input="\n".join(commands),
        cwd=folder,
        env=processes.environment(PYTHONPATH=""),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    return ended.stdout


@pytest.fixture
def project(workspace_done: Path, tmp_path: Path) -> Path:
    """A copy of the tiny project in which everything is done and committed."""
    folder = shutil.copytree(workspace_done, tmp_path / "project", symlinks=True)
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@example.org"]
    for command in (["add", "."], ["commit", "-q", "-m", "done"]):
        subprocess.run([*git, *command], cwd=folder, check=True)
    return folder


def test_quick_commands_work(project: Path) -> None:
    """Every command of DVC in the README that needs no remote and trains nothing ends well, in the README's order."""
    told = [part for line in re.findall(r"`(dvc [^`]+)`", README) for part in line.split(" && ")]
    commands = list(dict.fromkeys(command.removeprefix("dvc ") for command in told))
    quick = [command for command in commands if command not in ELSEWHERE and not WITH_REMOTE.search(command)]
    assert len(quick) >= 10
    scores = project / f"data/tiny/scores/{tiny.FINER}.json"
    scores.write_text(json.dumps(json.loads(scores.read_text(encoding="utf-8")) | {"mean_iu": 0.5}), encoding="utf-8")
    said = dvc(project, *(command.replace("data/sample", "data/tiny") for command in quick))
    assert re.findall(r"(?m)^exit code (\d+)$", said) == ["0"] * len(quick), said
    assert "failed to load" not in said
    assert set(re.findall(r"(?m)^data/tiny/scores/(\S+)\.json ", said)) == {tiny.COARSE, tiny.FINER}
    assert re.search(rf"{tiny.FINER}\.json +mean_iu +0\.\d+ +0\.5 +\S+\n", said), "of the last commit and of now"


def test_what_is_wrong_with_params_is_told_in_our_words(project: Path) -> None:
    """Of a params.yaml that DVC can't read it says what the README quotes; doctor says what is wrong, and where."""
    params, doctor = project / "params.yaml", processes.fcn("doctor")
    text = params.read_text(encoding="utf-8")
    first, _, rest = text.partition("\n")
    cases = {
        "YAML file structure is corrupted": (f"{first}\n\t{rest}", "params.yaml, line 2, column 1: not YAML"),
        "found duplicate key": (f"{text}\nprofile: tiny\n", "the key 'profile' stands twice, first in line"),
        "failed to parse 'stages.": (None, "params.yaml: no such file"),
    }
    for words, (content, ours) in cases.items():
        params.unlink() if content is None else params.write_text(content, encoding="utf-8")
        assert words in dvc(project, "repro --dry")
        environment = processes.environment()
        ended = subprocess.run(doctor, cwd=project, env=environment, capture_output=True, text=True, check=False)
        assert ended.returncode == 2
        assert ours in ended.stderr
        assert f"`{words}" in README
    params.write_text(text, encoding="utf-8")
    words = "not found inside 'dvc.yaml' file"
    assert words in dvc(project, f"repro --dry evalaute@{tiny.FINER}")
    assert words in README


def test_a_dvc_that_was_cut_short_goes_on(project: Path) -> None:
    """DVC says what the README quotes; after `python -m fcn mend` it restores all that was done, and runs nothing."""
    whole = (project / "dvc.lock").read_bytes()
    subprocess.run(["git", "rm", "-q", "--cached", "dvc.lock"], cwd=project, check=True)
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "-"], cwd=project, check=True)
    cut = whole[: whole.index(b"size:") + len("size")]
    for left, words in ((cut, "'./dvc.lock' is invalid"), (b"", "'./dvc.lock' validation failed")):
        (project / "dvc.lock").write_bytes(left)
        assert words in dvc(project, "repro code")
        assert words in README
    (project / "dvc.lock").unlink()
    (project / ".dvc/tmp/rwlock").write_text('{"wri')
    assert "Unable to read RWLock-file" in dvc(project, "repro code")
    (project / "dvc.lock").write_bytes(cut)
    mended = subprocess.run(
        processes.fcn("mend"), cwd=project, env=processes.environment(), capture_output=True, text=True, check=True
    )
    assert len(mended.stderr.splitlines()) == 2
    said = dvc(project, f"repro evaluate@{tiny.FINER}")
    assert said.endswith("exit code 0\n"), said
    assert "is cached - skipping run" in said
    assert "Running stage" not in said
