"""doctor: it finds nothing in a healthy tree, and in a broken one that which is broken, with what to do."""

import fcntl
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fcn.cli import main
from tests.commands import healthy
from tests.conftest import ROOT, RunFcn
from tests.publishing import ledgers

# The deprecations are MLflow's own doing, in the client that these tests write with.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

BEST = "voc-fcn8s-vgg16"
Doctor = Callable[..., tuple[int, dict[str, dict[str, str]]]]


@pytest.fixture(scope="module")
def healthy_once(tmp_path_factory: pytest.TempPathFactory, repository: Path, run_fcn: RunFcn) -> Path:
    root = tmp_path_factory.mktemp("healthy")
    healthy.make(root, repository, run_fcn)
    return root


@pytest.fixture
def tree(healthy_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A healthy project's root of the test's own, which is also where it runs."""
    root = Path(shutil.copytree(healthy_once, tmp_path / "project"))
    for name in ("MLFLOW_TRACKING_URI", "PREFECT_API_URL", "FCN_DEVICE", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Run doctor here: its exit code, and each check's finding by name."""

    def run(*arguments: str) -> tuple[int, dict[str, dict[str, str]]]:
        capsys.readouterr()
        code = main(["doctor", "--json", *arguments])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        answer = json.loads(said.out)
        assert answer["healthy"] == (code == 0)
        return code, {item["name"]: item for item in answer["checks"]}

    return run


def broken(found: dict[str, dict[str, str]]) -> set[str]:
    """The names of what is broken; each of them says what to do."""
    names = {name for name, item in found.items() if item["state"] == "broken"}
    assert all(found[name]["do"] for name in names)
    return names


def test_a_healthy_tree_is_healthy(tree: Path, doctor: Doctor) -> None:
    """Nothing is broken or warned of where all agree, every place was compared, and nothing was changed by looking."""
    before = {path: path.stat().st_mtime_ns for path in tree.rglob("*") if ".dvc/tmp" not in path.as_posix()}
    code, found = doctor()
    assert code == 0
    assert {item["state"] for item in found.values()} <= {"ok", "skipped"}, found
    for page in ("report.html", "report.md", "published.json", "MLflow"):
        assert found[f"numbers: {page}"]["state"] == "ok"
    assert int(found["numbers: MLflow"]["said"].split()[1].replace(",", "")) > 60
    assert found["prefect runs"]["state"] == "skipped"
    assert "no server configured" in found["prefect runs"]["said"]
    after = {path: path.stat().st_mtime_ns for path in tree.rglob("*") if ".dvc/tmp" not in path.as_posix()}
    assert after == before


def test_people_get_lines(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --json there is a line a check, and at the end whether all is well; a broken thing ends with 1."""
    assert main(["doctor"]) == 0
    assert "Healthy: " in capsys.readouterr().out
    (tree / ".dvc/tmp/rwlock").write_text("")
    assert main(["doctor"]) == 1
    said = capsys.readouterr()
    assert "BROKEN  dvc rwlock" in said.out
    assert "-> end any dvc that runs here" in said.out
    assert "checks found something broken: dvc rwlock" in said.err


@pytest.mark.parametrize("page", ["report.html", "report.md"])
def test_a_number_changed_in_the_report(tree: Path, doctor: Doctor, page: str) -> None:
    """A page that somebody edited is named, and after what doctor says to do all is well."""
    shown = f"{healthy.score(tree, BEST):.1f}"
    healthy.edit(tree / "data/sample/report" / page, shown, "99.9")
    code, found = doctor()
    assert (code, broken(found)) == (1, {"results"})
    assert "changed by something else than their stage: data/sample/report" in found["results"]["said"]
    assert "dvc checkout --force" in found["results"]["do"]
    subprocess.run([*healthy.DVC, "checkout", "--force", "-q", "data/sample/report"], cwd=tree, check=True)
    assert doctor()[0] == 0
    healthy.edit(tree / "dvc.yaml", "fcn report", "fcn report --params params.yaml")
    healthy.edit(tree / "data/sample/report" / page, shown, "99.9")
    assert "data/sample/report modified" in doctor()[1]["graph"]["said"]  # a stage that is stale anyway


@pytest.mark.parametrize("page", ["report/report.html", "report/report.md", "published.json"])
def test_a_page_of_other_numbers(tree: Path, doctor: Doctor, page: str) -> None:
    """A page that was made of other tables is named with its digest and theirs, and so is one that carries none."""
    path = tree / "data/sample" / page
    digest = re.findall(r"numbers\W+(?:content\W+)?([0-9a-f]{16})", path.read_text(encoding="utf-8"))[0]
    healthy.edit(path, digest, "0123456789abcdef")
    code, found = doctor()
    assert code == 1
    assert f"its digest is 0123456789abcdef, theirs {digest}" in found[f"numbers: {path.name}"]["said"]
    healthy.edit(path, "0123456789abcdef", "")
    code, found = doctor()
    assert code == 1
    assert f"its digest is missing, theirs {digest}" in found[f"numbers: {path.name}"]["said"]


def test_a_number_changed_in_a_table(tree: Path, doctor: Doctor) -> None:
    """A cell that somebody edited in a table's file is named by DVC, by every page of the old one, and by MLflow."""
    path = tree / "data/sample/tables/cvpr_table2.json"
    table = json.loads(path.read_text(encoding="utf-8"))
    table["rows"][-1]["cells"]["mean_iu"]["ours"] += 1
    path.unlink()
    path.write_text(json.dumps(table), encoding="utf-8")
    code, found = doctor()
    assert code == 1
    pages = {f"numbers: {page}" for page in ("report.html", "report.md", "published.json", "MLflow")}
    assert broken(found) == {"results"} | pages
    assert "data/sample/tables" in found["results"]["said"]
    assert "sample / CVPR Table 2, FCN-8s, mean_iu" in found["numbers: MLflow"]["said"]


def test_a_score_changed_in_its_file(tree: Path, doctor: Doctor) -> None:
    """A number that somebody edited in scores/ is named as changed by something else than its stage."""
    path = tree / f"data/sample/scores/{BEST}.json"
    text = path.read_text(encoding="utf-8")
    number = re.findall(r"\d\.\d{4,}", text)[0]
    healthy.edit(path, number, number[:-1] + ("1" if number[-1] != "1" else "2"))
    code, found = doctor()
    assert (code, "results" in broken(found)) == (1, True)
    assert "data/sample/scores" in found["results"]["said"]


def test_a_metric_changed_in_mlflow(tree: Path, doctor: Doctor) -> None:
    """A metric that somebody logged over a published one is named; so is a row that was deleted, and one too many."""
    client = ledgers.client(healthy.database(tree))
    runs = {str(run.info.run_name): run for run in ledgers.held(client)["sample / CVPR Table 2"]}
    client.log_metric(runs["FCN-8s"].info.run_id, "mean_iu", 99.9, step=1)
    code, found = doctor()
    assert (code, broken(found)) == (1, {"numbers: MLflow"})
    assert "sample / CVPR Table 2, FCN-8s, mean_iu: 99.9, the files have" in found["numbers: MLflow"]["said"]
    client.delete_run(runs["FCN-8s"].info.run_id)
    code, found = doctor()
    assert (code, broken(found)) == (1, {"numbers: MLflow"})
    assert "sample / CVPR Table 2, FCN-8s, paper.pixel_acc: nothing" in found["numbers: MLflow"]["said"]
    client.restore_run(runs["FCN-8s"].info.run_id)
    client.update_run(runs["FCN-8s"].info.run_id, name="FCN-4s")
    assert "sample / CVPR Table 2, FCN-4s is of nothing in the files" in doctor()[1]["numbers: MLflow"]["said"]


def test_mlflow_over_http_is_the_same(tree: Path, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a server doctor reads what it reads from the database, and says of one that is away that it is."""
    shutil.copy(tree / "mlflow.db", tree / "server.db")
    _, here = doctor()
    port = ledgers.free_port()
    with ledgers.server(tree, port=port) as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        code, served = doctor()
    assert code == 0, served
    assert served["numbers: MLflow"] == here["numbers: MLflow"]
    code, found = doctor()
    assert (code, broken(found)) == (1, {"mlflow runs"})


def test_a_running_run_without_a_process(tree: Path, doctor: Doctor) -> None:
    """A RUNNING run of this machine whose process is gone is broken; one of another machine is a warning."""
    client = ledgers.client(healthy.database(tree))
    experiment = next(item for item in client.search_experiments() if item.name == "sample / trainings")
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    tags = {"live.host": socket.gethostname(), "live.pid": str(gone.pid)}
    run = client.create_run(experiment.experiment_id, tags=tags, run_name=BEST)
    code, found = doctor()
    assert (code, broken(found)) == (1, {"mlflow runs"})
    assert f"process {gone.pid} on {socket.gethostname()}" in found["mlflow runs"]["said"]
    client.set_tag(run.info.run_id, "live.host", "another-machine")
    code, found = doctor()
    assert (code, found["mlflow runs"]["state"]) == (0, "warning")
    client.set_terminated(run.info.run_id, "KILLED")
    assert doctor()[1]["mlflow runs"]["state"] == "ok"


def test_no_mlflow_is_a_warning(tree: Path, doctor: Doctor) -> None:
    """Without a database nothing is broken, and what fills one is said; a file that is none is broken."""
    for path in tree.glob("mlflow.db*"):
        path.unlink()
    code, found = doctor()
    assert (code, found["numbers: MLflow"]["state"]) == (0, "warning")
    assert "fcn publish" in found["numbers: MLflow"]["do"]
    assert not (tree / "mlflow.db").exists()
    (tree / "mlflow.db").write_text("no database")
    code, found = doctor()
    assert (code, broken(found)) == (1, {"mlflow runs"})


def test_an_rwlock(tree: Path, doctor: Doctor) -> None:
    """A dead holder is a warning, for DVC drops it; a stranger of the same number and a cut file stop DVC: broken."""
    path = tree / ".dvc/tmp/rwlock"
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    entry = {"pid": gone.pid, "cmd": "dvc repro"}
    locked = str(tree / "data/sample/tables")
    path.write_text(json.dumps({"write": {locked: entry}, "read": {locked: [entry]}}))
    code, found = doctor()
    assert (code, found["dvc rwlock"]["state"]) == (0, "warning")
    assert f"process {gone.pid} (dvc repro), which is gone" in found["dvc rwlock"]["said"]
    with subprocess.Popen(["sleep", "600"]) as stranger:
        path.write_text(json.dumps({"write": {locked: entry | {"pid": stranger.pid}}}))
        code, found = doctor()
        stranger.kill()
    assert code == 1
    assert "sleep 600" in found["dvc rwlock"]["said"]
    path.write_text("")
    code, found = doctor()
    assert (code, "dvc rwlock" in broken(found)) == (1, True)


def test_a_missing_result(tree: Path, doctor: Doctor) -> None:
    """A result that was deleted is broken and named, and after what doctor says to do all is well."""
    (tree / "data/sample/report/report.md").unlink()
    code, found = doctor()
    assert code == 1
    assert broken(found) == {"results"}
    assert "data/sample/report" in found["results"]["said"]
    assert "dvc checkout" in found["results"]["do"]
    subprocess.run([*healthy.DVC, "checkout", "--force", "-q"], cwd=tree, check=True)
    assert doctor()[0] == 0


def test_a_missing_cache_file(tree: Path, doctor: Doctor) -> None:
    """A result whose copy in DVC's cache is gone is broken: nobody could restore or push it."""
    files = [path for path in (tree / ".dvc/cache").rglob("*") if path.is_file() and path.suffix != ".dir"]
    shown = [path for path in files if b"Scores of all runs" in path.read_bytes()]
    assert shown
    shown[0].unlink()
    code, found = doctor()
    assert (code, broken(found)) == (1, {"results"})
    assert "data/sample/report (not in cache)" in found["results"]["said"]


def test_stale_stages_are_a_warning(tree: Path, doctor: Doctor) -> None:
    """A changed command makes its stage stale: no damage, and `dvc repro` is what to do."""
    healthy.edit(tree / "dvc.yaml", "fcn report", "fcn report --params params.yaml")
    code, found = doctor()
    assert (code, found["graph"]["state"]) == (0, "warning")
    assert "report" in found["graph"]["said"]
    assert "dvc repro" in found["graph"]["do"]


def test_entries_of_stages_that_are_gone(tree: Path, doctor: Doctor) -> None:
    """What dvc.lock has of stages that dvc.yaml hasn't any more is named, and --mend takes out that alone, once."""
    lock = tree / "dvc.lock"
    before = lock.read_text(encoding="utf-8")
    stage = next(part for part in re.split(r"(?m)^(?=  \S)", before) if part.startswith("  report:"))
    gone = stage.replace("  report:", "  train@voc-of-nobody:", 1)
    lock.write_text(before.replace(stage, gone + stage), encoding="utf-8")
    code, found = doctor()
    assert (code, found["dvc.lock"]["state"]) == (0, "warning")
    assert "train@voc-of-nobody" in found["dvc.lock"]["said"]
    assert "doctor --mend" in found["dvc.lock"]["do"]
    code, found = doctor("--mend")
    assert (code, "dvc.lock" in found, lock.read_text(encoding="utf-8")) == (0, False, before)
    inode = lock.stat().st_ino
    assert doctor("--mend")[0] == 0
    assert lock.stat().st_ino == inode


def test_mending_waits_for_a_dvc(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """While a dvc is at work nothing is taken out of dvc.lock, and who asked is told so."""
    lock = tree / "dvc.lock"
    text = lock.read_text(encoding="utf-8") + "  train@voc-of-nobody:\n    cmd: x\n"
    lock.write_text(text, encoding="utf-8")
    with (tree / ".dvc/tmp/lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert main(["doctor", "--mend"]) == 1
    assert "a dvc is at work here" in capsys.readouterr().err
    assert lock.read_text(encoding="utf-8") == text


def test_results_that_were_set_aside(tree: Path, doctor: Doctor) -> None:
    """What lies in removed/ is told with its size: it is no fault, and nobody else would say so."""
    path = tree / "data/sample/removed/scores/voc-of-nobody.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"0" * 2000)
    code, found = doctor()
    assert (code, found["removed results"]["state"]) == (0, "ok")
    assert "2 kB of runs that params.yaml has no more: scores/voc-of-nobody.json" in found["removed results"]["said"]


def test_an_unsupported_fastapi(tree: Path, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of a version that pyproject.toml forbids is broken, with what is allowed; a missing one too."""
    metadata = tree / "elsewhere" / "fastapi-0.155.0.dist-info" / "METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text("Metadata-Version: 2.1\nName: fastapi\nVersion: 0.155.0\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tree / "elsewhere")
    code, found = doctor()
    assert (code, broken(found)) == (1, {"packages"})
    assert "fastapi is 0.155.0 (allowed: <0.151,>=0.139)" in found["packages"]["said"]
    healthy.edit(tree / "pyproject.toml", '"torch>=', '"torch-of-nobody>=1",\n    "torch>=')
    assert "torch-of-nobody is missing" in doctor()[1]["packages"]["said"]


def test_leftovers(tree: Path, doctor: Doctor) -> None:
    """States of a known run wait for it; those of an unknown run, and half-written files of the dead, are warned of."""
    state = tree / ".resume/sample" / f"{BEST}-0123456789abcdef" / "state-000000001-0123456789abcdef.pt"
    state.parent.mkdir(parents=True)
    state.write_bytes(b"0" * 2000)
    code, found = doctor()
    assert (code, found["resume states"]["state"]) == (0, "ok")
    assert f"{BEST}-0123456789abcdef (2 kB" in found["resume states"]["said"]
    state.parent.rename(state.parent.with_name("voc-of-nobody-0123456789abcdef"))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tree / "data/sample" / f".timing.json.{gone.pid}.part").write_text("{")
    (tree / "data/sample" / f".published.json.{os.getpid()}.part").write_text("{")  # its writer lives
    code, found = doctor()
    assert (code, found["resume states"]["state"], found["part files"]["state"]) == (0, "warning", "warning")
    assert "voc-of-nobody" in found["resume states"]["said"]
    assert f".timing.json.{gone.pid}.part" in found["part files"]["said"]
    assert "published" not in found["part files"]["said"]


def test_a_gpu_that_was_asked_for(tree: Path, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    """FCN_DEVICE=cuda on a machine without a GPU is broken; without the wish the CPU is fine."""
    _, found = doctor()
    if "none" not in found["gpu"]["said"]:
        pytest.skip("there is a GPU here")
    monkeypatch.setenv("FCN_DEVICE", "cuda")
    code, found = doctor()
    assert (code, broken(found)) == (1, {"gpu"})


@pytest.mark.parametrize("file", ["scores.json", "cvpr_table2.json"])
def test_nonsense_is_a_finding(tree: Path, doctor: Doctor, file: str) -> None:
    """A table's file that is no JSON, or of another shape, is a finding and no traceback."""
    path = tree / "data/sample/tables" / file
    for text in ("{", "[1, 2]", '{"rows": 3}'):
        path.unlink()
        path.write_text(text)
        code, found = doctor()
        assert code == 1
        assert "results" in broken(found)


def test_a_tree_without_anything(tmp_path: Path, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder with nothing but params.yaml doctor still says what it misses; params.yaml itself must be right."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    code, found = doctor()
    assert code == 1
    assert {"versions", "graph"} <= broken(found)
    (tmp_path / "params.yaml").write_text("profile: [")
    assert main(["doctor"]) == 2
