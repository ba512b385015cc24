"""The slices of the graph, whose turn it is in them, and the flows that walk them."""

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcn.errors import InputError
from flows import dag, slices
from flows.dag import Stage
from flows.turns import ON_DEVICE, Turns
from tests.doors.conftest import Project, sliced
from tests.doors.servers import Site

_TRIE = "ignore:_NoneStep.value:DeprecationWarning"  # DVC reads a value of its trie library that this wants to give up


@pytest.mark.filterwarnings(_TRIE)
def test_every_kind_of_stage_has_its_slice(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """prepare, train, evaluate and report are made of the kinds of stages that the graph has, all of them once."""
    monkeypatch.chdir(repository)
    found: dict[str, set[str]] = {name: set() for name in slices.NAMES}
    for stage in dag.stages("sample"):
        found[slices.slice_of(stage)].add(stage.kind)
    assert found == {
        "prepare": {"archives", "raw", "labels", "splits", "weights"},
        "train": {"train"},
        "evaluate": {"evaluate", "timing"},
        "report": {"tables", "figures", "report", "publish"},
    }


@pytest.mark.filterwarnings(_TRIE)
def test_no_stage_needs_one_of_a_later_slice(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The slices can be walked one after the other, in every profile."""
    monkeypatch.chdir(repository)
    for profile in dag.profiles():
        place = {stage.address: slices.NAMES.index(slices.slice_of(stage)) for stage in dag.stages(profile)}
        for stage in dag.stages(profile):
            assert all(place[need] <= place[stage.address] for need in stage.needs), stage


def _plan(name: str, **given: Any) -> slices.Plan:
    options = {"profile": "sample", "runs": None, "force": False, "without": None}
    return slices.plan(name, **{**options, **given})


def _names(plan: slices.Plan) -> set[str]:
    return {stage.name for stage in plan.stages}


@pytest.mark.filterwarnings(_TRIE)
def test_a_slice_is_its_own_stages_and_the_stale_ones_that_they_need(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing built: all that is needed is in it. All built: its own alone, fresh; with force, they are to be run."""
    monkeypatch.chdir(project(sliced()))
    trainings = {"train@one", "train@two", "train@other"}
    assert _names(_plan("train")) == {"archives@data", "weights@net", *trainings}
    assert _plan("train").fresh == frozenset()
    assert _plan("train", force=True).forced == trainings  # and what they need is done as DVC thinks right
    subprocess.run([sys.executable, "-m", "dvc", "repro", "-q"], check=True, capture_output=True)
    assert _names(_plan("train")) == trainings
    assert _plan("train").fresh == trainings
    assert _names(_plan("train", force=True)) == trainings
    assert _plan("train", force=True).fresh == frozenset()


@pytest.mark.filterwarnings(_TRIE)
def test_a_slice_of_some_runs_leaves_the_others_alone(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run's parents belong to it; other runs' stages do not, not even where the report would need them."""
    monkeypatch.chdir(project(sliced()))
    assert _names(_plan("train", runs=["two"])) == {"archives@data", "weights@net", "train@one", "train@two"}
    report = _names(_plan("report", runs=["other"]))
    assert report == {"archives@data", "weights@net", "train@other", "evaluate@other", "timing", "tables"}


@pytest.mark.filterwarnings(_TRIE)
def test_what_needs_a_stage_that_is_left_out_is_left_out(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """`without` one stage, a slice names its own that need it, and takes nothing that only these need."""
    monkeypatch.chdir(project(sliced()))
    plan = _plan("evaluate", without=["train@one"])
    assert _names(plan) == {"archives@data", "weights@net", "train@other", "evaluate@other", "timing"}
    assert sorted(plan.left_out) == ["evaluate@one", "evaluate@two"]


@pytest.mark.filterwarnings(_TRIE)
def test_an_unknown_run_or_stage_is_said_with_those_there_are(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message has the wrong name and all right ones."""
    monkeypatch.chdir(project(sliced()))
    with pytest.raises(InputError, match=r"run 'tow' is not in profile 'sample'; there are .*one.*two"):
        _plan("train", runs=["two", "tow"])
    with pytest.raises(InputError, match=r"stage 'trian@one' is not in profile 'sample'"):
        _plan("train", without=["trian@one"])


def test_a_folder_without_dvc_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Started elsewhere than in the project's root, the flows say so."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="is no DVC project: start it in the project's root"):
        dag.stages("sample")


@st.composite
def _graphs(draw: st.DrawFn) -> list[Stage]:
    """Any graph of stages, needed ones first."""
    made: list[Stage] = []
    for number in range(draw(st.integers(1, 12))):
        kind = draw(st.sampled_from(["train", "evaluate", "timing", "weights"]))
        needs = draw(st.sets(st.sampled_from([stage.address for stage in made]), max_size=3)) if made else set()
        made.append(Stage(address=f"{kind}@{number}", name=f"{kind}@{number}", needs=frozenset(needs)))
    return made


@given(stages=_graphs(), cores=st.integers(1, 3), gpus=st.integers(0, 3), data=st.data())
def test_every_stage_has_its_turn_once_in_order_and_with_room(
    stages: list[Stage], cores: int, gpus: int, data: st.DataObject
) -> None:
    """In whatever order stages end: each begins once, after what it needs, never more than GPUs and cores hold."""
    turns = Turns(stages, cores=cores, gpus=gpus)
    running: dict[str, Stage] = {}
    begun: list[str] = []
    ended: set[str] = set()
    while True:
        while (stage := turns.begin()) is not None:
            assert stage.needs <= ended
            running[stage.address] = stage
            begun.append(stage.address)
            on_gpu = Counter(gpus > 0 and stage.kind in ON_DEVICE for stage in running.values())
            assert on_gpu[True] <= gpus
            assert on_gpu[False] <= cores
            assert len(running) == 1 or all(stage.kind != "timing" for stage in running.values())
        assert turns.idle == (not running)
        if not running:
            break
        address = data.draw(st.sampled_from(sorted(running)))
        turns.end(address)
        ended.add(address)
        del running[address]
    assert sorted(begun) == sorted(stage.address for stage in stages)
    assert not turns.waiting


def test_the_longest_way_goes_first() -> None:
    """One core, a chain of three and two alone: the chain's first begins, because the end waits for the chain."""
    chain = [
        ("train@a", ()),
        ("train@b", ()),
        ("train@32", ()),
        ("train@16", ("train@32",)),
        ("train@8", ("train@16",)),
    ]
    stages = [Stage(address=name, name=name, needs=frozenset(needs)) for name, needs in chain]
    turns = Turns(stages, cores=1, gpus=0)
    order = []
    while (stage := turns.begin()) is not None:
        order.append(stage.name)
        turns.end(stage.address)
    assert order == ["train@32", "train@16", "train@a", "train@b", "train@8"]


def _flow(name: str, folder: Path, site: Site, *options: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", f"flows.{name}", *options]
    return subprocess.run(
        command, cwd=folder, env=site.environment, capture_output=True, text=True, check=False, timeout=600
    )


def _runs(site: Site, **given: object) -> list[dict[str, Any]]:
    """The flow runs that fulfil a filter, the oldest first."""
    found: list[dict[str, Any]] = site.ask("post", "flow_runs/filter", sort="START_TIME_ASC", **given)
    return found


def _tasks(site: Site, flow_run_id: str) -> dict[str, str]:
    """The names of a flow run's tasks and of their states."""
    found = site.ask("post", "task_runs/filter", flow_runs={"id": {"any_": [flow_run_id]}})
    return {run["name"]: run["state_name"] for run in found}


@pytest.mark.slow
def test_reproduce_reads_as_the_pipeline(project: Project, prefect_site: Site) -> None:
    """Prefect has a run for each slice, a task for each stage in it, kept ones where they belong, and readable names.

    The stages know the outermost flow run, though no worker started it.
    """
    folder = project(sliced())
    first = _flow("reproduce", folder, prefect_site, "--runs", "two")
    assert first.returncode == 0, first.stdout + first.stderr
    (outer,) = _runs(prefect_site, flow_runs={"name": {"any_": ["reproduce-sample-two"]}})
    assert (folder / "flow_run.txt").read_text(encoding="utf-8").strip() == outer["id"]
    inner = _runs(prefect_site, flow_runs={"parent_flow_run_id": {"any_": [outer["id"]]}})
    assert [run["name"] for run in inner] == [f"{name}-sample-two" for name in slices.NAMES]
    prepare, train, evaluate, report = (_tasks(prefect_site, run["id"]) for run in inner)
    assert prepare == {"archives@data": "Completed", "weights@net": "Completed"}
    assert train == {"train@one": "Completed", "train@two": "Completed"}
    assert evaluate == {"evaluate@two": "Completed", "timing": "Completed"}
    assert report == {"tables": "Completed", "artifacts": "Completed"}
    (progress,) = prefect_site.ask("post", "artifacts/filter", artifacts={"key": {"any_": ["sample-two-progress"]}})
    assert progress["data"] == 100.0
    assert "two: 4 of 4 iterations" in progress["description"]

    again = _flow("reproduce", folder, prefect_site, "--runs", "two")
    assert again.returncode == 0, again.stdout + again.stderr
    outer = _runs(prefect_site, flow_runs={"name": {"any_": ["reproduce-sample-two"]}})[-1]
    inner = _runs(prefect_site, flow_runs={"parent_flow_run_id": {"any_": [outer["id"]]}})
    assert [_tasks(prefect_site, run["id"]) for run in inner] == [
        {"archives@data": "Kept", "weights@net": "Kept"},
        {"train@one": "Kept", "train@two": "Kept"},
        {"evaluate@two": "Kept", "timing": "Kept"},
        {"tables": "Kept", "artifacts": "Completed"},
    ]


@pytest.mark.slow
def test_a_failed_training_costs_only_what_needs_it(project: Project, prefect_site: Site) -> None:
    """Later slices still do what they can; the error names all that is not done; nothing is tried a second time."""
    folder = project(sliced(train_one="echo tried >> tried.txt; exit 3"))
    ended = _flow("reproduce", folder, prefect_site)
    assert ended.returncode == 1
    for name in ("train@one: Failed", "train@two: NotReady", "evaluate@one: left out", "tables: left out"):
        assert name in ended.stderr, ended.stderr
    assert "train@other" not in ended.stderr.rpartition("error:")[2]
    assert (folder / "scores" / "other.txt").exists()
    assert (folder / "tried.txt").read_text(encoding="utf-8").split() == ["tried"]
    assert "Traceback" not in ended.stdout + ended.stderr


@pytest.mark.slow
def test_nothing_is_begun_after_a_failure_where_that_is_wanted(project: Project, prefect_site: Site) -> None:
    """With --stop-at-failure neither a stage of the same slice nor a later slice is begun."""
    folder = project(sliced(weights_net="exit 3"))
    before = {run["id"] for run in _runs(prefect_site)}
    ended = _flow("reproduce", folder, prefect_site, "--stop-at-failure")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    names = [run["name"] for run in _runs(prefect_site) if run["id"] not in before]
    assert sorted(names) == ["prepare-sample", "reproduce-sample"]
    assert not (folder / "net-one.txt").exists()


@pytest.mark.slow
def test_wrong_input_is_one_line_and_exit_code_2(project: Project, prefect_site: Site, tmp_path: Path) -> None:
    """An unknown run, an unknown profile, a folder that is no project: a sentence, before any server is asked."""
    folder = project(sliced())
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name, where, options, said in (
        ("train", folder, ["--runs", "tow"], "run 'tow' is not in profile 'sample'"),
        ("report", folder, ["--profile", "papre"], "profile 'papre' is unknown; there are sample"),
        ("evaluate", elsewhere, [], "is no DVC project"),
    ):
        ended = _flow(name, where, prefect_site, *options)
        assert ended.returncode == 2, ended.stdout + ended.stderr
        assert ended.stderr.startswith("error: ")
        assert said in ended.stderr
        assert len(ended.stderr.splitlines()) == 1, ended.stderr
