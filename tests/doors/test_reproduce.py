"""The flow runs DVC's stages as tasks: in order, side by side, to a true end."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from flows import children
from tests.conftest import ROOT
from tests.doors.conftest import STAGES, Project
from tests.doors.servers import Site, until

pytestmark = pytest.mark.slow  # whole flows

_RUN = [sys.executable, "-m", "flows.reproduce"]


def _flow(folder: Path, environment: dict[str, str], *options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*_RUN, *options], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=900
    )


def _lock(folder: Path) -> object:
    return yaml.safe_load((folder / "dvc.lock").read_text(encoding="utf-8"))


def test_both_doors_leave_the_same_lock(
    project: Project, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """`python -m flows.reproduce` and `dvc repro`, each from nothing, leave one dvc.lock as data; again: no run at all.

    The flow has no server but the one that it starts and ends itself, in a home of its own. It says a line a stage.
    A dvc.lock that was cut short is mended before anything reads it.
    """
    folder = project(dict(STAGES))
    environment["TMPDIR"] = str(tmp_path_factory.mktemp("temporary"))
    first = _flow(folder, environment)
    assert (first.returncode, first.stderr) == (0, ""), first.stdout + first.stderr
    head, *stages, last = first.stdout.splitlines()
    assert head.startswith("sample: 4 stages, 4 stale")
    ended = [line.partition(",")[0] for line in stages]
    assert [*sorted(ended[:2]), *ended[2:]] == [f"{name}: Completed" for name in ("a", "b", "c", "end")]  # a beside b
    assert last.startswith("done in")
    assert not [*Path(environment["TMPDIR"]).glob("prefect-????????"), *Path(environment["PREFECT_HOME"]).glob("*.db")]
    by_flow = _lock(folder)
    for name in ("a.txt", "b.txt", "c.txt", "end.txt", "dvc.lock"):
        (folder / name).unlink()
    subprocess.run([sys.executable, "-m", "dvc", "repro", "-q"], cwd=folder, env=environment, check=True)
    assert _lock(folder) == by_flow
    again = _flow(folder, environment | {"PREFECT_LOGGING_LEVEL": "INFO"})  # which says of any run that it begins
    assert (again.returncode, again.stderr) == (0, "")
    assert len(again.stdout.splitlines()) == 2
    assert "4 stages, 0 stale" in again.stdout
    (folder / "dvc.lock").write_text("stages: {", encoding="utf-8")
    mended = _flow(folder, environment)
    assert mended.returncode == 0, mended.stdout + mended.stderr
    assert mended.stderr.startswith("dvc.lock was cut short")
    assert _lock(folder) == by_flow


def test_a_stage_that_another_dvc_holds_says_so(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two at work on one stage the refused one has that for its reason, not DVC's last words, on locks."""
    held = "touch began; while [ ! -e go ]; do sleep 0.2; done; echo > a.txt"
    folder = project({"a": {"cmd": held, "outs": ["a.txt"]}})
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with subprocess.Popen([sys.executable, "-m", "dvc", "repro", "-q"], env=children.environment()) as first:
        try:
            until((folder / "began").exists, doing="the first dvc is at work")
            with children.Children() as running, pytest.raises(children.ChildFailed, match="another `dvc`, or another"):
                running.run(children.dvc("repro", "--single-item", "a"), variables=children.environment(), hear=print)
        finally:
            (folder / "go").touch()
    assert first.returncode == 0


def test_a_failed_stage_fails_the_flow_and_keeps_the_rest(project: Project, at_work: Site) -> None:
    """What doesn't need the failed stage is done, the flow ends with an error that names it, its words are said.

    By a worker: the same words are the state's message and the log's last line, without a traceback.
    """
    broken = {"cmd": "echo as it began; echo no such luck; exit 3", "outs": ["b.txt"]}
    folder = project({**STAGES, "b": broken})
    ended = _flow(folder, at_work.environment)
    error = (
        "b failed: exit code 3: no such luck; not done: c, end; 3 of 4 stages did not end well; what ended well is kept"
    )
    assert (ended.returncode, ended.stderr) == (1, f"error: {error}\n")
    assert "as it began" in ended.stdout
    assert (folder / "a.txt").exists()
    assert not (folder / "end.txt").exists()
    at_work.deploy(folder, pool="cpu")
    run = at_work.run()
    at_work.until_state(run, "Failed")
    assert at_work.ask("get", f"flow_runs/{run}")["state"]["message"] == error
    until(lambda: error in _logged(at_work, run)[-1:], doing="the last line is logged", explain=at_work.said)
    assert "Traceback" not in "".join(_logged(at_work, run))


def _logged(site: Site, run: str) -> list[str]:
    asked = {"logs": {"flow_run_id": {"any_": [run]}}, "sort": "TIMESTAMP_ASC"}
    return [line["message"] for line in site.ask("post", "logs/filter", **asked)]


_MEET = """
import sys, time
from pathlib import Path

me, other = sys.argv[1:]
Path(f"{me}.here").touch()
end = time.monotonic() + 600
while not Path(f"{other}.here").exists():
    if time.monotonic() > end:
        sys.exit("the other never came")
    time.sleep(0.05)
Path(f"{me}.txt").touch()
"""


def test_independent_stages_run_side_by_side(project: Project, prefect_site: Site) -> None:
    """Two stages that don't need each other are at work at the same time where the cores allow."""
    stages = {
        me: {"cmd": f"python meet.py {me} {other}", "outs": [f"{me}.txt"]} for me, other in (("x", "y"), ("y", "x"))
    }
    folder = project(dict(stages))
    (folder / "meet.py").write_text(_MEET, encoding="utf-8")
    params = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    (folder / "params.yaml").write_text(yaml.safe_dump({**params, "threads": 1}), encoding="utf-8")
    if (os.cpu_count() or 1) < 2:
        pytest.skip("one core: nothing runs side by side here")
    ended = _flow(folder, prefect_site.environment)
    assert ended.returncode == 0, ended.stdout + ended.stderr
