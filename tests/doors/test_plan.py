"""What a flow has to do: slices of the graph, of all runs or some; and the flow that walks it."""

import itertools
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from fcn.errors import InputError
from flows import command_line, dag
from flows.dag import Stage
from flows.plan import SLICES, Plan, RunOptions, check, plan, slice_of
from flows.reproduce import reproduce
from tests.doors.conftest import METHOD, Project, sliced
from tests.doors.servers import Site

_TRIE = "ignore:_NoneStep.value:DeprecationWarning"  # DVC reads a value of its trie library that this wants to give up


@pytest.mark.filterwarnings(_TRIE)
def test_every_kind_of_stage_has_its_slice(graphs: Mapping[str, Sequence[Stage]]) -> None:
    """Slices are made of the kinds of stages that the graph has, all of them once."""
    found: dict[str, set[str]] = {name: set() for name in SLICES}
    for stage in itertools.chain(*graphs.values()):
        found[slice_of(stage)].add(stage.kind)
    assert found == {
        "code": {"code"},
        "prepare": {"archives", "datasets", "splits", "classifiers", "weights"},
        "train": {"train", "fusions"},
        "evaluate": {"evaluate", "timing"},
        "report": {"tables", "figures", "report", "publish"},
    }


@pytest.mark.filterwarnings(_TRIE)
def test_no_stage_needs_one_of_a_later_slice(graphs: Mapping[str, Sequence[Stage]]) -> None:
    """What a slice needs is made by it or by those before it, in every profile."""
    for stages in graphs.values():
        place = {stage.address: SLICES.index(slice_of(stage)) for stage in stages}
        for stage in stages:
            assert all(place[need] <= place[stage.address] for need in stage.needs), stage


def _plan(name: str, **asked: Any) -> Plan:
    return plan(RunOptions(profile="sample", only=[name], **asked))


def _names(plan: Plan) -> set[str]:
    return {stage.name for stage in plan.stages}


