"""doctor of results that aren't as DVC recorded them: what it says, and that what it advises makes them right again."""

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from fcn.commands.checks import cache, dvc_graph, scores
from fcn.commands.checks.finding import Finding
from fcn.config import Config, load
from fcn.files import write_json
from tests.commands.healthy import BEST, DVC
from tests.conftest import ROOT

pytestmark = pytest.mark.slow

_GRAPH = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
(METRIC,) = _GRAPH["evaluate"]["do"]["metrics"][0].values()
NET, TABLE, COST = (Path("data/sample", name) for name in ("nets/a.pt", "tables/a.txt", "cost/a.json"))
SCORE = Path(f"data/sample/scores/{BEST}.json")
GRAPH = f"""
stages:
  train:
    cmd: mkdir -p data/sample/nets data/sample/cost && echo weights > {NET} && echo 1 > {COST}
    deps: [method.txt]
    outs: [{NET}, {COST}]
  evaluate:
    cmd: mkdir -p {SCORE.parent} && echo '{{"mean_iu":0.598}}' > {SCORE}
    deps: [{NET}]
    metrics: [{{{SCORE}: {json.dumps(METRIC)}}}]
  tables:
    cmd: mkdir data/sample/tables && echo 59.8 > {TABLE} && echo 1 > data/sample/tables/b.txt
    outs: [{TABLE.parent}]
"""


def dvc(*arguments: str) -> None:
    subprocess.run([*DVC, *arguments], check=True, capture_output=True)


def git(*arguments: str) -> None:
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three stages, run once and committed; results are links into the cache, as where files can't be cloned."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        git("init", "-q")
        dvc("init", "-q")
        dvc("config", "cache.type", "hardlink,copy")
        Path("dvc.yaml").write_text(GRAPH, encoding="utf-8")
        Path("method.txt").write_text("as published", encoding="utf-8")
        dvc("repro", "-q")
        dvc("checkout", "--relink", "-q")
        git("add", ".")
        git("commit", "-q", "-m", "results")
    return folder


