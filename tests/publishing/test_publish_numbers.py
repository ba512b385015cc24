"""What MLflow holds is what the files hold: every number, setting, curve and artifact, against a real database."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from fcn.config import Config
from fcn.files import read_json
from fcn.paper.table import every
from fcn.stages.places import Places
from fcn.tables import numbers_digest
from tests.conftest import RunFcn
from tests.publishing import ledgers, results

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

# The deprecations are MLflow's own doing, in the client that these tests read with.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


NESTED = ("backbone", "heads", "scales")  # mappings and dataclasses among a net's settings


class World:
    """A project whose results were published once."""

    def __init__(self, root: Path, config: Config, said: str) -> None:
        self.root, self.config, self.said = root, config, said
        self.places = Places(config)
        self.client: MlflowClient = ledgers.client(ledgers.sqlite(root))
        self.held: dict[str, list[Run]] = ledgers.held(self.client)

    def tables(self) -> dict[str, dict[str, Any]]:
        """The papers' tables that a run fills, by experiment."""
        files = {key: read_json(self.root / self.places.tables / f"{key}.json") for key in every()}
        ours = [found for found in files.values() if found["paper"].startswith(("CVPR", "PAMI"))]
        filled = [found for found in ours if any(row["run"] for row in found["rows"])]
        return {f"sample / {found['paper'].split()[0]} {found['number']}": found for found in filled}

    def text(self, run: "Run", file: str) -> str:
        """A text artifact."""
        return Path(self.client.download_artifacts(run.info.run_id, file)).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, repository: Path, run_fcn: RunFcn) -> World:
    root = tmp_path_factory.mktemp("published")
    config = results.make(root, repository)
    done = run_fcn(["publish"], root)
    assert done.returncode == 0, done.stderr
    return World(root, config, done.stdout)


def test_experiments_are_the_filled_tables(world: World) -> None:
    """There is an experiment for each table of the papers that a run fills, one for trainings, one for the report."""
    assert set(world.held) == {*world.tables(), "sample / trainings", "sample / report"}
    assert {"sample / CVPR Table 1", "sample / CVPR Table 2", "sample / PAMI Table 3"} < set(world.held)


def test_rows_are_the_papers(world: World) -> None:
    """A table's runs are its printed rows, all of them, in the paper's order, complete and ended."""
    for title, found in world.tables().items():
        assert [run.info.run_name for run in world.held[title]] == [row["row"] for row in found["rows"]]
        for run, row in zip(world.held[title], found["rows"], strict=True):
            assert run.info.status == "FINISHED"
            assert run.data.tags["digest"] != "unfinished"
            expected = row["run"] or ("not run" if row["not_run"] else "-")
            assert run.data.tags["run"] == expected


def test_numbers_of_tables_are_the_files(world: World) -> None:
    """Every metric of every row is the file's number to one decimal, and nothing else is there or missing."""
    checked = 0
    for title, found in world.tables().items():
        for run, row in zip(world.held[title], found["rows"], strict=True):
            expected = {}
            for metric, cell in row["cells"].items():
                expected[f"paper.{metric}"] = cell["paper"]
                if cell["ours"] is not None:
                    expected[metric] = float(f"{cell['ours']:.1f}")
                    expected[f"delta.{metric}"] = float(f"{cell['ours'] - cell['paper']:.1f}")
            assert run.data.metrics == expected, (title, row["row"])
            checked += len(expected)
    assert checked > 150


def test_models_are_the_rows(world: World) -> None:
    """Every run with numbers is a model with the same numbers and no file, in the rows' order; the report is none."""
    for title, runs in world.held.items():
        models = ledgers.models(world.client, title)
        newest = sorted(models, key=lambda name: models[name].creation_timestamp, reverse=True)
        assert newest == [run.info.run_name for run in runs if title != "sample / report"]
        for run in runs if models else ():
            model = models[str(run.info.run_name)]
            numbers = {metric.key: metric.value for metric in model.metrics or ()}
            assert numbers == {key: value for key, value in run.data.metrics.items() if key not in ("loss", "rate")}
            assert run.outputs is not None
            assert model.model_id in {item.model_id for item in run.outputs.model_outputs}
            assert world.client.list_logged_model_artifacts(model.model_id) == []
            assert (model.status.value, model.tags["run"]) == ("READY", run.data.tags["run"])


