"""Several processes train one net as one would: equal, stopped and killed as one, and resumed to the bit."""

import itertools
import json
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import distributed
from torch.distributed.distributed_c10d import Store

from fcn.config import parse
from fcn.errors import InputError
from fcn.nets.fcn import FCN
from fcn.training.loop import train
from fcn.training.parallel import Ranks
from fcn.training.resume import Progress
from fcn.training.seeds import iteration_seed
from tests.conftest import ROOT
from tests.training import pictures, tiny
from tests.training.conftest import outcome
from tests.training.observing import Notes
from tests.training.processes import fcn, none_left, saved_iteration, start, trainers, until
from tests.training.test_memory import small

CPU = torch.device("cpu")
TRAIN = fcn("train", tiny.COARSE)
ALWAYS = {"FCN_SAVE_SECONDS": "0"}
HEADS = {"semantic": pictures.CLASSES, "geometric": 3}

# How two processes share a step: the rows of a pass, its passes, and pieces of rows that fit into a rank's memory.
RECIPES: Mapping[str, dict[str, Any]] = {
    "rows": {"batch": 4},
    "passes": {"batch": 1, "accumulation": 2},
    "rows of several passes": {"batch": 2, "accumulation": 3, "clip": 0.1, "warmup": 3},
    "a sum": {"batch": 1, "accumulation": 4, "loss": "sum", "rate": 1e-6, "momentum": 0.99},
    "pieces": {"batch": 8, "on_oom": "accumulate"},
}


def trained(folder: Path, name: str, ranks: Ranks, notes: Notes, *, room: int = 99) -> tuple[FCN, Progress]:
    """A net after six iterations of a recipe; with memory for some images of a pass. Several ask for CUDA graphs."""
    samples = pictures.write(folder, [(32, 48), (40, 32), (36, 36)], heads=HEADS)
    recipe = pictures.recipe(**RECIPES[name])
    net, graphs = small(room, heads=HEADS), ranks.count > 1
    made = pictures.batches(samples, batch=recipe.batch, mirror=True, jitter=4, crop=32)
    progress = train(
        net, made, recipe=recipe, seed=3, device=CPU, workers=0, observer=notes, ranks=ranks, graphs=graphs
    )
    return net, progress


