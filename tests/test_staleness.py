"""What a stage depends on is what can change its result: one thing is edited at a time, and DVC names what is stale."""

import importlib
import json
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from fcn.code_digest import closure
from fcn.config import load, parse
from fcn.stages import code
from tests import forked
from tests.training import processes, tiny, tracing, workspace

ROOT = Path(__file__).resolve().parent.parent
COARSE, FINER = tiny.COARSE, tiny.FINER
TRAIN = {f"train@{COARSE}", f"train@{FINER}"}
EVALUATE = {f"evaluate@{COARSE}", f"evaluate@{FINER}"}
DATASETS = {"datasets@voc2012", "datasets@sbd"}
PAGES = {"tables", "figures", "report", "publish"}

Edit = Callable[[Path], object]


def text(path: str, old: str, new: str) -> Edit:
    """One place of a file of code, changed."""

    def edit(folder: Path) -> None:
        before = (folder / path).read_text(encoding="utf-8")
        assert before.count(old) == 1, f"{path} has {old!r} {before.count(old)} times"
        (folder / path).write_text(before.replace(old, new), encoding="utf-8")

    return edit


def params(change: Callable[[dict[str, Any]], object]) -> Edit:
    """Something in params.yaml, changed."""

    def edit(folder: Path) -> None:
        values = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
        change(values)
        tiny.write(folder, values)

    return edit


def new_run(values: dict[str, Any]) -> None:
    values["runs"]["voc-fcn16s-again"] = values["runs"][FINER] | {"seed": 5}


def removed_run(values: dict[str, Any]) -> None:
    del values["runs"][FINER]
    del values["departures"]["upsampling"]  # which no other run departs in


def another_regime(values: dict[str, Any]) -> None:
    values["runs"][FINER]["regime"] = "pami"
    values["departures"] |= {"momentum": "it is a test", "loss": "it is a test"}
    del values["departures"]["upsampling"]  # which the other regime has too


def renamed_recipe(values: dict[str, Any]) -> None:
    values["recipes"] = {"coarse": values["recipes"]["coarse"], "finer-again": values["recipes"]["finer"]}
    values["runs"][FINER]["recipe"] = "finer-again"


def copied(path: str, name: str) -> Edit:
    """A file once more, under another name."""
    return lambda folder: shutil.copy(folder / path, (folder / path).with_name(name))


VAL = {"dataset": "voc2012", "list": "voc2012-val"}

