"""flows/lanes.py: DVC alone, stages side by side, on a graph of stages that take no time."""

import contextlib
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import yaml

from tests.training import processes, tiny

LANES = [sys.executable, "-m", "flows.lanes"]
WAIT = "for n in $(seq 3000); do [ -e {0} ] && break; sleep 0.1; done; [ -e {0} ]"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Two chains that need each other's beginnings to have begun, a time that is taken alone, and a table of all."""
    shutil.copyfile(processes.ROOT / "params.yaml", tmp_path / "params.yaml")
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    write(tmp_path, a=f"touch a-began; {WAIT.format('b-began')}", b=f"touch b-began; {WAIT.format('a-began')}")
    return tmp_path


def write(project: Path, *, a: str, b: str, timing: str = "! ls [!t]*-works train-*-works 2>/dev/null") -> None:
    """The graph, with what three of its stages do."""

    def stage(name: str, do: str, *needs: str) -> dict[str, object]:
        out = name.replace("@", "-")
        command = f"touch {out}-works; ({do}) && rm {out}-works && echo {name} > {out}"
        return {"cmd": command, "deps": [need.replace("@", "-") for need in needs], "outs": [out]}

    graph = {
        "code": stage("code", "true"),
        "train": {"foreach": ["a", "b"], "do": stage("train@${item}", "sh train-${item}.sh", "code")},
        "evaluate": {"foreach": ["a", "b"], "do": stage("evaluate@${item}", "true", "train@${item}")},
        "timing": {"foreach": ["net"], "do": stage("timing@${item}", timing, "code")},
        "tables": stage("tables", "true", "evaluate@a", "evaluate@b", "timing@net"),
    }
    (project / "train-a.sh").write_text(a)
    (project / "train-b.sh").write_text(b)
    (project / "dvc.yaml").write_text(yaml.safe_dump({"stages": graph}))


def lanes(project: Path) -> "subprocess.CompletedProcess[str]":
    """Two of them, to their end."""
    return subprocess.run(
        [*LANES, "sample", "2", "0"],
        cwd=project,
        env=processes.environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def test_stages_run_side_by_side_and_dvc_keeps_them_all(project: Path) -> None:
    """Two that wait for each other both end, the timing has no other beside it, and DVC finds everything up to date."""
    ended = lanes(project)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    names = {"code", "train@a", "train@b", "evaluate@a", "evaluate@b", "timing@net", "tables"}
    assert {line.split("'")[1] for line in ended.stdout.splitlines() if line.startswith("Running stage")} == names
    assert yaml.safe_load((project / "dvc.lock").read_text())["stages"].keys() == names
    again = lanes(project)
    assert again.returncode == 0
    assert again.stdout.splitlines() == [f"Stage '{name}' didn't change, skipping" for name in ["code", *sorted(names)]]


def test_after_a_failure_none_is_begun(project: Path) -> None:
    """What is at work beside a stage that fails ends well and is kept; DVC's words and exit code come through."""
    write(project, a=WAIT.format("b-failed"), b="touch b-failed; exit 7")
    ended = lanes(project)
    assert ended.returncode == 255
    assert "ERROR: failed to reproduce 'train@b'" in ended.stderr
    assert "exited with 7" in ended.stderr
    assert yaml.safe_load((project / "dvc.lock").read_text())["stages"].keys() == {"code", "train@a"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_none_is_left(project: Path, number: signal.Signals) -> None:
    """When `python -m fcn reproduce` is killed or interrupted, DVC and its stages end, and it says how to go on."""
    tiny.write(project, tiny.params())
    write(project, a="touch began; sleep 3000", b="touch began; sleep 3000")
    started = processes.start(processes.fcn("reproduce"), project)
    processes.until((project / "began").exists, doing="a training begins")
    started.send_signal(number)
    assert started.wait() != 0
    processes.until(lambda: not at_work(project), doing="all end")
    last = (project / "err").read_text().splitlines()[-1:]
    interrupted = "error: `dvc repro dvc.yaml` was interrupted; the same command goes on from here"
    assert number == signal.SIGKILL or last == [interrupted]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="/proc says when a process listens to a signal")
def test_an_interrupt_while_it_imports_is_no_news(project: Path) -> None:
    """Imports take seconds, and DVC's would answer Ctrl-C with a traceback: it is gone without a word."""

    def listens() -> bool:
        status = Path(f"/proc/{started.pid}/status").read_text()
        caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
        return bool(int(caught, 16) >> signal.SIGINT - 1 & 1)

    with subprocess.Popen([*LANES, "sample", "2", "0"], cwd=project, env=processes.environment(), stderr=-1) as started:
        processes.until(listens, doing="Python begins")
        processes.until(lambda: not listens(), doing="the module begins")
        started.send_signal(signal.SIGINT)
        said = started.communicate()[1]
    assert (started.returncode, said) == (-signal.SIGINT, b"")
    assert not (project / "code").exists(), "and had begun no stage"


def at_work(folder: Path) -> list[int]:
    """The processes whose working directory it is."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and process.cwd() == str(folder):
                found.append(process.pid)
    return found
