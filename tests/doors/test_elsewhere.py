"""`reproduce` has its trainings done in another clone, by another worker; results travel over an S3 remote."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from prefect.settings import PREFECT_API_URL, temporary_settings

from fcn.errors import InputError
from flows import elsewhere
from flows.children import environment
from flows.plan import RunOptions
from tests.doors.conftest import METHOD, fill, quiet, sliced
from tests.doors.servers import Site, free_port, site, until

pytestmark = pytest.mark.slow  # a server, two workers, many dvc commands

# Each stage notes where it ran, outside of the clones; trainings fail while `broken` is there, and wait for `held`.
_NOTE = "echo {stage} $PWD >> $WITNESS/ran"
_SWITCHES = "test ! -e $WITNESS/broken && while test -e $WITNESS/held; do sleep 0.2; done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Two:
    """Two clones of one project, each with a worker, on one Prefect server."""

    site: Site
    here: Path
    there: Path
    witness: Path

    def ran(self) -> list[tuple[str, str]]:
        """Which stages ran where since the last time that this was asked."""
        path = self.witness / "ran"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [(stage, Path(folder).name) for stage, _, folder in (line.partition(" ") for line in lines)]

    def change(self, seed: int) -> None:
        """Make everything stale, in both clones alike."""
        for clone in (self.here, self.there):
            _seed(clone, seed)


def _seed(clone: Path, seed: int) -> None:
    (clone / "settings.yaml").write_text(f"seed: {seed}\n", encoding="utf-8")


def _project(folder: Path, s3: str) -> Path:
    """A committed project of quick stages, with the remote as its default."""
    cat = "cat {init} data.txt > net-{run}.txt"
    stages = sliced(
        archives_data=f"{_NOTE.format(stage='archives')}; cat settings.yaml > data.txt",
        weights_net=f"{_NOTE.format(stage='weights')}; echo weights > weights.txt",
        **{
            f"train_{run}": f"{_NOTE.format(stage=run)}; {_SWITCHES} && {cat.format(run=run, init=init)}"
            for run, init in (("one", "weights.txt"), ("two", "net-one.txt"), ("other", "weights.txt"))
        },
    )
    fill(folder, stages)
    (folder / ".gitignore").write_text(
        "*.txt\n!method.txt\ncode\nscores\nprefect.yaml\n__pycache__\n", encoding="utf-8"
    )
    dvc = [sys.executable, "-m", "dvc"]
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for command in (
        [*dvc, "remote", "add", "-d", "s3", "s3://results/dvc"],
        [*dvc, "remote", "modify", "s3", "endpointurl", s3],
        ["git", "add", "."],
        [*git, "commit", "-q", "-m", "a project"],
    ):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an S3 server with the bucket `results`."""
    address = f"http://127.0.0.1:{free_port()}"
    with (tmp_path_factory.mktemp("s3") / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-p", address.rpartition(":")[2]], stdout=log, stderr=log
        )

    def answers() -> bool:
        assert server.poll() is None, "the S3 server ended"
        try:
            return requests.put(f"{address}/results", timeout=60).ok
        except requests.ConnectionError:
            return False

    try:
        until(answers, doing="the S3 server answers")
        yield address
    finally:
        server.kill()
        server.wait()


@pytest.fixture(scope="module")
def two(prefect_homes: Callable[[str], Path], s3: str) -> Iterator[Two]:
    """Two clones of a project, the S3 remote, one Prefect server, and in each clone a worker with a pool of its own."""
    home = prefect_homes("two")
    witness = home / "witness"
    witness.mkdir()
    variables = {
        **quiet(home),
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1",
        "DVC_SITE_CACHE_DIR": str(home / "dvc-site"),
        "WITNESS": str(witness),
    }
    origin = _project(home / "origin", s3)
    with site(home, variables) as prefect:
        for name, pool in (("here", "cpu"), ("there", "gpu")):
            clone = home / name
            subprocess.run(["git", "clone", "-q", str(origin), str(clone)], check=True)
            deployment = {"name": name, "entrypoint": "flows/reproduce.py:reproduce", "work_pool": {"name": pool}}
            pull = [{"prefect.deployments.steps.set_working_directory": {"directory": str(clone)}}]
            text = yaml.safe_dump({"name": "two", "pull": pull, "deployments": [deployment]})
            (clone / "prefect.yaml").write_text(text, encoding="utf-8")
            prefect.make_pool(pool)
            prefect.prefect("--no-prompt", "deploy", "--all", cwd=clone)
            prefect.start_worker(pool)
        yield Two(site=prefect, here=home / "here", there=home / "there", witness=witness)


