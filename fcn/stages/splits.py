"""Stage: build the image lists, and prove that they are what they should be."""

import sys
from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

import fcn.paper
from fcn.config import Config
from fcn.datasets import facts, splits
from fcn.datasets import lists as list_files
from fcn.datasets.labels import VOID
from fcn.datasets.samples import Samples
from fcn.errors import InputError
from fcn.files import existing, whole_folder, write_json
from fcn.stages.places import Places


def run(config: Config, name: str | None) -> None:
    """Write data/<profile>/splits/<list>.txt for every list, and the metric data/<profile>/audit/splits.json.

    What a training is scored on while it goes on is told by splits/while-training/<run>.json, which DVC has it depend
    on: the digests of the list and of its pictures, or nothing.
    """
    if name is not None:
        raise InputError(f"splits builds all lists at once; leave out {name!r}")
    places = Places(config)
    holdings = {}
    for dataset in sorted({entry.dataset for entry in config.lists.values()}):
        used = {entry.list for entry in config.lists.values() if entry.dataset == dataset}
        holdings[dataset] = _holdings(places, dataset, used)
    lists = splits.derive(config.lists, holdings=holdings, published=_published())
    pairs = [pair for names in config.disjoint for pair in combinations(names, 2)]
    splits.prove_disjoint(lists, pairs=pairs)
    _warn_of_learned(config, lists)
    for list_name, ids in lists.items():
        _check_labels(Samples(places.dataset(config.lists[list_name].dataset), ids), name=list_name)
    with whole_folder(places.splits) as part:
        for list_name, ids in lists.items():
            (part / f"{list_name}.txt").write_text(list_files.text(ids), encoding="utf-8")
        for run_name in config.runs:
            seen = []
            if (val := config.scored_on(run_name)) is not None:
                seen = [facts.read(places.dataset(val.dataset)).sha256, splits.sha256(lists[val.list])]
            write_json(part / "while-training" / f"{run_name}.json", seen)
    counts = {list_name: {"count": len(ids), "sha256": splits.sha256(ids)} for list_name, ids in lists.items()}
    proofs = {f"{first} / {second}": True for first, second in pairs}
    write_json(places.audit("splits"), {**counts, "disjoint": proofs})
    for list_name, ids in lists.items():
        print(f"splits {list_name}: {len(ids)} images", file=sys.stderr)


def _holdings(places: Places, dataset: str, used: Collection[str | None]) -> splits.Holdings:
    """What a dataset has; of lists that nobody uses just the names, for they may not be readable."""
    folder = existing(places.dataset(dataset))
    found = facts.read(folder)
    files = list_files.files(places.own_lists(dataset))
    return splits.Holdings(
        format=found.format,
        lists={name: list_files.read_back(path) if name in used else [] for name, path in files.items()},
        ids=[file.stem for file in (folder / next(iter(found.targets))).glob("*.png")],
    )


def _warn_of_learned(config: Config, lists: Mapping[str, Sequence[str]]) -> None:
    """Say of each run whether it is scored on images that it learns from, which `disjoint` would forbid."""
    for name, run in config.runs.items():
        train, val = run.train.list, run.val.list
        if both := len(set(lists[train]) & set(lists[val])):
            print(
                f"splits: warning: runs.{name}: its val list {val!r} shares {both} of its {len(lists[val])} images "
                f"with its train list {train!r}: a score on what was learned says little of other pictures; take a val "
                f"list of others, as one with `minus: {train}` is; lists of two datasets are compared by names alone",
                file=sys.stderr,
            )


def _check_labels(samples: Samples, *, name: str) -> None:
    """Raise InputError for a list whose labels show less than two classes: there is nothing to learn or to score."""
    seen: dict[str, set[int]] = {target: set() for target in samples.facts.targets}
    for image_id in samples.ids:
        for target, values in seen.items():
            values |= {*np.unique(samples.read_label(image_id, target)).tolist()} - {VOID}
            if len(values) > 1:
                return
    named = [samples.facts.targets[target].classes[value] for target, values in seen.items() for value in values]
    held = " and ".join(named) or "void"
    raise InputError(
        f"lists.{name}: its {len(samples)} labels hold nothing but {held}, from which nothing can "
        "be learned, and on which a score would say nothing; list images whose labels show two classes or more"
    )


def _published() -> dict[str, list[str]]:
    """Lists that a paper's authors published: the .txt files in fcn/paper."""
    return list_files.read_folder(Path(fcn.paper.__file__).parent)
