"""The graph in dvc.yaml: it runs whole and once, it expands for every profile, and it names what its stages read."""

import dataclasses
import importlib
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from fcn.cli import stage_names
from fcn.config import Config, load
from fcn.publishing import origin
from tests.report import browser
from tests.training import tiny, tracing, workspace

ROOT = Path(__file__).resolve().parent.parent
PROFILES = [ROOT, *sorted(path.parent for path in ROOT.glob("profiles/*/params.yaml"))]
GRAPH: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]


def notes(folder: Path) -> dict[str, dict[str, Any]]:
    """What the watched stages of the fixture touched."""
    found = tracing.seen(folder.parent / "watch")
    assert found
    return found


def locked(folder: Path, command: str) -> tuple[list[str], list[str]]:
    """The dependencies and outputs that DVC recorded for the stage of a command line."""
    stages = yaml.safe_load((folder / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    stage = next(entry for entry in stages.values() if entry["cmd"].split(" --params")[0] == f"python -m fcn {command}")
    return [item["path"] for item in stage.get("deps", [])], [item["path"] for item in stage["outs"]]


def test_the_whole_graph_runs_once(workspace_done: Path) -> None:
    """After one `dvc repro` every stage is done and every run has its scores, and a second one runs nothing."""
    for run in tiny.params()["runs"]:
        scores = json.loads((workspace_done / f"data/tiny/scores/{run}.json").read_text(encoding="utf-8"))
        assert 0 < scores["mean_iu"] < 1
        assert scores["images"] == 3
        rows = (workspace_done / f"data/tiny/history/{run}.jsonl").read_text(encoding="utf-8").splitlines()
        assert json.loads(rows[-1])["iteration"] == len(rows)
    before = {path: path.stat().st_mtime_ns for path in (workspace_done / "data").rglob("*")}
    said = workspace.repro(workspace_done)
    assert "Data and pipelines are up to date" in said
    assert "Running stage" not in said
    assert {path: path.stat().st_mtime_ns for path in (workspace_done / "data").rglob("*")} == before


def test_every_stage_was_watched(workspace_done: Path) -> None:
    """The notes tell of every command of the graph that ran, so that what follows is of all of them."""
    stages = yaml.safe_load((workspace_done / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    commands = {entry["cmd"].split(" --params")[0].removeprefix("python -m fcn ") for entry in stages.values()}
    assert set(notes(workspace_done)) == commands
    # Its pictures are of one input, so that nothing is fused.
    assert {command.split()[0] for command in commands} == set(GRAPH) - {"fusions"}


def test_stages_name_the_data_that_they_read(workspace_done: Path) -> None:
    """Whatever a stage opens below data/ lies in one of its dependencies or is an output of its own."""
    for command, note in notes(workspace_done).items():
        deps, outs = locked(workspace_done, command)
        # an output is written under a temporary name beside it: .NAME...part, or below such a folder
        written = {re.sub(r"/\.([^/]+?)\.[A-Za-z0-9_]+\.part(?=/|$)", r"/\1", path) for path in note["opened"]}
        made = {path for path in written - set(note["opened"]) if any(tracing.lies_under(out, [path]) for out in outs)}
        undeclared = [path for path in written - made if not tracing.lies_under(path, [*deps, *outs])]
        assert not undeclared, f"{command} opens {undeclared}"
        assert any(tracing.lies_under(path, outs) for path in written), f"{command}: nothing seen of {outs}"


def test_every_stage_is_a_module() -> None:
    """Every command of the graph is `python -m fcn STAGE`, STAGE being a module of fcn/stages and the stage's name."""
    for name, stage in GRAPH.items():
        stage = stage.get("do", stage)
        assert re.fullmatch(rf"python -m fcn {name}( \$\{{key\}})? --params \$\{{params\}}", stage["cmd"])
        assert name in stage_names()
        assert stage["wdir"] == "${root}"


@pytest.mark.parametrize("folder", PROFILES, ids=lambda path: path.name)
def test_the_graph_expands_for_every_profile(folder: Path) -> None:
    """Every profile's dvc.yaml is the root's, with a stage for each of its archives, datasets, nets and runs."""
    same = (folder / "dvc.yaml").read_bytes() == (ROOT / "dvc.yaml").read_bytes()
    assert same, f"cp dvc.yaml {folder.relative_to(ROOT)}/"
    config = load(folder / "params.yaml")
    assert (folder / config.root).resolve() == ROOT
    assert (ROOT / config.params).resolve() == folder / "params.yaml"
    expected = set()
    for name, stage in GRAPH.items():
        if "foreach" in stage:
            entries = getattr(config, stage["foreach"].strip("${}"))
            expected |= {f"{name}@{key}" for key in entries}
        else:
            expected.add(name)
    with importlib.import_module("dvc.repo").Repo(str(ROOT)) as repo:  # without types
        found = repo.stage.collect(str(folder / "dvc.yaml"))
    assert {stage.name for stage in found} == expected
    for stage in found:
        assert "${" not in stage.cmd
        assert stage.cmd.endswith(f" --params {config.params}")
        outs = [Path(out.fs_path).relative_to(ROOT).as_posix() for out in stage.outs]
        assert all(out.startswith(f"data/{config.profile}/") for out in outs)
        known = {*config.archives, *config.datasets, *config.weights, *config.classifiers, *config.fusions}
        known |= {*config.nets, *config.runs}
        assert "@" not in stage.name or stage.name.split("@")[1] in known


def test_no_stage_names_a_parameter_that_may_be_left_out() -> None:
    """DVC stops, after everything was trained, at a parameter that isn't there: a short params.yaml has few."""
    optional = {item.name for item in dataclasses.fields(Config) if item.default_factory is not dataclasses.MISSING}
    assert "departures" in optional
    for name, stage in GRAPH.items():
        named = {key for entry in stage.get("params", ()) for keys in entry.values() for key in keys or ()}
        assert not named & optional, name


def test_plots_have_every_loss(workspace_done: Path) -> None:
    """`dvc plots show` has a curve a run, with a point for each row of its history, and the figures."""
    ended = subprocess.run(
        [*workspace.DVC, "plots", "show", "--json", "--out", workspace_done.parent / "plots"],
        cwd=workspace_done, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    shown = json.loads(ended.stdout)["data"]
    for run in tiny.params()["runs"]:
        rows = (workspace_done / f"data/tiny/history/{run}.jsonl").read_text(encoding="utf-8").splitlines()
        (curve,) = shown[f"data/tiny/figures/curves/{run}.csv"]
        assert [point["iteration"] for point in curve["content"]["data"]["values"]] == [
            str(json.loads(row)["iteration"]) for row in rows
        ]
    assert any(name.startswith("data/tiny/figures/charts/") for name in shown)


HOSTILE = """(() => {
  const spec = {title: {text: "t"}, layer: [{encoding: {y: {field: "y"}}}], data: {values: [{x: 1, y: 2, rev: "<b>"}]}};
  document.body.insertAdjacentHTML("beforeend", "<p id=hostile></p>");
  vegaEmbed("#hostile", {...spec, encoding: {x: {field: "x"}, color: {scale: {domain: ["<b>"], range: ["red"]}}}});
  return document.querySelectorAll("#hostile b").length;
})()"""


def test_curves_are_drawn_without_a_network(workspace_done: Path, tmp_path: Path) -> None:
    """`dvc plots show` fetches nothing, has a line a run with a point a row of its history; a branch's name is text."""
    if (program := browser.chromium()) is None:
        pytest.skip("needs Chromium")
    command = [*workspace.DVC, "plots", "show", "--quiet", "--out", str(tmp_path)]
    subprocess.run(command, cwd=workspace_done, check=True)
    rows = {
        f"data/tiny/figures/curves/{path.stem}.csv": len(path.read_text(encoding="utf-8").splitlines())
        for path in (workspace_done / "data/tiny/history").iterdir()
    }
    drawn = (
        "Object.fromEntries([...document.querySelectorAll('svg')].map(it => [it.textContent.match(/data.*?csv/)[0], "
    )
    drawn += "it.querySelector('polyline').points.length]))"
    with browser.browser(program) as page:
        page.open(tmp_path / "index.html", width=1280)
        assert page.value(drawn) == rows
        fetched = page.value("performance.getEntriesByType('resource').map(it => it.name)")
        assert all(address.startswith("file:") for address in fetched), fetched
        assert page.value(HOSTILE) == 0


def test_git_has_the_scores_of_the_lock() -> None:
    """The sample's scores are committed with the dvc.lock that names them; another profile's, where there are any."""
    for folder in PROFILES:
        lock = folder / "dvc.lock"
        stages = yaml.safe_load(lock.read_text(encoding="utf-8"))["stages"] if lock.exists() else {}
        outs = [out for stage in stages.values() for out in stage["outs"] if "/scores/" in out["path"]]
        assert outs or folder != ROOT
        for out in outs:
            if folder == ROOT or (ROOT / out["path"]).exists():
                assert origin.md5(ROOT / out["path"]) == out["md5"], out["path"]


def test_no_two_profiles_share_a_folder() -> None:
    """Every profile has a name of its own, so that none writes over another's data."""
    names = [load(folder / "params.yaml").profile for folder in PROFILES]
    assert len(set(names)) == len(names)
