"""The flows' view of the graph is DVC's own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import yaml

from fcn.errors import InputError, StageFailure
from fcn.files import write_json
from flows import dag
from flows.plan import RunOptions, plan
from tests.doors.conftest import STAGES, Project

# DVC reads a value of its trie library in a way that the library wants to give up.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")


def test_the_profiles_are_the_root_and_the_folders_below_profiles(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A profile is a folder with a dvc.yaml, and the root is the sample."""
    monkeypatch.chdir(repository)
    folders = {path.parent.name for path in repository.glob("profiles/*/dvc.yaml")}
    assert set(dag.profiles()) == {"sample", *folders}
    assert dag.pipeline("paper") == "profiles/paper/dvc.yaml"
    with pytest.raises(InputError, match=r"profile 'papre' is unknown; did you mean 'paper'\? there are sample, paper"):
        dag.pipeline("papre")


def test_the_sample_s_graph_is_whole_and_ordered(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every stage comes after those that it needs, and a staged net needs its parent."""
    monkeypatch.chdir(repository)
    stages = dag.stages("sample")
    seen: set[str] = set()
    for stage in stages:
        assert stage.needs <= seen, stage
        seen.add(stage.address)
    by_name = {stage.name: stage for stage in stages}
    assert "train@voc-fcn16s-vgg16" in by_name["train@voc-fcn8s-vgg16"].needs
    assert not any(stage.address.startswith("profiles/") for stage in stages)


def test_every_profile_has_the_same_kinds_of_stages(
    graphs: Mapping[str, Sequence[dag.Stage]], repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The graph is one: a profile changes the names behind the @, never the kinds, but for what it has nothing of."""
    monkeypatch.chdir(repository)
    graph = yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8"))
    every, (left_out,) = set(graph["stages"]), graph["vars"]
    for profile, stages in graphs.items():
        params = left_out | yaml.safe_load(dag.params(profile).read_text(encoding="utf-8"))
        empty = {kind for kind in every if not params.get(kind, True)}
        assert {stage.kind for stage in stages} == every - empty, profile


def test_a_copy_without_git_is_told_what_dvc_wants(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a ZIP a flow says the one command that is needed, and after it reads the graph."""
    folder = project(dict(STAGES))
    monkeypatch.chdir(folder)
    shutil.rmtree(folder / ".git")
    with pytest.raises(StageFailure, match=r"is not a git repository; .* wants `dvc config --local core.no_scm true`"):
        dag.stages("sample")
    config = ["config", "--local", "core.no_scm", "true"]
    subprocess.run([sys.executable, "-m", "dvc", *config], check=True, capture_output=True)
    assert [stage.name for stage in dag.stages("sample")] == ["a", "b", "c", "end"]


def _stale() -> list[str]:
    return [stage.name for stage in plan(RunOptions()).stale]


def test_what_needs_a_stale_stage_is_stale(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing built: all is stale. All built: nothing is. One changed: it and all that need it are."""
    folder = project(dict(STAGES))
    monkeypatch.chdir(folder)
    assert _stale() == ["a", "b", "c", "end"]
    subprocess.run([sys.executable, "-m", "dvc", "repro", "-q"], check=True, capture_output=True)
    assert _stale() == []
    (folder / "b.txt").write_text("changed", encoding="utf-8")
    assert _stale() == ["b", "c", "end"]


def test_another_dvc_at_work_is_to_be_waited_for(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another living DVC holds is told as that, not as a broken project, and without DVC's advice to remove it."""
    folder = project(dict(STAGES))
    monkeypatch.chdir(folder)
    holder = {"pid": os.getpid(), "cmd": "dvc repro"}
    write_json(folder / ".dvc/tmp/rwlock", {"write": {str(folder / "a.txt"): holder}, "read": {}})
    with pytest.raises(StageFailure, match=r"another `dvc` is at work .*: start this again when it is done") as failure:
        _stale()
    assert str(os.getpid()) in str(failure.value)
    assert "manually remove" not in str(failure.value)
