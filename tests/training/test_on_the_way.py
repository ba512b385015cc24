"""A training that is scored on its run's val list on the way: the same training, and the evaluate stage's scores."""

import json
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fcn.cli import main
from fcn.commands.predictions import nets
from fcn.config import load, parse
from fcn.entries import Recipe
from fcn.errors import InputError
from fcn.nets import checkpoint
from fcn.nets.fcn import FCN
from fcn.publishing import trainings
from fcn.scoring.metrics import METRICS
from fcn.stages import code
from fcn.stages.train import resume_folder
from fcn.training import resume
from fcn.training.loop import train
from fcn.training.resume import Progress
from tests.conftest import RunFcn
from tests.training import pictures, processes, test_two_heads, tiny
from tests.training.observing import Notes
from tests.training.processes import fcn, saved_iteration, start, until

RUN, FINER, EVERY = test_two_heads.RUN, test_two_heads.FINER, 12
DATA = test_two_heads.DATA
IRREGULAR = {"score_every": 4, "iterations": 9}

Rows = list[dict[str, Any]]


class Scorer:
    """Scores by a script, in place of a val list; spends random numbers, and stops in the middle where it shall."""

    def __init__(self, *mean_iu: float, stop_at: int | None = None) -> None:
        self.mean_iu, self.stop_at = list(mean_iu), stop_at
        self.seen: list[dict[str, Tensor]] = []

    def __call__(self, state: dict[str, Tensor]) -> dict[str, float]:
        """The next of the scores."""
        torch.rand(7)
        np.random.default_rng().random(7)
        self.seen.append({name: tensor.clone() for name, tensor in state.items()})
        if len(self.seen) == self.stop_at:
            raise KeyboardInterrupt
        return {"mean_iu": self.mean_iu[len(self.seen) - 1]}


def run(
    folder: Path, recipe: Recipe, score: Callable[[dict[str, Tensor]], dict[str, float]] | None = None
) -> tuple[FCN, Progress]:
    """Train a net with dropout, from the states in `folder` if there are some; every state is saved there."""
    samples = pictures.write(folder / "data", [(32, 48), (40, 32), (36, 36)])
    made = pictures.batches(samples, batch=recipe.batch, mirror=True, jitter=4, crop=32)
    net = pictures.net(dropout=0.5, stride=8, upsampling="intermediate")
    progress = train(
        net, made, recipe=recipe, seed=3, device=torch.device("cpu"), workers=0, observer=Notes(folder / "states"),
        saved=resume.load(folder / "states"), score=score,
    )  # fmt: skip
    return net, progress


def losses(progress: Progress) -> Rows:
    return [row for row in progress.history if "loss" in row]


def scored(progress: Progress) -> list[tuple[float, float]]:
    return [(row["iteration"], row["mean_iu"]) for row in progress.history if "mean_iu" in row]


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_scoring_changes_no_bit_of_a_training(tmp_path: Path) -> None:
    """Scored or not, a training has the same losses and ends with the same tensors."""
    net, progress = run(tmp_path / "a", pictures.recipe(iterations=9))
    other, beside = run(tmp_path / "b", pictures.recipe(**IRREGULAR), Scorer(0.1, 0.2, 0.3))
    assert same(net.state_dict(), other.state_dict())
    assert losses(beside) == losses(progress) == progress.history


@pytest.mark.parametrize(("every", "at"), [(4, [4, 8, 9]), (3, [3, 6, 9]), (9, [9])])
def test_the_last_net_is_scored_once(tmp_path: Path, every: int, at: list[int]) -> None:
    """It is scored after every so many iterations and after the last, once where the two are one."""
    _, progress = run(tmp_path, pictures.recipe(score_every=every, iterations=9), Scorer(0.1, 0.2, 0.3))
    assert [iteration for iteration, _ in scored(progress)] == at


@pytest.mark.parametrize("stop_at", [1, 2, 3])
def test_what_stops_in_the_middle_of_a_pass_costs_no_training(tmp_path: Path, stop_at: int) -> None:
    """Ended while it is scored, a training begins with that pass, of the same tensors, and ends as it would have."""
    recipe = pictures.recipe(**IRREGULAR, keep="best")
    scores = [0.2, 0.4, 0.3]
    whole, progress = run(tmp_path / "whole", recipe, Scorer(*scores))
    first, again = Scorer(*scores, stop_at=stop_at), Scorer(*scores[stop_at - 1 :])
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "stopped", recipe, first)
    net, resumed = run(tmp_path / "stopped", recipe, again)
    assert same(again.seen[0], first.seen[-1])
    assert resumed.history == progress.history
    assert same(net.state_dict(), whole.state_dict())
    assert resumed.best is not None
    assert progress.best is not None
    assert same(resumed.best, progress.best)