def test_every_run_says_what_it_is(world: World) -> None:
    """A run's description names it, and of a table's row the table and whether one of ours stands there."""
    for title, runs in world.held.items():
        table = world.tables().get(title)
        for run in runs:
            note = run.data.tags["mlflow.note.content"]
            assert str(run.info.run_name) in note or title == "sample / report"
            if table is not None:
                assert f"{table['paper']}, {table['number']}" in note
                assert ("ours is the training" in note) == (run.data.tags["run"] in world.config.runs)


def test_unconfirmed_rows_say_so(world: World) -> None:
    """A row is marked unconfirmed exactly where one of its printed numbers is."""
    marked = set()
    for title, found in world.tables().items():
        for run, row in zip(world.held[title], found["rows"], strict=True):
            doubtful = any(not cell["confirmed"] for cell in row["cells"].values())
            assert ("unconfirmed" in run.data.tags) == doubtful
            marked.add(doubtful)
    assert marked == {True, False}


def test_whole_tables_are_artifacts(world: World) -> None:
    """The run `report` holds every file of tables/, byte for byte."""
    (run,) = world.held["sample / report"]
    folder = world.root / world.places.tables
    held = Path(world.client.download_artifacts(run.info.run_id, "tables"))
    names = sorted(path.name for path in folder.iterdir())
    assert {"scores.md", "cvpr_table2.csv", "cvpr_table2.tex"} < set(names)
    assert sorted(path.name for path in held.iterdir()) == names
    assert all((held / name).read_bytes() == (folder / name).read_bytes() for name in names)


def test_trainings_hold_scores_and_cost(world: World) -> None:
    """A training's metrics are its scores in percent, its times and its memory, as the files have them."""
    scores = {row["run"]: row for row in read_json(world.root / world.places.tables / "scores.json")["scores"]}
    trainings = world.held["sample / trainings"]
    assert [run.info.run_name for run in trainings] == list(world.config.runs)
    for run in trainings:
        name = str(run.info.run_name)
        cost, score = read_json(world.root / world.places.cost(name)), scores[name]
        expected = {metric: float(f"{value:.1f}") for metric, value in score["numbers"].items()}
        expected["seconds"] = float(f"{cost['seconds']:.1f}")
        expected["peak_memory_gib"] = float(f"{cost['peak_memory_bytes'] / 2**30:.2f}")
        expected["parameters"] = score["parameters"]
        curves = {"loss", "rate"}
        assert {key: value for key, value in run.data.metrics.items() if key not in curves} == expected
        assert run.info.end_time is not None
        assert run.info.end_time - run.info.start_time == round(1000 * cost["seconds"])


def test_curves_are_the_histories(world: World) -> None:
    """A training's curves are its history, a step an iteration."""
    for run in world.held["sample / trainings"]:
        file = world.root / world.places.history(str(run.info.run_name))
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        for key in ("loss", "rate"):
            points = sorted(
                (point.step, point.value) for point in world.client.get_metric_history(run.info.run_id, key)
            )
            assert points == [(row["iteration"], row[key]) for row in rows]


def test_settings_are_the_profiles(world: World) -> None:
    """A training's parameters have every setting of its run, its net with the backbone, and its recipe."""

    def text(value: object) -> str:
        return "none" if value in (None, ()) else ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)

    for run in world.held["sample / trainings"]:
        name = str(run.info.run_name)
        settings, net, recipe = world.config.run(name), world.config.net(name), world.config.recipe(name)
        found = run.data.params
        assert [found[key] for key in ("init", "net", "recipe", "train.list", "seed")] == [
            settings.init,
            settings.net,
            settings.recipe,
            settings.train.list,
            str(settings.seed),
        ]
        for prefix, part in (("recipe", recipe), ("net", net), ("net.backbone", net.backbone)):
            expected = {f"{prefix}.{key}": text(getattr(part, key)) for key in part.__slots__ if key not in NESTED}
            assert expected.items() <= found.items()
        assert found["net.heads.semantic"] == str(net.heads["semantic"])
        assert found["net.stride"] == str(net.stride)


