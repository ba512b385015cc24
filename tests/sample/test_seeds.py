"""The page about several seeds says what the score files hold, failures included."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.seeds import ROOT, Result, markdown, scores, set_numbers
from fcn.config import load


def test_the_page_holds_mean_range_and_every_seed(tmp_path: Path) -> None:
    """A run's row, and a further head's, is the mean, the range and each seed's mean IU of its score file."""
    results = []
    for seed, mean_iu in ((0, 0.25), (1, 0.30), (4, 0.38)):
        folder = tmp_path / str(seed) / "scores"
        folder.mkdir(parents=True)
        found = {"mean_iu": mean_iu, "background_mean_iu": 0.1, "depth_mean_iu": 0.5, "depth_background_mean_iu": 0.1}
        (folder / "coarse.json").write_text(json.dumps({**found, "pixel_acc": 0.9}))
        results.append(Result(seed=seed, seconds=90.0, mean_iu=scores(tmp_path / str(seed))))
    page = markdown(results, profile="small", runs=["coarse"], about=["one machine"])
    assert page.startswith("# The profile small over several seeds")
    assert "| run | mean | range | seed 0 | seed 1 | seed 4 |" in page
    assert "| coarse | 31.0 | 25.0..38.0 | 25.0 | 30.0 | 38.0 |" in page
    assert "| coarse, depth | 50.0 | 50.0..50.0 | 50.0 | 50.0 | 50.0 |" in page
    assert "- seed 1: 1.5 min of wall time" in page


def test_a_failed_seed_is_said_and_loses_no_other() -> None:
    """A seed that stopped half-way keeps the scores it has, and its last words stand below the table."""
    whole = Result(seed=0, seconds=60.0, mean_iu={"coarse": 0.2, "fine": 0.4})
    half = Result(seed=1, seconds=30.0, mean_iu={"coarse": 0.3}, failure="the disk is full")
    page = markdown([whole, half], profile="small", runs=["coarse", "fine", "never"], about=[])
    assert "| coarse | 25.0 | 20.0..30.0 | 20.0 | 30.0 |" in page
    assert "| fine | 40.0 | 40.0..40.0 | 40.0 | not run |" in page
    assert "| never | not run | not run | not run | not run |" in page
    assert "Seed 1 failed:\n\n```\nthe disk is full\n```" in page


def test_only_the_named_numbers_of_the_params_change(tmp_path: Path) -> None:
    """The sample's own params.yaml differs by its seeds and threads afterwards; an unknown name is an error."""
    params = tmp_path / "params.yaml"
    params.write_text((ROOT / "params.yaml").read_text())
    before = load(params)
    set_numbers(params, {"seed": 7, "threads": 1})
    after = load(params)
    assert {archive.seed for archive in after.archives.values()} == {7}
    assert {entry.seed for entry in after.classifiers.values() if entry.training is not None} == {7}
    assert {run.seed for run in after.runs.values()} == {7}
    again: dict[str, Any] = {
        "archives": {name: replace(archive, seed=0) for name, archive in after.archives.items()},
        "classifiers": {name: replace(entry, seed=0) for name, entry in after.classifiers.items()},
        "runs": {name: replace(run, seed=0) for name, run in after.runs.items()},
    }
    assert replace(after, threads=before.threads, **again) == before
    with pytest.raises(ValueError, match="rates"):
        set_numbers(params, {"rates": 1})