# What is edited -> the stages that DVC finds stale by it. What these make may or may not change what others need: that
# is known once they ran. A change of `runs` makes the pages stale, which list them.
EDITS: Mapping[str, tuple[Edit, set[str]]] = {
    "a comment": (text("fcn/nets/fcn.py", "class FCN(", "# A comment.\nclass FCN("), set()),
    "a docstring": (text("fcn/training/loop.py", '"""The training loop', '"""A training loop'), set()),
    "a module that no run uses": (text("fcn/nets/pretrained/keras.py", '"block1_conv1"', '"block_1"'), set()),
    "a new backbone": (copied("fcn/nets/backbones/vgg16.py", "vgg16_again.py"), set()),
    "a loss that no run has": (text("fcn/training/losses/sum.py", "len(labels)", "2 * len(labels)"), set()),
    "the loss": (text("fcn/training/losses/mean.py", 'reduction="sum"', 'reduction="mean"'), TRAIN),
    "what is frozen": (text("fcn/training/optimizer.py", 'trained == "score"', 'trained != "score"'), TRAIN),
    "the stage that trains": (text("fcn/stages/train.py", "freeze(net, recipe)", "net.eval()"), TRAIN),
    "the stage that scores": (text("fcn/scoring/answers.py", "answers.numpy()", "answers.flip(1).numpy()"), EVALUATE),
    "the backbone": (
        text("fcn/nets/backbones/vgg16.py", "_POOL3, _POOL4 = 16, 23", "_POOL3, _POOL4 = 9, 23"),
        TRAIN | EVALUATE | {"classifiers@vgg16-sample", "weights@vgg16-file", "timing@fcn32s-vgg16"}
        | {"timing@fcn16s-vgg16", "tables", "figures"},
    ),
    "how forward time is taken": (
        text("fcn/scoring/timing.py", "TRIALS = 20", "TRIALS = 5"),
        {"timing@fcn32s-vgg16", "timing@fcn16s-vgg16"},
    ),
    "a class name": (text("fcn/datasets/formats/voc.py", '"aeroplane"', '"airplane"'), DATASETS),
    "what progress looks like": (text("fcn/stages/observer.py", "_LINE_SECONDS = 30.0", "_LINE_SECONDS = 3.0"), set()),
    "how files are written": (text("fcn/files.py", "_POLL_SECONDS = 0.2", "_POLL_SECONDS = 0.1"), set()),
    "a default that recipes have": (
        text("fcn/entries.py", '"accumulate"] = "stop"', '"accumulate"] = "accumulate"'), TRAIN,
    ),
    "a default that recipes override": (
        text("fcn/entries.py", "warmup: Annotated[int, Field(ge=0)] = 0", "warmup: int = 7"), set(),
    ),
    "a default that is written out": (
        params(lambda values: values["recipes"]["finer"].update(on_oom="stop")), {"tables", "report", "publish"},
    ),
    "the name of a recipe": (params(renamed_recipe), PAGES),
    "which list is read": (
        text("fcn/stages/places.py", 'f"{name}.txt"', 'f"{name}-again.txt"'), TRAIN | EVALUATE | {"figures"},
    ),
    "which nets are trained at once": (
        text("fcn/config.py", "not self.starts(run) and bool", "self.starts(run) == () and bool"), {"tables", "report"},
    ),
    "how the sample's archives are made": (
        text("fcn/datasets/sample/encoded.py", "_JPEG_QUALITY = 92", "_JPEG_QUALITY = 91"),
        {"archives@voc2012", "archives@sbd"},
    ),
    "how downloads are fetched": (text("fcn/datasets/download.py", "1 << 14", "1 << 15"), set()),
    "a new address": (
        text("fcn/paper/downloads.toml", "https://download.pytorch.org/models/alexnet", "https://mirror.example/a"),
        set(),
    ),
    "where a run is scored": (
        params(lambda values: values["runs"][FINER].update(val=VAL)), {f"evaluate@{FINER}"} | PAGES,
    ),
    "whom a run is compared with": (params(another_regime), PAGES),
    "a new run": (params(new_run), {"splits", "train@voc-fcn16s-again", "evaluate@voc-fcn16s-again"} | PAGES),
    "a removed run": (params(removed_run), {"splits"} | PAGES),
    "a run's seed": (params(lambda values: values["runs"][FINER].update(seed=1)), {f"train@{FINER}"} | PAGES),
    "an archive's seed": (
        params(lambda values: values["archives"]["sbd"].update(seed=1)), {"archives@sbd", "tables"},
    ),
    "a recipe": (
        params(lambda values: values["recipes"]["finer"].update(rate=0.02)),
        {f"train@{FINER}", "tables", "report", "publish"},
    ),
    "how often a training is scored": (
        params(lambda values: values["recipes"]["finer"].update(score_every=20)),
        {"splits", f"train@{FINER}", "tables", "report", "publish"},
    ),
    "a list that no run uses": (copied("data/tiny/lists/voc2012/val.txt", "new.txt"), {"datasets@voc2012", "splits"}),
    "how many images a list has": (
        params(lambda values: values["lists"]["voc2012-val"].update(expect=None)), {"splits", "tables", "report"},
    ),
    "why a run departs": (params(lambda values: values["departures"].update(pad="because")), {"tables"}),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("edited", EDITS)
def test_an_edit_makes_stale_what_it_can_change(workspace_done: Path, tmp_path: Path, edited: str) -> None:
    """After one edit and the cheap first stage, `dvc status` names the stages that the edit can alter, and no other."""
    edit, expected = EDITS[edited]
    folder = tmp_path / "project"
    shutil.copytree(workspace_done, folder, symlinks=True)
    edit(folder)
    ended = forked.run(["code"], folder, processes.environment(PYTHONPATH=""))
    assert ended.returncode == 0, ended.stderr
    with importlib.import_module("dvc.repo").Repo(str(folder)) as repo:  # without types
        found = {address.rpartition(":")[2] for address in repo.status()}
    assert found - {"code"} == expected


@pytest.mark.slow
def test_what_params_no_longer_has_is_set_aside(workspace_done: Path, tmp_path: Path) -> None:
    """A removed run's results go to removed/, out of the folders that others read; a clone has nothing to do again."""
    folder = tmp_path / "project"
    shutil.copytree(workspace_done, folder, symlinks=True)
    params(removed_run)(folder)
    workspace.repro(folder, "tables")
    data = folder / "data/tiny"
    for kind in ("nets", "history", "histograms", "classes", "scores", "cost", "code"):
        assert not [path for path in (data / kind).iterdir() if FINER in path.name], kind
    assert (data / "removed/nets" / f"{FINER}.pt").is_file()
    assert FINER not in (data / "tables/scores.md").read_text(encoding="utf-8")
    listed = yaml.safe_load((folder / "dvc.lock").read_text(encoding="utf-8"))["stages"]["tables"]["deps"]
    (scores,) = [item for item in listed if item["path"].endswith("/scores")]
    assert scores["nfiles"] == 1
    assert workspace.ran_in_a_clone(folder, tmp_path / "clone", "tables") == []


def test_a_digest_holds_all_that_a_stage_calls(workspace_done: Path) -> None:
    """Whatever module of fcn/ a stage calls is in its digest, or is one of those that never decide a result."""
    config = load(workspace_done / "params.yaml")
    notes = tracing.seen(workspace_done.parent / "watch")
    assert {command.split()[0] for command in notes} == {"code", *(stage for stage, _ in code.stages(config))}
    outside = {"fcn.cli", "fcn.__main__", "fcn.shape", *code.NEVER_THE_RESULT}  # every stage reads the params
    for command, note in notes.items():
        stage, _, item = command.partition(" ")
        if stage == "code":
            continue
        fetching = set(code.FETCHING) if stage == "archives" else set()
        modules = set(code.described(config, stage, item or None)["modules"])
        called = {
            path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            for path in note["called"]
            if path.endswith(".py")
        }
        assert called <= modules | outside | fetching, f"{command} calls {sorted(called - modules - outside)}"


def test_what_was_edited_since_is_refused(tiny_project: Path, tmp_path: Path) -> None:
    """A stage whose code or parameters were edited after the digests were written ends with 1 and says how to go on."""
    folder = shutil.copytree(tiny_project, tmp_path / "project")
    shutil.copytree(ROOT / "fcn", folder / "fcn", ignore=shutil.ignore_patterns("__pycache__"))

    def stage(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return forked.run(arguments, folder, processes.environment(PYTHONPATH=""))

    assert stage("code").returncode == 0
    assert stage("splits").returncode == 0
    for edit in (
        text("fcn/stages/splits.py", "splits.prove_disjoint(lists, pairs=pairs)", "pass"),
        params(lambda values: values["lists"]["voc2012-val"].update(expect=None)),
    ):
        edit(folder)
        ended = stage("splits")
        assert ended.returncode == 1
        assert "splits were edited after the stage `code` had written data/tiny/code/splits.json" in ended.stderr
        assert "`python -m fcn code --params params.yaml` writes it anew; then run the same command" in ended.stderr
        assert stage("code", "--params", "params.yaml").returncode == 0
        assert stage("splits").returncode == 0


def test_a_file_that_python_cannot_read_is_named(tmp_path: Path) -> None:
    """A syntax error ends with the file and the line."""
    (tmp_path / "__init__.py").write_text("")
    (tmp_path / "a.py").write_text("x = 1\ndef (\n")
    with pytest.raises(ValueError, match=r"a\.py, line 2: "):
        closure(["fcn.a"], folder=tmp_path)


def test_methods_that_are_used_count(tmp_path: Path) -> None:
    """Of a module that counts by member, what the closure has a use for is in the digest, and what that uses."""
    (tmp_path / "__init__.py").write_text("")
    (tmp_path / "b.py").write_text(
        "class B:\n    def f(self):\n        return self._h\n    def g(self): ...\n    def _h(self): ...\n"
    )
    (tmp_path / "a.py").write_text("from fcn.b import B\n\nB().f()\n")
    found = closure(["fcn.a"], folder=tmp_path, without=["fcn.b"], by_member=["fcn.b"])
    assert set(found) == {"fcn", "fcn.a", "fcn.b.B.f", "fcn.b.B._h"}


def test_every_stage_of_the_graph_has_a_digest() -> None:
    """The stages that the first one writes a file for are those of dvc.yaml, and each depends on its own."""
    graph = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    stages = {stage for path in ROOT.glob("profiles/*/params.yaml") for stage, _ in code.stages(load(path))}
    assert stages == set(graph) - {"code"}
    for name, stage in graph.items():
        if name != "code":
            of_item = f"{name}@${{key}}" if "foreach" in stage else name
            assert f"data/${{profile}}/code/{of_item}.json" in stage.get("do", stage)["deps"]


def test_an_archive_is_known_by_its_hash_alone() -> None:
    """The digest of a download has its name, size and hashes, no address, and nothing of other downloads.

    Where it comes in parts, these are known so one by one.
    """
    config = load(ROOT / "profiles/paper/params.yaml")
    facts = tomllib.loads((ROOT / "fcn/paper/downloads.toml").read_text(encoding="utf-8"))
    for name, archive in config.archives.items():
        found = code.described(config, "archives", name)
        assert found["modules"] == {}
        parts = found["settings"].get("parts", [found["settings"]])
        assert [part["file"] for part in parts] == [facts[part]["file"] for part in archive.parts or (name,)]
        assert "://" not in json.dumps(found)


def test_comments_and_docstrings_do_not_count(tmp_path: Path) -> None:
    """Comments, docstrings and layout leave a digest as it is; a name, a number or an operator changes it."""
    (tmp_path / "__init__.py").write_text("")
    module = tmp_path / "a.py"
    original = '"""What."""\n\n\ndef f(x: int) -> int:\n    """Why."""\n    return x + 1\n'
    module.write_text(original)
    before = closure(["fcn.a"], folder=tmp_path)
    for same in (original.replace("Why", "How"), original.replace('    """Why."""\n', ""), original + "# end\n"):
        module.write_text(same)
        assert closure(["fcn.a"], folder=tmp_path) == before
    for other in (original.replace("x + 1", "x - 1"), original.replace("x + 1", "x + 2"), original.replace("f(", "g(")):
        module.write_text(other)
        assert closure(["fcn.a"], folder=tmp_path) != before


def test_a_closure_follows_every_import(tmp_path: Path) -> None:
    """Modules imported at the top, inside a function, from a package, and packages themselves are all in it."""
    (tmp_path / "room").mkdir()
    files = {
        "__init__.py": "", "a.py": "import fcn.b\n\n\ndef f():\n    from fcn.room import c\n", "b.py": "import os\n",
        "room/__init__.py": "", "room/c.py": "from fcn.d import x\n", "d.py": "x = 1\n", "e.py": "",
    }  # fmt: skip
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    found = closure(["fcn.a"], folder=tmp_path)
    assert set(found) == {"fcn", "fcn.a", "fcn.b", "fcn.room", "fcn.room.c", "fcn.d"}
    assert set(closure(["fcn.a"], folder=tmp_path, without=["fcn.room.c"])) == {"fcn", "fcn.a", "fcn.b", "fcn.room"}


def test_what_is_imported_by_name_is_named() -> None:
    """Only the rooms whose files are found by their names import so: the roots of the digests name their files."""
    users = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "fcn").rglob("*.py")
        if "import_module(" in path.read_text(encoding="utf-8")
    }
    assert users == {
        "fcn/cli.py", "fcn/datasets/formats/__init__.py", "fcn/datasets/sample/standins/__init__.py",
        "fcn/nets/backbones/__init__.py", "fcn/nets/pretrained/__init__.py", "fcn/training/losses/__init__.py",
    }  # fmt: skip