def test_artifacts_are_the_files(world: World) -> None:
    """A training holds its classes, confusions, departures and figures; its checkpoint is named, not uploaded."""
    lock = json.loads((world.root / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    for run in world.held["sample / trainings"]:
        name = str(run.info.run_name)
        confusion = [line.split(",")[1:] for line in world.text(run, "semantic/confusion.csv").splitlines()[1:]]
        assert np.array_equal(np.array(confusion, np.int64), np.load(world.root / world.places.histogram(name)))
        classes = read_json(world.root / world.places.classes(name))["semantic"]
        lines = [line.split(",") for line in world.text(run, "semantic/classes.csv").splitlines()[1:]]
        assert {line[0]: line[1] for line in lines} == {key: f"{100 * row['iu']:.1f}" for key, row in classes.items()}
        assert all(f"**{item}**" in world.text(run, "departures.md") for item in ("width", "iterations", "train-list"))
        picture = Path(world.client.download_artifacts(run.info.run_id, f"figures/{name}-curves.png"))
        assert picture.read_bytes() == results.PICTURE + name.encode()
        assert run.data.tags["checkpoint"] == world.places.net(name).as_posix()
        assert run.data.tags["checkpoint.md5"] == lock[f"train@{name}"]["outs"][0]["md5"]
        paths = {item.path for item in world.client.list_artifacts(run.info.run_id)}
        assert paths == {"semantic", "departures.md", "figures"}


def test_what_is_shared_is_with_the_report(world: World) -> None:
    """The report and the figures that belong to no single run are artifacts of the run `report`."""
    run = next(run for run in world.held["sample / report"] if run.info.run_name == "report")
    assert "<title>" in world.text(run, "report/report.html")
    assert Path(world.client.download_artifacts(run.info.run_id, "figures/segmentations.png")).is_file()
    assert "Departures" in world.text(run, "tables/scores.md")


def test_experiments_say_what_they_are(world: World) -> None:
    """An experiment's description names the table, says that the numbers are a miniature's, and links to the view."""
    for title, found in world.tables().items():
        experiment = world.client.get_experiment_by_name(title)
        assert experiment is not None
        note = experiment.tags["mlflow.note.content"]
        assert found["title"] in note
        assert "miniature" in note
        view = f"#/experiments/{experiment.experiment_id}/runs?viewStateShareKey=table"
        assert f"({view}" in note
        assert f"{title}: http://127.0.0.1:5000/{view}" in world.said


def test_the_mark_is_deterministic(world: World) -> None:
    """published.json has every row with its digest, and that of the tables, and neither ids nor times."""
    published = read_json(world.root / world.places.published)
    assert published == {
        "profile": "sample",
        "numbers": numbers_digest(world.root / world.places.tables),
        "experiments": {
            title: {str(run.info.run_name): run.data.tags["digest"] for run in runs}
            for title, runs in world.held.items()
        },
    }


def test_rows_carry_the_numbers_digest(world: World) -> None:
    """Every run says by the digest of the tables which numbers it shows, and trainings which pictures they saw."""
    expected = numbers_digest(world.root / world.places.tables)
    assert {run.data.tags["numbers"] for runs in world.held.values() for run in runs} == {expected}
    for run in world.held["sample / trainings"]:
        ran = world.config.run(run.info.run_name)
        saw = {name: read_json(world.root / world.places.audit(name)) for name in (ran.train.dataset, ran.val.dataset)}
        digests = {f"data.{name}": audit["sha256"][:16] for name, audit in saw.items()}
        assert digests.items() <= run.data.tags.items()
        assert run.inputs is not None
        assert {item.dataset.digest for item in run.inputs.dataset_inputs} == set(digests.values())