def _lock(clone: Path) -> dict[str, Any]:
    stages: dict[str, Any] = yaml.safe_load((clone / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    return stages


def _ended(two: Two, run: str) -> dict[str, Any]:
    """The final state of a flow run."""
    two.site.until_state(run, "Completed", "Failed", "Cancelled", "Crashed")
    state: dict[str, Any] = two.site.ask("get", f"flow_runs/{run}")["state"]
    return state


def _training_of(two: Two, *, but: set[str]) -> str:
    """The id of the newest flow run of the deployment reproduce/there."""
    found: list[str] = []

    def there() -> bool:
        runs = two.site.ask("post", "flow_runs/filter", deployments={"name": {"any_": ["there"]}})
        found[:] = [run["id"] for run in runs if run["id"] not in but]
        return bool(found)

    until(there, doing="the other machine's flow run is there", explain=two.site.said)
    return found[0]


def _trainings(two: Two) -> set[str]:
    return {run["id"] for run in two.site.ask("post", "flow_runs/filter", deployments={"name": {"any_": ["there"]}})}


def test_trainings_run_there_and_are_restored_here(two: Two) -> None:
    """Preparing and scoring ran here alone, trainings there alone; both locks are equal; `dvc repro` runs nothing."""
    state = _ended(two, two.site.run("reproduce/here", train_on="reproduce/there"))
    assert state["type"] == "COMPLETED", (state["message"], two.site.said())
    assert sorted(two.ran()) == [
        ("archives", "here"),
        ("one", "there"),
        ("other", "there"),
        ("two", "there"),
        ("weights", "here"),
    ]
    here, there = _lock(two.here), _lock(two.there)
    assert {name for name in there if name.startswith("train@")} == {"train@one", "train@two", "train@other"}
    assert {name: here[name] for name in there} == there
    again = _dvc(two, two.here, "repro")
    assert "Running stage" not in again
    assert two.ran() == []

    _dvc(two, two.here, "push", "--run-cache")  # and the other way round: what was scored here is restored there
    _dvc(two, two.there, "pull", "--run-cache", "archives", "weights", "train")
    for command in (["-m", "flows.exchange", "history"], ["-m", "dvc", "repro", "--pull"]):
        subprocess.run([sys.executable, *command], cwd=two.there, env=two.site.environment, check=True)
    assert _lock(two.there) == _lock(two.here)
    assert two.ran() == []


def test_a_lock_of_results_that_are_nowhere_is_no_obstacle(two: Two) -> None:
    """Where dvc.lock names a result that the remote lacks, the one that it has for the same inputs is restored."""
    lock = yaml.safe_load((two.here / "dvc.lock").read_text(encoding="utf-8"))
    lock["stages"]["train@one"]["outs"][0]["md5"] = "0" * 32
    (two.here / "dvc.lock").write_text(yaml.safe_dump(lock), encoding="utf-8")
    shutil.rmtree(two.here / ".dvc/cache/runs")
    (two.here / "net-one.txt").unlink()
    for command in (["history"], ["repro", "--must", "train@one"]):
        exchange = [sys.executable, "-m", "flows.exchange", *command]
        subprocess.run(exchange, cwd=two.here, env=two.site.environment, check=True)
    assert _lock(two.here)["train@one"] == _lock(two.there)["train@one"]
    assert two.ran() == []


def _dvc(two: Two, clone: Path, *arguments: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=clone,
        env=two.site.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def test_a_training_that_fails_there_fails_here_with_its_state_and_id(two: Two) -> None:
    """Nothing is trained here in its stead, and what there is of the rest is done."""
    two.change(seed=1)
    (two.witness / "broken").touch()
    before = _trainings(two)
    state = _ended(two, two.site.run("reproduce/here", train_on="reproduce/there"))
    (two.witness / "broken").unlink()
    (theirs,) = _trainings(two) - before
    assert state["name"] == "Failed"
    assert "reproduce/there did not complete: flow run reproduce-sample-train" in state["message"]
    assert f"({theirs}) is Failed" in state["message"]
    assert ("one", "here") not in two.ran()


@pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")
def test_what_differs_is_what_another_clone_would_make_otherwise(two: Two) -> None:
    """Other parameters there are named, another comment is no other code, and equal clones are no obstacle."""
    two.change(seed=2)
    with chdir(two.here):
        ours = elsewhere.made_of("sample")
    _method(two.there, f"{METHOD}# another comment\n")
    with chdir(two.there):
        elsewhere.check_same(ours, profile="sample")
        _seed(two.there, 3)
        with pytest.raises(InputError, match="the training: archives@data, weights@net differ"):
            elsewhere.check_same(ours, profile="sample")
    _method(two.there, METHOD)


def test_another_clone_is_refused_with_what_differs(two: Two) -> None:
    """Other code there: the training would not be the one that is wanted, so it isn't begun."""
    two.change(seed=2)
    (two.there / "method.txt").write_text("mean\n", encoding="utf-8")
    try:
        state = _ended(two, two.site.run("reproduce/here", train_on="reproduce/there"))
    finally:
        _method(two.there, METHOD)
    differing = "archives@data, train@one, train@other, train@two, weights@net"
    assert state["name"] == "Failed"
    assert f"this clone is not as the one that wants the training: {differing} differ" in state["message"]
    assert not any(folder == "there" for _, folder in two.ran())


def _method(clone: Path, text: str) -> None:
    """Change the code of a clone, and write down its digests, as every flow does first."""
    (clone / "method.txt").write_text(text, encoding="utf-8")
    subprocess.run([sys.executable, "-m", "dvc", "repro", "-q", "code"], cwd=clone, env=environment(), check=True)


def test_cancelling_here_cancels_there(two: Two) -> None:
    """The flow run on the other machine ends with the one that wanted it."""
    two.change(seed=4)
    (two.witness / "held").touch()
    before = _trainings(two)
    try:
        run = two.site.run("reproduce/here", train_on="reproduce/there")
        theirs = _training_of(two, but=before)
        until(lambda: _has_begun(two), doing="a training has begun", explain=two.site.said)
        two.site.cancel(run)
        two.site.until_state(run, "Cancelled")
        two.site.until_state(theirs, "Cancelled")
    finally:
        (two.witness / "held").unlink()


def _has_begun(two: Two) -> bool:
    path = two.witness / "ran"
    return path.exists() and "there" in path.read_text(encoding="utf-8")


@pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")  # DVC reads what its trie library gives up
def test_what_is_missing_is_one_sentence(two: Two) -> None:
    """No deployment of the name, no remote of the name, no server: what is wrong and what there is."""
    there, api = "reproduce/there", two.site.api
    for deployment, options, server, said in (
        (
            "reproduce/moon",
            RunOptions(),
            api,
            "no deployment 'reproduce/moon'; there are reproduce/here, reproduce/there",
        ),
        (there, RunOptions(remote="moon"), api, "DVC remote 'moon' is unknown; there are s3"),
        (there, RunOptions(), None, "set PREFECT_API_URL"),
        (there, RunOptions(force=True), api, "force and train_on exclude each other"),
    ):
        with chdir(two.here), temporary_settings({PREFECT_API_URL: server}), pytest.raises(InputError, match=said):
            elsewhere.reproduce(deployment, options)