def test_of_equally_good_nets_the_earliest_is_the_best(tmp_path: Path) -> None:
    """The best net's tensors are those of the first of the highest scores, and no other training keeps any."""
    score = Scorer(0.2, 0.4, 0.4)
    _, progress = run(tmp_path / "best", pictures.recipe(**IRREGULAR, keep="best"), score)
    assert progress.best is not None
    assert same(progress.best, score.seen[1])
    assert run(tmp_path / "last", pictures.recipe(**IRREGULAR), Scorer(0.2, 0.4, 0.4))[1].best is None


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with a few pictures to train on, many to score on, and a run that is scored on the way."""
    folder = tmp_path_factory.mktemp("toy")
    write(folder)
    samples = pictures.write(folder / DATA / "datasets/toy", test_two_heads.SIZES, heads=test_two_heads.HEADS)
    many = pictures.write(folder / DATA / "datasets/val", [(40, 40)] * 60, seed=1, heads=test_two_heads.HEADS)
    (folder / DATA / "splits").mkdir()
    for name, found in (("every", samples), ("many", many)):
        (folder / DATA / f"splits/{name}.txt").write_text("".join(f"{image_id}\n" for image_id in found.ids))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["classifiers", "none"]) == 0
    yield folder
    processes.end_all()


def write(folder: Path, **settings: object) -> None:
    """The params of that project."""
    values = test_two_heads.params()
    values["datasets"]["val"] = values["datasets"]["toy"]
    values["lists"]["many"] = {"dataset": "val", "list": "every"}
    recipe = values["recipes"]["some"] | {"rate": 0.1, "batch": 4}
    values["recipes"] = {"some": recipe | {"score_every": EVERY} | settings, "plain": recipe}
    values["runs"][RUN]["val"] = {"dataset": "val", "list": "many"}
    values["runs"][FINER]["recipe"] = "plain"
    tiny.write(folder, values)


@pytest.fixture
def project(before: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy, to train in."""
    folder = shutil.copytree(before, tmp_path / "toy")
    monkeypatch.chdir(folder)
    return folder


def history() -> Rows:
    return [json.loads(row) for row in (DATA / f"history/{RUN}.jsonl").read_text().splitlines()]


def on_the_way() -> Rows:
    return [row for row in history() if "mean_iu" in row]