@pytest.mark.filterwarnings(_TRIE)
def test_a_slice_is_its_own_stages_and_the_stale_ones_that_they_need(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing built: all that is needed is in it. All built: its own alone, fresh; with force, they are to be run."""
    monkeypatch.chdir(project(sliced()))
    trainings = {"train@one", "train@two", "train@other"}
    assert _names(_plan("train")) == {"code", "archives@data", "weights@net", *trainings}
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
    assert _names(_plan("train", runs=["two"])) == {"code", "archives@data", "weights@net", "train@one", "train@two"}
    report = _names(_plan("report", runs=["other"]))
    assert report == {"code", "archives@data", "weights@net", "train@other", "evaluate@other", "timing", "tables"}


@pytest.mark.filterwarnings(_TRIE)
@pytest.mark.parametrize(
    ("only", "forced", "asked_of_dvc"),
    [
        (None, {"train@two", "evaluate@two"}, {"train@two", "evaluate@two", "tables"}),
        (["train"], {"train@two"}, {"train@two"}),
        (["prepare"], {"archives@data", "weights@net"}, {"archives@data", "weights@net"}),
    ],
)
def test_forcing_a_run_forces_what_is_its_own(
    project: Project, monkeypatch: pytest.MonkeyPatch, only: list[str] | None, forced: set[str], asked_of_dvc: set[str]
) -> None:
    """Its training and scores are done again, neither its data nor its parent; what needs these is left to DVC.

    Slices that have nothing of a run's own are done again whole.
    """
    monkeypatch.chdir(project(sliced()))
    subprocess.run([sys.executable, "-m", "dvc", "repro", "-q"], check=True, capture_output=True)
    made = plan(RunOptions(runs=["two"], only=only, force=True))
    assert made.forced == forced
    assert {stage.name for stage in made.stages} - made.fresh == asked_of_dvc


@pytest.mark.filterwarnings(_TRIE)
def test_the_graph_of_a_run_has_what_it_needs_and_makes(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the sample's graph: its trainings from 32s on, its scores, its net's time, nothing of other runs or nets."""
    monkeypatch.chdir(repository)
    names = {stage.name for stage in check(RunOptions(runs=["voc-fcn16s-vgg16"]))}
    assert {
        name for name in names if name.startswith(("train@", "evaluate@", "timing@", "weights@", "classifiers@"))
    } == {
        "train@voc-fcn32s-vgg16",
        "train@voc-fcn16s-vgg16",
        "evaluate@voc-fcn16s-vgg16",
        "timing@fcn16s-vgg16",
        "classifiers@vgg16-sample",
    }
    assert {"code", "splits", "tables", "figures", "report", "publish"} <= names


@pytest.mark.filterwarnings(_TRIE)
def test_what_needs_a_stage_that_is_left_out_is_left_out(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """`without` one stage, a slice names its own that need it, and takes nothing that only these need."""
    monkeypatch.chdir(project(sliced()))
    plan = _plan("evaluate", without=["train@one"])
    assert _names(plan) == {"code", "archives@data", "weights@net", "train@other", "evaluate@other", "timing"}
    assert sorted(plan.left_out) == ["evaluate@one", "evaluate@two"]


@pytest.mark.filterwarnings(_TRIE)
def test_an_unknown_run_stage_or_slice_is_said_with_those_there_are(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message has the wrong name, the nearest one and all right ones."""
    monkeypatch.chdir(project(sliced()))
    with pytest.raises(
        InputError, match=r"run 'tow' is unknown in profile 'sample'; did you mean 'two'\? there are .*one.*two"
    ):
        _plan("train", runs=["two", "tow"])
    with pytest.raises(InputError, match=r"stage 'trian@one' is unknown in profile 'sample'; did you mean 'train@one'"):
        _plan("train", without=["trian@one"])
    with pytest.raises(
        InputError,
        match=r"slice 'trian' is unknown in profile 'sample'; did you mean 'train'\? there are code, prepare",
    ):
        _plan("trian")


def test_a_folder_without_dvc_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Started elsewhere than in the project's root, the flows say so."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="is no DVC project: start it in the project's root"):
        dag.stages("sample")


@pytest.mark.filterwarnings(_TRIE)
def test_a_training_on_more_gpus_than_there_are_is_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything runs, a sentence names the run; with enough GPUs, or where the run is left out, all is well."""
    monkeypatch.chdir(folder := project(sliced()))
    values = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    values["recipes"] = {name: recipe | {"batch": 4, "devices": 2} for name, recipe in values["recipes"].items()}
    values["runs"] = {"two": next(iter(values["runs"].values())) | {"regime": "none"}}
    (folder / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    with pytest.raises(InputError, match=r"run 'two' trains on 2 GPUs \(its recipe's devices\), and gpus has 1; name"):
        _plan("train", gpus=[3])
    assert "train@two" in _names(_plan("train", gpus=[3, 5]))
    assert "train@two" not in _names(_plan("train", gpus=[3], without=["train@two"]))


def _flow(folder: Path, site: Site, *options: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "flows.reproduce", *options]
    return subprocess.run(
        command, cwd=folder, env=site.environment, capture_output=True, text=True, check=False, timeout=600
    )


def _newest_run(site: Site, name: str) -> str:
    """The id of the newest flow run of a name."""
    found = site.ask("post", "flow_runs/filter", sort="START_TIME_DESC", flow_runs={"name": {"any_": [name]}})
    return str(found[0]["id"])


def _tasks(site: Site, flow_run_id: str) -> dict[str, str]:
    """The names of a flow run's tasks and of their states."""
    found = site.ask("post", "task_runs/filter", flow_runs={"id": {"any_": [flow_run_id]}})
    return {run["name"]: run["state_name"] for run in found}


@pytest.mark.slow
def test_reproduce_reads_as_the_pipeline(project: Project, prefect_site: Site) -> None:
    """Prefect has a task for each stage that isn't up to date, the artifacts, and readable names.

    The stages know the flow run, though no worker started it. Their log has no line that their task ended well.
    """
    folder = project(sliced())
    stages = ["code", "archives@data", "weights@net", "train@one", "train@two", "evaluate@two", "timing", "tables"]
    first = _flow(folder, prefect_site, "--runs", "two")
    assert first.returncode == 0, first.stdout + first.stderr
    run = _newest_run(prefect_site, "reproduce-sample-two")
    assert (folder / "flow_run.txt").read_text(encoding="utf-8").strip() == run
    assert _tasks(prefect_site, run) == dict.fromkeys([*stages, "artifacts"], "Completed")
    lines = prefect_site.ask("post", "logs/filter", logs={"flow_run_id": {"any_": [run]}})
    assert sum("Finished in state" in line["message"] for line in lines) == 1  # the flow's own
    (progress,) = prefect_site.ask("post", "artifacts/filter", artifacts={"key": {"any_": ["sample-two-progress"]}})
    assert progress["data"] == 100.0
    assert "two: 4 of 4 iterations" in progress["description"]

    again = _flow(folder, prefect_site, "--runs", "two")
    assert again.returncode == 0, again.stdout + again.stderr
    assert f"sample: {len(stages)} stages, 1 stale" in again.stdout  # DVC finds that the others' scores lack, as before
    kept = _tasks(prefect_site, _newest_run(prefect_site, "reproduce-sample-two"))
    assert kept == {"tables": "Kept", "artifacts": "Completed"}

    slice_alone = _flow(folder, prefect_site, "train", "--runs", "two", "--force")
    assert slice_alone.returncode == 0, slice_alone.stdout + slice_alone.stderr
    kept = _tasks(prefect_site, _newest_run(prefect_site, "reproduce-sample-train-two"))
    assert kept == {"train@two": "Completed"}


@pytest.mark.slow
def test_another_comment_makes_nothing_stale(project: Project, prefect_site: Site) -> None:
    """Where code changed but not its digests, the stage `code` alone runs, and no DVC is started for the others."""
    folder = project(sliced())
    subprocess.run([sys.executable, "-m", "dvc", "repro", "-q"], cwd=folder, check=True, env=prefect_site.environment)
    (folder / "method.txt").write_text(f"{METHOD}# more\n", encoding="utf-8")
    ended = _flow(folder, prefect_site)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found = _tasks(prefect_site, _newest_run(prefect_site, "reproduce-sample"))
    assert {name for name, state in found.items() if state == "Completed"} == {"code", "artifacts"}
    assert "sample: 11 stages, 0 stale" in ended.stdout + ended.stderr


@pytest.mark.slow
def test_a_net_is_scored_while_another_trains(project: Project, prefect_site: Site) -> None:
    """On two GPUs: a training ends only once another run's net is scored, and each of the two has a GPU of its own."""
    until_scored = "while test ! -e scores/one.txt; do sleep 0.1; done"
    training = f"echo $CUDA_VISIBLE_DEVICES > gpu.txt; {until_scored}; cat weights.txt data.txt > net-other.txt"
    folder = project(sliced(train_other=training))
    ended = _flow(folder, prefect_site, "evaluate", "--runs", "one", "other", "--gpus", "4", "7")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert (folder / "gpu.txt").read_text(encoding="utf-8").strip() in ("4", "7")


@pytest.mark.slow
def test_a_failed_training_costs_only_what_needs_it(project: Project, prefect_site: Site) -> None:
    """The rest is done; the error, one line, says why and names what is not; nothing is tried a second time."""
    folder = project(sliced(train_one="echo tried >> tried.txt; echo error: no such luck; echo too late; exit 3"))
    ended = _flow(folder, prefect_site)
    assert ended.returncode == 1
    for name in ("train@one: Failed", "train@two: NotReady", "evaluate@one: NotReady", "tables: NotReady"):
        assert name in ended.stdout, ended.stdout
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    assert line.startswith("error: train@one failed: no such luck; not done: evaluate@one, train@two, evaluate@two")
    assert "train@other" not in line
    assert (folder / "scores" / "other.txt").exists()
    assert (folder / "tried.txt").read_text(encoding="utf-8").split() == ["tried"]
    assert "Traceback" not in ended.stdout + ended.stderr


@pytest.mark.slow
def test_nothing_is_begun_after_a_failure_where_that_is_wanted(project: Project, prefect_site: Site) -> None:
    """With --stop-at-failure no other stage is begun, also not one that doesn't need the failed one."""
    folder = project(sliced(weights_net="exit 3"))
    ended = _flow(folder, prefect_site, "--stop-at-failure")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert re.search(r"weights@net failed: exit code 3: .*; not done: train@one, ", ended.stderr)
    begun = _tasks(prefect_site, _newest_run(prefect_site, "reproduce-sample"))
    assert set(begun) <= {"code", "archives@data", "weights@net", "artifacts"}
    assert not (folder / "net-one.txt").exists()


@pytest.mark.filterwarnings(_TRIE)
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--runs", "tow"], "run 'tow' is unknown in profile 'sample'; did you mean 'two'?"),
        (["--gpus", "0", "-1"], "gpus has -1; a GPU's id is 0 or more, as `nvidia-smi` lists them"),
        (["trian"], "slice 'trian' is unknown in profile 'sample'; did you mean 'train'?"),
        (["--profile", "papre"], "profile 'papre' is unknown; there are sample"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    words: str,
) -> None:
    """An unknown run, slice or profile, or no GPU's id: a sentence, before any server is asked or started."""
    monkeypatch.chdir(project(sliced()))
    monkeypatch.setattr(sys, "argv", ["flows.reproduce", *options])
    with pytest.raises(SystemExit) as ended:
        command_line.start(reproduce)
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (2, "")
    assert said.err.startswith("error: ")
    assert words in said.err
    assert len(said.err.splitlines()) == 1, said.err