def test_settings_are_resolved() -> None:
    """A digest has the values that a stage works with, those of defaults too."""
    values = tiny.params()
    values["datasets"]["own"] = {"format": "folder", "from": "x", "classes": {"sky": [1, 2, 3], "tree": [4, 5, 6]}}
    own = code.described(parse(values), "datasets", "own")["settings"]
    assert own["classes"]["tree"] == [4, 5, 6]
    recipe = code.described(parse(values), "train", FINER)["settings"]["recipe"]
    assert recipe["on_oom"] == "stop"
    assert recipe["accumulation"] == 2


def test_what_no_stage_makes_any_more_is_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Folders and files of an older layout leave the data folder for removed/, and what is listed stays."""
    tiny.write(tmp_path, tiny.params())
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "data/tiny"
    old = ("raw/voc.tar", "labels/x.png", f"histograms/{COARSE}.npy")
    listed = (f"histograms/{COARSE}/semantic.npy", f"nets/{COARSE}.pt", "report/report.md")
    for name in (*old, *listed):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).touch()
    code.run(load(Path("params.yaml")), None)
    assert all((data / "removed" / name).exists() and not (data / name).exists() for name in old)
    assert all((data / name).exists() for name in listed)
    assert capsys.readouterr().err.count(": moved to ") == len(old)
