"""Publishing again, after a change, a kill, a loss or a move: one run a row, complete, and no other."""

import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fcn.config import load
from fcn.files import read_json
from fcn.stages.places import Places
from fcn.stages.publish import made
from tests.conftest import RunFcn
from tests.publishing import ledgers, results

# The deprecations are MLflow's own doing, in the client that these tests read with.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

TABLE = "sample / CVPR Table 2"
RUNS = ["voc-fcn32s-alexnet", "voc-fcn32s-vgg16-fixed", "voc-fcn32s-vgg16", "voc-fcn16s-vgg16", "voc-fcn8s-vgg16"]
ROWS = ["FCN-32s-fixed", "FCN-32s", "FCN-16s", "FCN-8s"]
EXPERIMENTS = {TABLE, "sample / trainings", "sample / report"}


@pytest.fixture(scope="module")
def results_once(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    root = tmp_path_factory.mktemp("results")
    results.only(root, results.make(root, repository, *RUNS), "cvpr_table2")
    return root


@pytest.fixture
def project(results_once: Path, tmp_path: Path) -> Path:
    """A project's root of its own with results that nobody published."""
    return Path(shutil.copytree(results_once, tmp_path / "project"))


@pytest.fixture(scope="module")
def published_once(results_once: Path, tmp_path_factory: pytest.TempPathFactory, run_fcn: RunFcn) -> tuple[Path, Path]:
    """A published project, and a copy of it from which it is made as it was."""
    folder = tmp_path_factory.mktemp("published")
    root = Path(shutil.copytree(results_once, folder / "project"))
    publish(run_fcn, root)
    return root, Path(shutil.copytree(root, folder / "copy"))


@pytest.fixture
def published(published_once: tuple[Path, Path]) -> Path:
    """A project's root that was published once; always at the same place, because MLflow knows absolute paths."""
    root, copy = published_once
    shutil.rmtree(root)
    return Path(shutil.copytree(copy, root))


def publish(run_fcn: RunFcn, root: Path) -> str:
    """Publish, and return what was said."""
    done = run_fcn(["publish"], root)
    assert done.returncode == 0, done.stderr
    return done.stderr + done.stdout


def complete(root: Path) -> dict[str, dict[str, str]]:
    """Run ids by experiment and row, of a database in which every run is complete and no row stands twice."""
    return ledgers.complete(ledgers.client(ledgers.sqlite(root)), root)


def test_twice_adds_nothing(published: Path, run_fcn: RunFcn) -> None:
    """Published twice, every row has the run it had, and not even a deleted run was added."""
    before, rows, mark = (
        complete(published),
        ledgers.count(published / "mlflow.db"),
        Places(load(published / "params.yaml")).published,
    )
    first = (published / mark).read_bytes()
    assert set(before) == EXPERIMENTS
    assert list(before[TABLE]) == ROWS
    publish(run_fcn, published)
    assert complete(published) == before
    assert ledgers.count(published / "mlflow.db") == rows
    assert (published / mark).read_bytes() == first


def test_changed_scores_replace_their_rows(published: Path, repository: Path, run_fcn: RunFcn) -> None:
    """After other scores of one run, its row and training are new, each once, and all other rows are as they were."""
    before = complete(published)
    config = load(published / "params.yaml")
    results.score(published, config, "voc-fcn8s-vgg16", right=990)
    results.tables(published, repository)
    results.only(published, config, "cvpr_table2")
    publish(run_fcn, published)
    after = complete(published)
    changed = {(title, row) for title, rows in before.items() for row in rows if after[title][row] != rows[row]}
    assert changed == {
        (TABLE, "FCN-8s"),
        ("sample / trainings", "voc-fcn8s-vgg16"),
        ("sample / report", "report"),
    }
    reader = ledgers.client(ledgers.sqlite(published))
    numbers = read_json(published / "data" / "sample" / "published.json")["numbers"]
    assert {run.data.tags["numbers"] for runs in ledgers.held(reader).values() for run in runs} == {numbers}
    row = reader.get_run(after[TABLE]["FCN-8s"])
    score = read_json(published / "data" / "sample" / "scores" / "voc-fcn8s-vgg16.json")
    assert row.data.metrics["mean_iu"] == float(f"{100 * score['mean_iu']:.1f}")


@pytest.mark.parametrize("runs", [1, 9])
def test_a_killed_publish_is_completed(project: Path, repository: Path, run_fcn: RunFcn, runs: int) -> None:
    """Killed while it adds the n-th run, publish completes when run again, and no row stands twice."""
    process = ledgers.publishing(repository, project)
    while process.poll() is None and ledgers.count(project / "mlflow.db") < runs:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "it ended before it could be killed"
    assert not (project / "data" / "sample" / "published.json").exists()
    publish(run_fcn, project)
    assert list(complete(project)[TABLE]) == ROWS


def test_a_deleted_database_is_rebuilt(published: Path, run_fcn: RunFcn) -> None:
    """Without mlflow.db and its artifacts, publish makes the same rows with the same numbers again."""

    def numbers() -> dict[str, list[dict[str, float]]]:
        held = ledgers.held(ledgers.client(ledgers.sqlite(published)))
        return {title: [run.data.metrics for run in runs] for title, runs in held.items()}

    before, rows = numbers(), complete(published)
    for path in published.glob("mlflow.db*"):
        path.unlink()
    shutil.rmtree(published / "mlartifacts")
    publish(run_fcn, published)
    assert numbers() == before
    assert complete(published).keys() == rows.keys()


def test_two_at_once_publish_once(project: Path, repository: Path) -> None:
    """Two publishes that start together on a machine without a database both succeed, and every row stands once."""
    both = [ledgers.publishing(repository, project) for _ in range(2)]
    said = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert list(complete(project)[TABLE]) == ROWS
    assert ledgers.count(project / "mlflow.db", "lifecycle_stage = 'deleted'") == 0


def test_a_copied_project_leaves_the_other_alone(published: Path, run_fcn: RunFcn) -> None:
    """In a copy of a project its artifacts lie in the copy, and the first project's are untouched."""
    copy = Path(shutil.copytree(published, published.with_name("elsewhere")))
    lying = sorted(path for path in (published / "mlartifacts").rglob("*"))
    publish(run_fcn, copy)
    assert sorted(path for path in (published / "mlartifacts").rglob("*")) == lying
    for runs in ledgers.held(ledgers.client(ledgers.sqlite(copy))).values():
        assert {run.info.artifact_uri.startswith(copy.as_uri()) for run in runs} == {True}
    assert list(complete(copy)[TABLE]) == ROWS
    identities = complete(copy)
    publish(run_fcn, copy)
    assert complete(copy) == identities


def test_what_others_did_is_handled(published: Path, run_fcn: RunFcn) -> None:
    """Somebody's own run in an experiment stays; an experiment that somebody deleted, a run or a model comes back."""
    before = complete(published)
    someone = ledgers.client(ledgers.sqlite(published))
    experiment = someone.get_experiment_by_name(TABLE)
    assert experiment is not None
    own = someone.create_run(experiment.experiment_id, run_name="mine")
    someone.delete_run(before["sample / trainings"]["voc-fcn8s-vgg16"])
    someone.delete_logged_model(ledgers.models(someone, "sample / trainings")["voc-fcn16s-vgg16"].model_id)
    report = someone.get_experiment_by_name("sample / report")
    assert report is not None
    someone.delete_experiment(report.experiment_id)
    publish(run_fcn, published)
    after = ledgers.identities(someone)
    assert after[TABLE] == {**before[TABLE], "mine": own.info.run_id}
    assert after["sample / trainings"].keys() == before["sample / trainings"].keys()
    assert ledgers.models(someone, "sample / trainings").keys() == before["sample / trainings"].keys()
    assert after["sample / report"] == before["sample / report"]


def test_a_table_that_nothing_fills_goes(published: Path, run_fcn: RunFcn) -> None:
    """An experiment whose table is no longer filled is removed, and nothing else."""
    before = complete(published)
    results.only(published, load(published / "params.yaml"))
    publish(run_fcn, published)
    after = complete(published)
    assert after.keys() == EXPERIMENTS - {TABLE}
    assert after["sample / trainings"] == before["sample / trainings"]


def test_runs_say_where_they_are_from(project: Path, run_fcn: RunFcn, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run has the git commit and the Prefect flow run that made it; another flow run alone makes no new one."""
    results.only(project, load(project / "params.yaml"))
    me = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org"]
    for command in (["init", "--quiet"], [*me, "commit", "--quiet", "--allow-empty", "-m", "start"]):
        subprocess.run(["git", *command], cwd=project, check=True)
    head = ["git", "rev-parse", "HEAD"]
    commit = subprocess.run(head, cwd=project, capture_output=True, text=True, check=True).stdout.strip()
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "11111111-2222-3333-4444-555555555555")
    publish(run_fcn, project)
    before = complete(project)
    tags = ledgers.held(ledgers.client(ledgers.sqlite(project)))["sample / trainings"][0].data.tags
    assert tags["git.commit"] == commit
    assert tags["prefect.flow_run"] == "11111111-2222-3333-4444-555555555555"
    assert tags["dvc.stage"] == "train@voc-fcn32s-alexnet, evaluate@voc-fcn32s-alexnet"
    assert len(tags["dvc.lock"]) == 32
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "another")
    monkeypatch.setenv("PATH", str(project))
    assert "the runs' git.commit is unknown: there is no program git" in publish(run_fcn, project)
    assert complete(project) == before


def test_the_commit_is_this_folder_s_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever owns the checkout; in a folder within it, as of an unpacked ZIP, and without git none is known."""
    me = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org"]
    for command in (["init", "--quiet"], [*me, "commit", "--quiet", "--allow-empty", "-m", "start"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert re.fullmatch("[0-9a-f]{40}", made()["git.commit"])
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    assert made()["git.commit"] == "unknown: there is no git checkout"
    monkeypatch.setenv("PATH", "")
    assert made()["git.commit"] == "unknown: there is no program git"


@pytest.mark.parametrize(
    ("uri", "named"),
    [
        (lambda: ledgers.with_password(f"http://127.0.0.1:{ledgers.free_port()}"), "http://127.0.0.1:"),
        (lambda: f"postgresql://me:{ledgers.PASSWORD}@127.0.0.1:{ledgers.free_port()}/x", "postgresql://127.0.0.1:"),
        (lambda: "./somewhere", "./somewhere"),
        (lambda: "ftp://127.0.0.1/x", "ftp://127.0.0.1/x"),
    ],
    ids=["nobody listens", "no database", "a folder", "no such kind"],
)
def test_an_unusable_server_is_said(
    project: Path, run_fcn: RunFcn, monkeypatch: pytest.MonkeyPatch, uri: Callable[[], str], named: str
) -> None:
    """Where MLflow can't be had, a sentence says which address and what to do, and nothing is marked as published."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri())
    done = run_fcn(["publish"], project)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: MLflow at ")
    assert named in last
    assert "MLFLOW_TRACKING_URI" in last
    assert "Traceback" not in done.stderr
    assert not ledgers.tells(done.stdout, done.stderr, below=project)
    assert not (project / "data" / "sample" / "published.json").exists()


@pytest.mark.parametrize("content", [b"no database at all", b"SQLite format 3\0 and then nothing of the kind"])
def test_a_damaged_database_is_said(project: Path, run_fcn: RunFcn, content: bytes) -> None:
    """A mlflow.db that is none is named in a sentence which says that it may be deleted."""
    (project / "mlflow.db").write_bytes(content)
    done = run_fcn(["publish"], project)
    assert done.returncode in (1, 2)
    assert re.search(r"^error: .*delete (it|mlflow\.db)", done.stderr, re.MULTILINE), done.stderr
    assert "Traceback" not in done.stderr


def test_a_name_is_refused(project: Path, run_fcn: RunFcn) -> None:
    """The stage takes no name."""
    done = run_fcn(["publish", "voc-fcn8s-vgg16"], project)
    assert done.returncode == 2
    assert "publish takes no name" in done.stderr
