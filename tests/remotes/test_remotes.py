"""A stage that finished in one clone is restored in another, through every kind of remote that we recommend."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.remotes import servers
from tests.remotes.clones import Clone, make

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=sorted(servers.KINDS))
def first(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """A project in which all stages have run, and which has pushed its results."""
    folder = tmp_path_factory.mktemp(request.param)
    with servers.KINDS[request.param](folder) as remote:
        project = make(folder / "first", remote=remote.address, options=remote.options, environment=remote.environment)
        project.dvc("repro")
        evaluations = ["evaluate@voc-fcn16s", "evaluate@voc-fcn32s"]
        assert sorted(project.ran()) == [*evaluations, "publish", "tables", "train@voc-fcn16s", "train@voc-fcn32s"]
        project.git("add", "dvc.lock", "scores")
        project.git("commit", "-q", "-m", "results")
        project.dvc("push", "--run-cache")
        yield project


def test_a_clone_that_pulled_runs_nothing_but_publish(first: Clone, tmp_path: Path) -> None:
    """After `dvc pull` a fresh clone's `dvc repro` runs publish alone, and then nothing; the locks are equal."""
    clone = first.clone(tmp_path / "clone")
    clone.dvc("pull")
    assert clone.result() == first.result()
    clone.dvc("repro")
    assert clone.ran() == ["publish"]
    assert clone.lock() == first.lock()
    assert "up to date" in clone.dvc("repro")
    assert clone.ran() == []


def test_what_one_clone_finished_another_restores(first: Clone, tmp_path: Path) -> None:
    """A training of one clone comes to another through the run cache, though no dvc.lock that this one has names it.

    Its scores, which git would bring and not DVC, are computed again, and are the same.
    """
    one, two = first.clone(tmp_path / "one"), first.clone(tmp_path / "two")
    for clone in (one, two):
        clone.dvc("pull", "--run-cache")
        clone.dvc("repro")
        assert clone.ran() == ["publish"]
    two.set_iterations("voc-fcn16s", 99)
    two.dvc("repro")
    assert two.ran() == ["train@voc-fcn16s", "evaluate@voc-fcn16s", "tables", "publish"]
    two.dvc("push", "--run-cache")
    one.set_iterations("voc-fcn16s", 99)
    one.dvc("fetch", "--run-cache")
    assert one.lock() == first.lock()
    one.dvc("repro", "--pull")  # without --pull it knows of the training, but doesn't fetch what came of it
    assert one.ran() == ["evaluate@voc-fcn16s", "publish"]
    assert "voc-fcn16s 99" in one.result()
    assert one.lock() == two.lock()