@pytest.mark.parametrize("keep", ["last", "best"])
def test_the_scores_are_those_of_the_evaluate_stage(
    project: Path, keep: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The row of the net that counts has, to the bit, the metrics of scores/<run>.json; figures show all of them.

    Which one it is, unless the last, its file says, so that predict does, and the training, the report and MLflow.
    """
    write(project, keep=keep)
    assert main(["train", RUN]) == 0
    said = capsys.readouterr().err
    rows = on_the_way()
    assert [row["iteration"] for row in rows] == [12, 24, 30]
    assert f"iteration 24 of 30, mean IU {100 * rows[1]['mean_iu']:.1f} on the way" in said
    assert main(["evaluate", RUN]) == 0
    scores = json.loads((DATA / f"scores/{RUN}.json").read_text())
    counts = rows[-1] if keep == "last" else max(rows, key=lambda row: row["mean_iu"])
    assert {key: counts[key] for key in METRICS} == {key: scores[key] for key in METRICS}
    kept = f"iteration {counts['iteration']}, the best on the way"
    told = [said, nets.learned(checkpoint.load(DATA / f"nets/{RUN}.pt").provenance, {})]
    told += [trainings.entry(load(Path("params.yaml")), RUN, origin={}, datasets=[], cost={}, history=history()).note]
    assert main(["figures"]) == 0
    for key in METRICS:
        lines = (DATA / f"figures/validation/{key}/{RUN}.csv").read_text().split()
        assert lines == [f"iteration,{key}", *(f"{row['iteration']},{row[key]:.6g}" for row in rows)]
    assert len((DATA / f"figures/curves/{RUN}.csv").read_text().split()) == 1 + test_two_heads.ITERATIONS
    shown = json.loads((DATA / "figures/index.json").read_text())["figures"]
    (figure,) = [item for item in shown if item["key"] == "validation"]
    assert [kept in words for words in (*told, figure["caption"])] == [keep == "best"] * 4


def test_a_net_that_is_never_scored_is_the_same(project: Path) -> None:
    """Without the word, the run has the same net and the same losses, and no row of scores."""
    assert main(["train", RUN]) == 0
    net, rows = checkpoint.load(DATA / f"nets/{RUN}.pt"), history()
    write(project, score_every=None)
    assert main(["train", RUN]) == 0
    assert same(checkpoint.load(DATA / f"nets/{RUN}.pt").state, net.state)
    assert history() == [row for row in rows if "loss" in row]


@pytest.mark.slow
def test_killed_in_the_middle_of_a_pass(project: Path, run_fcn: RunFcn) -> None:
    """SIGTERM and SIGKILL while it is scored, and the same command: net and history of a training left alone."""
    write(project, keep="best")
    split = DATA / "splits/many.txt"
    split.write_text(3 * split.read_text())  # so that a pass takes its time
    whole = shutil.copytree(project, project.parent / "whole")
    command = fcn("train", RUN)
    assert run_fcn(["train", RUN], whole).returncode == 0
    for number, ends, at in ((signal.SIGTERM, 143, 12), (signal.SIGKILL, -9, 12), (signal.SIGTERM, 143, 24)):
        (project / "err").write_text("")
        process = start(command, project, FCN_SAVE_SECONDS="1000")  # so that it saves where it is scored, alone
        until(lambda at=at: saved_iteration(project, RUN) >= at, doing="its saving")  # type: ignore[misc]
        until(lambda at=at: at == 24 or "new layers" in (project / "err").read_text(), doing="its start")  # type: ignore[misc]
        process.send_signal(number)
        assert process.wait() == ends, (project / "err").read_text()
        if number == signal.SIGTERM:
            assert "stopped (SIGTERM); scoring starts anew with the same command" in (project / "err").read_text()
        assert saved_iteration(project, RUN) == at
    assert run_fcn(["train", RUN], project).returncode == 0
    for file in (f"nets/{RUN}.pt", f"history/{RUN}.jsonl"):
        assert (project / DATA / file).read_bytes() == (whole / DATA / file).read_bytes()


def test_only_who_is_scored_on_the_way_depends_on_a_val_list(project: Path) -> None:
    """The val list, its pictures and the code that scores are in the digests of such a training, and of no other."""
    config = load(project / "params.yaml")
    described = {name: code.described(config, "train", name) for name in (RUN, FINER)}
    assert described[RUN]["settings"]["val"] == {"dataset": "val", "list": "many"}
    assert "val" not in described[FINER]["settings"]
    assert not described[FINER]["settings"]["recipe"].keys() & {"score_every", "keep"}
    for module in ("fcn.stages.evaluate", "fcn.scoring.metrics"):
        assert module in described[RUN]["modules"]
        assert module not in described[FINER]["modules"]
    (project / DATA / "nets").mkdir()
    (project / DATA / f"nets/{RUN}.pt").touch()
    folders = {name: resume_folder(config, name) for name in (RUN, FINER)}
    split = DATA / "splits/many.txt"
    split.write_text(split.read_text() + "0\n")
    assert resume_folder(config, RUN) != folders[RUN]
    assert resume_folder(config, FINER) == folders[FINER]


def test_the_graph_knows_what_a_training_is_scored_on(
    tiny_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file that DVC has a training depend on changes with the val list where it is scored on that, else never."""
    monkeypatch.chdir(shutil.copytree(tiny_project, tmp_path / "tiny"))
    values = tiny.params()
    values["recipes"]["finer"]["score_every"] = 20

    def seen() -> dict[str, Any]:
        tiny.write(Path(), values)
        assert main(["splits"]) == 0
        files = Path("data/tiny/splits/while-training").iterdir()
        return {path.stem: json.loads(path.read_text()) for path in files}

    before = seen()
    assert before[tiny.COARSE] == []
    assert len(before[tiny.FINER]) == 2
    for run in values["runs"].values():
        run["val"] = {"dataset": "voc2012", "list": "voc2012-val"}
    assert seen() == {tiny.COARSE: [], tiny.FINER: [before[tiny.FINER][0], seen()[tiny.FINER][1]]}
    assert seen() != before


def test_mlflow_has_the_scores_in_percent() -> None:
    """Each metric is a curve beside the loss, by iteration, in percent as all scores there, under a name of its own."""
    rows = [
        {"iteration": 10, "images": 20, "loss": 1.5, "rate": 0.1},
        {"iteration": 10, "images": 20, "mean_iu": 0.25, "pixel_acc": 0.5},
        {"iteration": 20, "images": 40, "loss": 1.0, "rate": 0.1},
    ]
    assert trainings.curves(rows) == {
        "loss": [(10, 1.5), (20, 1.0)],
        "rate": [(10, 0.1), (20, 0.1)],
        "val/mean_iu": [(10, 25.0)],
        "val/pixel_acc": [(10, 50.0)],
    }
    assert trainings.curves([]) == {}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"score_every": 0}, "recipes.coarse.score_every: Input should be greater than or equal to 1, found 0"),
        ({"score_every": 81}, "score_every is 81, of 80 iterations; write as many or fewer, or leave it out"),
        ({"score_every": 1, "iterations": 0}, "score_every is 1, of 0 iterations; .* every net is scored once it is"),
        ({"keep": "best"}, "recipes.coarse: keep: best is told by scores on the way; write score_every, such as"),
        ({"score_every": 20, "keep": "first"}, "recipes.coarse.keep: Input should be 'last' or 'best', found 'first'"),
    ],
)
def test_words_that_make_no_sense_are_refused(words: dict[str, object], said: str) -> None:
    """Never, too seldom, of a net that isn't trained, the best of no scores: one sentence that says what to write."""
    values = tiny.params()
    values["recipes"]["coarse"] |= words
    with pytest.raises(InputError, match=said) as caught:
        parse(values)
    assert "\n" not in str(caught.value)
