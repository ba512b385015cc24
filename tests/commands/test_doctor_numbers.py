"""doctor: which files and rows of MLflow it finds to have other numbers, and what it says to do."""

import json
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from fcn.commands.checks import mlflow_rows
from fcn.commands.checks.finding import Finding
from fcn.config import load
from tests.commands import healthy
from tests.commands.healthy import BEST, Doctor, broken
from tests.publishing import ledgers

# The deprecations are MLflow's own doing, in the client that these tests write with.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.mark.parametrize("page", ["report.html", "report.md"])
def test_a_number_changed_in_the_report(tree: Path, doctor: Doctor, page: str) -> None:
    """A page that somebody edited is named, and after what doctor says to do all is well."""
    shown = f"{healthy.score(tree, BEST):.1f}"
    healthy.edit(tree / "data/sample/report" / page, shown, "99.9")
    code, found = doctor()
    assert (code, broken(found)) == (1, {"results"})
    assert "changed by something else than their stage: data/sample/report" in found["results"]["said"]
    assert found["results"]["do"].startswith("`dvc repro --single-item report`")
    subprocess.run([*healthy.DVC, "repro", "-q", "--single-item", "report"], cwd=tree, check=True)
    assert doctor()[0] == 0
    healthy.edit(tree / "dvc.yaml", "fcn report", "fcn report --params params.yaml")
    healthy.edit(tree / "data/sample/report" / page, shown, "99.9")
    assert "data/sample/report modified" in doctor()[1]["graph"]["said"]  # a stage that is stale anyway


def test_a_number_changed_in_a_table(tree: Path, doctor: Doctor) -> None:
    """A cell that somebody edited in a table's file is named by DVC and by MLflow."""
    path = tree / "data/sample/tables/cvpr_table2.json"
    table = json.loads(path.read_text(encoding="utf-8"))
    table["rows"][-1]["cells"]["mean_iu"]["ours"] += 1
    path.unlink()
    path.write_text(json.dumps(table), encoding="utf-8")
    code, found = doctor()
    assert code == 1
    assert broken(found) == {"results", "numbers: MLflow"}
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


def of_mlflow() -> dict[str, Finding]:
    """What the check of MLflow alone finds here."""
    return {found.name: found for found in mlflow_rows.check(load(Path("params.yaml")))}


def test_a_metric_changed_in_mlflow(tree: Path) -> None:
    """A metric that somebody logged over a published one is named; so is a row that was deleted, and one too many."""
    client = ledgers.client(healthy.database(tree))
    runs = {str(run.info.run_name): run for run in ledgers.held(client)["sample / CVPR Table 2"]}
    client.log_metric(runs["FCN-8s"].info.run_id, "mean_iu", 99.9, step=1)
    found = of_mlflow()
    assert [item.state for item in found.values()] == ["ok", "broken"]
    assert "sample / CVPR Table 2, FCN-8s, mean_iu: 99.9, the files have" in found["numbers: MLflow"].message
    assert "fcn publish" in found["numbers: MLflow"].cure
    client.delete_run(runs["FCN-8s"].info.run_id)
    assert "sample / CVPR Table 2, FCN-8s, paper.pixel_acc: nothing" in of_mlflow()["numbers: MLflow"].message
    client.restore_run(runs["FCN-8s"].info.run_id)
    client.update_run(runs["FCN-8s"].info.run_id, name="FCN-4s")
    assert "sample / CVPR Table 2, FCN-4s is of nothing in the files" in of_mlflow()["numbers: MLflow"].message


def test_a_run_that_params_has_no_more(tree: Path, doctor: Doctor) -> None:
    """Tables of a run that was taken out of params.yaml are no damage: they wait for `dvc repro`, and that is said."""
    params = yaml.safe_load((tree / "params.yaml").read_text(encoding="utf-8"))
    del params["runs"][BEST]
    (tree / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    code, found = doctor()
    assert (code, found["numbers: MLflow"]["state"]) == (0, "warning")
    assert "dvc repro" in found["numbers: MLflow"]["do"]


def test_mlflow_over_http_is_the_same(tree: Path, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a server doctor reads what it reads from the database, and says of one that is away that it is."""
    shutil.copy(tree / "mlflow.db", tree / "server.db")
    _, here = doctor()
    port = ledgers.free_port()
    with ledgers.server(tree, port=port) as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", ledgers.with_password(address))
        code, served = doctor()
    assert code == 0, served
    assert served["numbers: MLflow"] == here["numbers: MLflow"]
    monkeypatch.setenv("PREFECT_API_URL", ledgers.with_password(f"http://127.0.0.1:{ledgers.free_port()}/api"))
    code, found = doctor()
    assert (code, broken(found)) == (1, {"mlflow runs", "prefect runs"})
    assert not ledgers.tells(json.dumps([served, found]), below=tree)


def test_a_running_run_without_a_process(tree: Path) -> None:
    """A RUNNING run of this machine whose process is gone is broken; one of another machine is a warning."""
    client = ledgers.client(healthy.database(tree))
    experiment = next(item for item in client.search_experiments() if item.name == "sample / trainings")
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    tags = {"live.host": socket.gethostname(), "live.pid": str(gone.pid)}
    run = client.create_run(experiment.experiment_id, tags=tags, run_name=BEST)
    found = of_mlflow()["mlflow runs"]
    assert (found.state, f"process {gone.pid} on {socket.gethostname()}" in found.message) == ("broken", True)
    client.set_tag(run.info.run_id, "live.host", "another-machine")
    assert of_mlflow()["mlflow runs"].state == "warning"
    client.set_terminated(run.info.run_id, "KILLED")
    assert of_mlflow()["mlflow runs"].state == "ok"


def test_a_profile_that_was_not_published_is_a_warning(tree: Path) -> None:
    """After another profile's run MLflow has rows, and none of this one; none is to be deleted."""
    client = ledgers.client(healthy.database(tree))
    for runs in ledgers.held(client).values():
        for run in runs:
            client.delete_run(run.info.run_id)
    client.create_run(client.create_experiment("another / trainings"), run_name="of another profile")
    found = of_mlflow()["numbers: MLflow"]
    assert (found.state, "none of" in found.message, "delete" in found.cure) == ("warning", True, False)


def test_no_mlflow_is_a_warning(tree: Path) -> None:
    """Without a database nothing is broken, and what fills one is said; a file that is none is broken."""
    for path in tree.glob("mlflow.db*"):
        path.unlink()
    found = of_mlflow()["numbers: MLflow"]
    assert (found.state, "fcn publish" in found.cure) == ("warning", True)
    assert not (tree / "mlflow.db").exists()
    (tree / "mlflow.db").write_text("no database")
    assert of_mlflow()["mlflow runs"].state == "broken"


@pytest.mark.parametrize("file", ["scores.json", "cvpr_table2.json"])
def test_nonsense_is_a_finding(tree: Path, file: str) -> None:
    """A table's file that is no JSON, or of another shape, is a finding and no traceback."""
    path = tree / "data/sample/tables" / file
    for text in ("{", "[1, 2]", '{"rows": 3}'):
        path.unlink()
        path.write_text(text)
        assert of_mlflow()["numbers: MLflow"].state in ("warning", "broken")