@pytest.fixture
def config(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """The sample profile in a copy of that project, links, times and all."""
    subprocess.run(["cp", "-a", made, tmp_path / "project"], check=True)
    monkeypatch.chdir(tmp_path / "project")
    return replace(load(ROOT / "params.yaml"), params="params.yaml")


def damage(path: Path, content: bytes, *, seen: bool, mode: int = 0o444) -> None:
    """Write into a file that DVC made; a disk that rots leaves the time of the last change alone."""
    times = path.stat()
    path.chmod(0o644)
    with path.open("rb+") as file:
        file.truncate(len(content))
        file.write(content)
    path.chmod(mode)
    if not seen:
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def found(findings: list[Finding], name: str) -> Finding:
    return next(finding for finding in findings if finding.name == name)


def test_what_rotted_is_named_and_made_again(config: Config) -> None:
    """A flipped byte, which DVC doesn't see, and a file cut to nothing: --mend and `dvc repro` make both whole."""
    assert found(cache.check(config), "cache").message == "5 files, 163 bytes, are whole"
    dvc("status")  # DVC knows the bytes of what it has looked at, and looks again where size or time differ
    damage(NET, b"weightz\n", seen=False)
    assert found(dvc_graph.check(config), "graph").state == "ok"
    damage(TABLE, b"", seen=True)
    rotten = found(cache.check(config), "cache")
    assert rotten.state == "broken"
    assert all(str(path) in rotten.message for path in (NET, TABLE))
    said = list(cache.mend(config))
    assert {line.partition(" ")[0] for line in said} == {str(NET), str(TABLE)}
    assert all("deleted; `dvc pull` where" in line for line in said)
    assert not list(cache.mend(config))
    dvc("repro", "-q")
    assert (NET.read_bytes(), TABLE.read_bytes()) == (b"weights\n", b"59.8\n")
    assert found(cache.check(config), "cache").state == "ok"


def test_a_result_that_is_whole_is_worth_a_training(config: Config) -> None:
    """Where the cache alone has rotted, as where files are copied or cloned, --mend puts the result there again."""
    whole = NET.read_bytes()
    damage(NET, b"weightz\n", seen=False)
    NET.unlink()
    NET.write_bytes(whole)
    (said,) = cache.mend(config)
    assert "copied there again, as it is whole in its place" in said
    assert {finding.state for finding in (*cache.check(config), *dvc_graph.check(config))} == {"ok"}


@pytest.mark.parametrize("writer", ["root", "its owner"])
def test_an_edit_through_a_link_is_undone(config: Config, writer: str) -> None:
    """Edited in place a result is changed in the cache too: DVC drops that, or, where it is read-only still, --mend."""
    damage(NET, b"my own", seen=True, mode=0o444 if writer == "root" else 0o644)
    changed = found(dvc_graph.check(config), "results")
    assert (changed.state, str(NET) in changed.message) == ("broken", True)
    if writer == "root":
        assert (
            "--single-item train` puts back what the stage made; if the cache is broken too, first see" in changed.cure
        )
        assert str(NET) in found(cache.check(config), "cache").message
        assert [line.partition(" ")[0] for line in cache.mend(config)] == [str(NET)]
    else:
        assert changed.message.startswith("not in DVC's cache")
        assert "else `dvc repro`" in changed.cure
    dvc("repro", "-q")
    assert NET.read_bytes() == b"weights\n"
    assert found(dvc_graph.check(config), "graph").state == "ok"


@pytest.mark.parametrize("edit", ["in place", "deleted"])
def test_a_score_is_no_link_into_the_cache(config: Config, edit: str) -> None:
    """A score's file is a copy: whatever is written into it, the cache is whole, and puts back what the stage made."""
    whole = SCORE.read_bytes()
    if edit == "deleted":
        SCORE.unlink()
    else:
        damage(SCORE, b'{"mean_iu": 0.798}', seen=True, mode=SCORE.stat().st_mode & 0o777)
    changed = found(dvc_graph.check(config), "results")
    assert (changed.state, str(SCORE) in changed.message) == ("broken", True)
    assert found(cache.check(config), "cache").state == "ok"
    assert changed.cure.startswith("`dvc repro --single-item evaluate`")
    dvc("repro", "-q", "--single-item", "evaluate")
    assert (SCORE.read_bytes(), SCORE.stat().st_nlink) == (whole, 1)
    assert {finding.state for finding in (*cache.check(config), *dvc_graph.check(config))} == {"ok"}


@pytest.mark.parametrize(
    ("edited", "said"),
    [
        (None, "those of 1 runs are the last commit's"),
        ("score", "mean IU by the same code, settings and data as the last commit's: voc-fcn8s-vgg16 21.7"),
        ("method", "mean IU by other code, settings or data than the last commit's: voc-fcn8s-vgg16 21.7"),
    ],
)
def test_whose_doing_another_score_is(config: Config, edited: str | None, said: str) -> None:
    """A score that isn't the last commit's is the processor's doing only where nothing else differs."""
    if edited:
        SCORE.write_text('{"mean_iu": 0.217}', encoding="utf-8")
    if edited == "method":
        Path("method.txt").write_text("mine", encoding="utf-8")
        dvc("commit", "-q", "--force", "train", "evaluate")
    (finding,) = scores.check(config)
    assert finding.message.startswith(said)
    assert ("expected between processors" in finding.cure) == (edited == "score")
    assert ("(committed: 59.8)" in finding.message) == bool(edited)


@pytest.mark.parametrize("content", ["", "{}", "[]", "<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> other\n"])
def test_a_file_of_scores_that_has_none(config: Config, content: str) -> None:
    """What a merge or an editor left of it is named, and what doctor says to do about it helps."""
    SCORE.write_text(content, encoding="utf-8")
    (finding,) = scores.check(config)
    assert (finding.state, str(SCORE) in finding.message) == ("broken", True)
    assert finding.cure.startswith("`dvc repro`")
    dvc("repro", "-q")
    assert [it.state for it in scores.check(config)] == ["ok"]


@pytest.mark.parametrize("way", ["commit", "repro"])
def test_a_stage_that_was_run_by_hand_is_no_damage(config: Config, way: str) -> None:
    """Other bytes than DVC recorded, with a cost of their own: the person's own doing, to be kept or made anew."""
    for path in (NET, COST):
        path.unlink()
        path.write_text("by hand", encoding="utf-8")
    by_hand = dvc_graph.check(config)
    assert {finding.state for finding in by_hand} == {"warning"}
    assert found(by_hand, "run by hand").message == "train: run again with `python -m fcn STAGE`, without DVC"
    assert "`dvc commit --force train`" in found(by_hand, "run by hand").cure
    if way == "commit":
        dvc("commit", "--force", "train")
    dvc("repro", "-q")
    assert NET.read_text(encoding="utf-8") == ("by hand" if way == "commit" else "weights\n")
    assert found(dvc_graph.check(config), "graph").state == "ok"


def test_a_graph_that_another_dvc_is_making_is_not_broken(config: Config) -> None:
    """While a stage runs, DVC holds its outputs alone: the graph can't be looked at, which is no fault."""
    writer = {"pid": os.getpid(), "cmd": "dvc repro"}
    write_json(Path(".dvc/tmp/rwlock"), {"write": {str(NET.absolute()): writer}, "read": {}})
    graph = found(dvc_graph.check(config), "graph")
    assert (graph.state, "ask again when it is done" in graph.message) == ("skipped", True)
