"""The benchmarks measure, and say what they have measured; what the figures are no test asks."""

import functools
import importlib.util
import json
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from benchmarks.pairs import Row, in_turn, measure, patience, rate
from benchmarks.speed import page
from tests.conftest import ROOT


def test_neighbours_are_compared() -> None:
    """The figure is the median of the ratios of neighbours; on target it is reached, unless the results disagree."""
    row = Row(benchmark="a work", peer="a peer", ours=(1, 10, 1), theirs=(3, 20, 4), target=3)
    assert list(row.figures) == [3, 2, 4]
    assert row.reached
    assert not replace(row, equal=False).reached
    assert not replace(row, target=3.1).reached
    assert replace(row, target=None).reached is None
    assert Row(benchmark="a work", ours=(7, 9, 8), target=8).reached
    assert Row(benchmark="a work", missing="it is late", target=8).reached is None


def test_a_row_comes_back_from_json() -> None:
    """What was measured is the same when it was written and read."""
    with patience(3, seconds=60):
        rows = [measure("sums", lambda: sum(range(9)), lambda: sum(range(99)), peer_name="more", target=1)]
        rows.append(rate("sums", lambda: sum(range(9)), count=9, unit="terms", target=1))
    assert [len(row.ours) for row in rows] == [3, 3]
    assert [Row.read(json.loads(json.dumps(asdict(row)))) for row in rows] == rows


def test_works_take_turns() -> None:
    """After a first call of each, works are done one after the other, again and again, two rounds at the least."""
    calls: list[str] = []

    def work(name: str) -> None:
        calls.append(name)
        time.sleep(0.06)  # longer than one reading of the clock has to be

    with patience(9, seconds=0):
        found = in_turn({name: functools.partial(work, name) for name in ("a", "b")})
    assert {name: len(readings) for name, readings in found.items()} == {"a": 2, "b": 2}
    assert calls[-4:] == ["a", "b", "a", "b"]
    assert set(calls[:-4]) == {"a", "b"}


@pytest.mark.slow
def test_a_trial_makes_the_page(tmp_path: Path) -> None:
    """A trial of the one command has each of its rows, measured or with a reason, in JSON and on the page of it."""
    if importlib.util.find_spec("torchfcn") is None:
        pytest.skip("needs torchfcn, which `make test` installs from requirements-peer.lock")
    command = [sys.executable, "-m", "benchmarks.speed"]
    output = tmp_path / "benchmarks.md"
    subprocess.run([*command, "--quick", "--only", "head", "memory", "--output", output], cwd=ROOT, check=True)
    found = json.loads(output.with_suffix(".json").read_text(encoding="utf-8"))
    rows = [Row.read(row) for row in found["rows"]]
    assert [row.benchmark.partition(",")[0] for row in rows] == ["upsample + argmax"] * 2 + ["upsample + loss"] * 2
    assert all(row.equal and not row.missing for row in rows)
    assert len(found["memory"]) == 2
    assert all(line["step"] > line["forward"] > 0 for line in found["memory"])
    text = output.read_text(encoding="utf-8")
    assert text == page(found)
    assert text.count("| upsample") == 4
    assert text.count("| fcn32s-vgg16 |") == 2


def test_the_page_is_of_the_committed_figures() -> None:
    """docs/benchmarks.md is what `python -m benchmarks.speed --page docs/benchmarks.json` prints."""
    for measured in ROOT.glob("docs/benchmarks.json"):
        found = json.loads(measured.read_text(encoding="utf-8"))
        assert measured.with_suffix(".md").read_text(encoding="utf-8") == page(found)