def part(folder: Path, rank: int) -> None:
    """What one of two processes does: every recipe, and the last one short of memory in the second alone."""
    store: Store = distributed.FileStore(  # type: ignore[attr-defined]  # it is, without saying so
        str(folder / "store"), 2
    )
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=2, timeout=timedelta(minutes=5))
    ranks, made = Ranks(rank=rank, count=2, store=store), {}
    for name in RECIPES:
        notes = Notes()
        net, progress = trained(
            folder / f"pictures-{rank}", name, ranks, notes, room=2 - rank if "pieces" in name else 99
        )
        made[name] = {"state": net.state_dict(), "rows": notes.rows, "split": progress.split}
        made[name] |= {"warnings": notes.warnings, "drawn": torch.initial_seed()}
    asked: list[int] = []

    def say() -> dict[str, int]:
        asked.append(rank)
        return {"said": len(asked)}

    said = [ranks.first(say) for _ in range(2)]
    largest = ranks.largest(1 + rank)
    torch.save({"made": made, "asked": asked, "said": said, "largest": largest}, folder / f"{rank}.pt")
    ranks.largest(0)
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def of_two(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What came of it in each of two processes."""
    folder = tmp_path_factory.mktemp("two")
    program = "import sys; from pathlib import Path; from tests.training.test_parallel import part\n"
    program += "part(Path(sys.argv[1]), int(sys.argv[2]))"
    commands = [[sys.executable, "-c", program, str(folder), str(rank)] for rank in (0, 1)]
    both = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) for command in commands]
    said = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    return [torch.load(folder / f"{rank}.pt") for rank in (0, 1)]


@pytest.mark.parametrize("name", RECIPES)
def test_two_processes_make_the_steps_of_one(of_two: list[dict[str, Any]], tmp_path: Path, name: str) -> None:
    """However they share a step, both end with the same bits, which are one process's but for the rounding of sums."""
    alone = Notes()
    net, _ = trained(tmp_path, name, Ranks(), alone)
    first, second = (found["made"][name] for found in of_two)
    assert first["rows"] == second["rows"]
    for mine, row in zip(first["rows"], alone.rows, strict=True):
        assert mine == pytest.approx(row, rel=1e-5)
    before = pictures.net(heads=HEADS).state_dict()
    for key, tensor in net.state_dict().items():
        assert torch.equal(first["state"][key], second["state"][key])
        torch.testing.assert_close(first["state"][key], tensor, rtol=1e-4, atol=1e-6)
    moved = max(float((tensor - before[key]).abs().max()) for key, tensor in net.state_dict().items())
    assert moved > 1e-4  # or nothing was compared


def test_where_one_is_short_of_memory_all_cut_alike(of_two: list[dict[str, Any]]) -> None:
    """With on_oom: accumulate both go on in the pieces that the one with less room needs; no graphs are freed."""
    assert [found["made"]["pieces"]["split"] for found in of_two] == [4, 4]
    assert [found["made"]["rows"]["split"] for found in of_two] == [1, 1]
    cuts = [f"out of memory: from here on every pass is cut into {pieces}" for pieces in (2, 4)]
    for found in of_two:
        assert [warning for warning in found["made"]["pieces"]["warnings"] if "memory" in warning] == cuts


def test_each_draws_dropout_for_itself(of_two: list[dict[str, Any]]) -> None:
    """The same units dropped in the rows of both would be fewer draws; the first draws what one process would."""
    first, second = (found["made"]["rows"]["drawn"] for found in of_two)
    assert (first, second) == (iteration_seed(3, 5), iteration_seed(3, 5, rank=1))
    assert first != second


def test_the_largest_number_is_everybodys(of_two: list[dict[str, Any]]) -> None:
    """Of 1 and 2, both have 2."""
    assert [found["largest"] for found in of_two] == [2, 2]


def test_the_first_speaks_for_all(of_two: list[dict[str, Any]]) -> None:
    """What is scored or looked up once is done in the first process alone, and known to the others."""
    assert [found["asked"] for found in of_two] == [[0, 0], []]
    assert of_two[0]["said"] == of_two[1]["said"] == [{"said": 1}, {"said": 2}]


@given(data=st.data(), batch=st.integers(1, 12), accumulation=st.integers(1, 12))
def test_every_row_of_a_step_is_somebodys(data: st.DataObject, batch: int, accumulation: int) -> None:
    """Any number of processes that divides a step's images computes each of them once, and all as many."""
    images = batch * accumulation
    count = data.draw(st.sampled_from([number for number in range(1, images + 1) if images % number == 0]))
    recipe = pictures.recipe(batch=batch, accumulation=accumulation, devices=count)
    shares = []
    for rank in range(count):
        ranks = Ranks(rank=rank, count=count)
        draws = list(ranks.draws(range(2, 4), recipe))
        assert len(draws) == 2 * ranks.passes(recipe)
        rows = ranks.rows({"rgb": torch.arange(batch)}, recipe)["rgb"].tolist()
        shares.append([(draw, row) for draw in draws for row in rows])
    assert {len(share) for share in shares} == {2 * images // count}
    every = [(draw, row) for draw in range(2 * accumulation, 4 * accumulation) for row in range(batch)]
    assert sorted(itertools.chain(*shares)) == every


def test_devices_that_cannot_share_a_step_are_refused() -> None:
    """Before anything runs, a sentence says how many images a step has."""
    values = tiny.params()
    values["recipes"]["coarse"]["devices"] = 3
    with pytest.raises(InputError, match=r"recipes.coarse: devices is 3, which can't share the 2 images of a step"):
        parse(values)


def on_two(project: Path) -> Path:
    values = tiny.params(iterations=40)
    values["recipes"]["coarse"]["devices"] = 2
    tiny.write(project, values)
    return project


def wait_for(folder: Path, iteration: int, process: "subprocess.Popen[str]") -> list[psutil.Process]:
    """Until the training has saved this iteration; its processes, the first of them first."""

    def there() -> bool:
        assert process.poll() is None, (folder / "err").read_text()
        return saved_iteration(folder, tiny.COARSE) >= iteration

    until(there, doing=f"saving iteration {iteration}")
    return sorted(trainers(folder), key=lambda found: found.pid != process.pid)


@pytest.mark.slow
def test_two_processes_end_as_one_and_go_on(project: Path, tmp_path: Path) -> None:
    """A signal to the first saves; killed, either of them takes the other along; the same command goes on each time.

    In the end there are the bits of a training that torchrun started and nobody disturbed.
    """
    err = on_two(project) / "err"
    for rounds, number in enumerate((signal.SIGTERM, signal.SIGKILL, signal.SIGKILL)):
        at = saved_iteration(project, tiny.COARSE)
        err.write_text("")
        process = start(TRAIN, project, **ALWAYS)
        both = wait_for(project, at + 4, process)
        assert len(both) == 2
        both[1 if rounds == 1 else 0].send_signal(number)
        assert process.wait() == {0: 143, 1: 1, 2: -9}[rounds], err.read_text()
        until(lambda: none_left(project), doing="both leaving")
        assert "Traceback" not in err.read_text()
        assert (f"going on after iteration {at}" in err.read_text()) == (at > 0)
        if rounds < 2:
            (said,) = re.findall("error: (.*)", err.read_text())
            assert said.startswith(
                f"{tiny.COARSE}: stopped after iteration {saved_iteration(project, tiny.COARSE)} of 40 (SIGTERM)"
                if rounds == 0
                else "one of the processes of this training ended (SIGKILL); the same command goes on from the last"
            )
    process = start(TRAIN, project, **ALWAYS)
    assert process.wait() == 0, err.read_text()
    assert json.loads((project / f"data/tiny/cost/{tiny.COARSE}.json").read_text())["devices"] == 2
    disturbed = outcome(project)
    (project / f"data/tiny/nets/{tiny.COARSE}.pt").unlink()
    (project / "dvc.lock").touch()
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    process = start([*torchrun, *TRAIN[1:]], project)
    assert process.wait() == 0, err.read_text()
    assert outcome(project) == disturbed


def test_another_number_of_processes_is_refused(project: Path) -> None:
    """Where torchrun starts more or fewer than the recipe has devices, a sentence says so."""
    process = start(TRAIN, on_two(project), RANK="0", WORLD_SIZE="4")
    assert process.wait() == 2
    assert (
        "error: 4 processes were started (WORLD_SIZE), but the recipe has devices: 2;" in (project / "err").read_text()
    )
