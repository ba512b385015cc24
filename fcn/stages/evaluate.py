"""Stage: score one run on its val list, every image whole and at its own size."""

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from fcn.ahead import ahead
from fcn.config import Config
from fcn.datasets import lists as list_files
from fcn.datasets.samples import Sample, Samples
from fcn.entries import ListRef
from fcn.errors import InputError, StageFailure
from fcn.files import existing, whole_file, whole_folder, write_json
from fcn.lifeline import Lifeline, lifeline
from fcn.machine import wants_it_plain
from fcn.nets import checkpoint
from fcn.nets.build import trained
from fcn.nets.checkpoint import Checkpoint
from fcn.scoring.answers import histograms
from fcn.scoring.metrics import class_metrics, constant_answer, metrics
from fcn.stages.device import chosen_device
from fcn.stages.places import Places

Histograms = dict[str, NDArray[np.int64]]


def run(config: Config, name: str | None) -> None:
    """Write scores/<name>.json, classes/<name>.json and histograms/<name>/<target>.npy. Environment: FCN_DEVICE."""
    if name is None:
        raise InputError(f"evaluate needs a run's name; there are {', '.join(config.runs)}")
    places = Places(config)
    samples = val_samples(config, name)
    shutil.rmtree(places.finished(name), ignore_errors=True)  # DVC has the net, or would not have come to score it
    saved = checkpoint.load(existing(places.net(name)))
    with lifeline() as line:
        hists = _histograms(saved, samples, ref=config.run(name).val, line=line, title=name)
    with whole_folder(places.histograms(name)) as folder:
        for target, hist in hists.items():
            with whole_file(folder / f"{target}.npy") as part, part.open("wb") as file:
                np.save(file, hist)
    by_class = {target: _by_class(samples.facts.targets[target].classes, hist) for target, hist in hists.items()}
    write_json(places.classes(name), by_class)
    scores: dict[str, Any] = {}
    for number, (target, hist) in enumerate(hists.items()):
        facts = samples.facts.targets[target]
        found = asdict(metrics(hist, over=facts.average))
        if facts.average == "truth":  # the reference release's own rule, beside the paper's
            found["mean_iu_seen"] = metrics(hist).mean_iu
        if (seen := np.flatnonzero(hist.sum(1))).size == 1:
            only = facts.classes[seen[0]]
            print(f"{name}: warning: all labels of {target} are {only} alone: a score says nothing", file=sys.stderr)
        if (answered := np.flatnonzero(hist.sum(0))).size == 1:
            answer = facts.classes[answered[0]]
            print(f"{name}: warning: the net answers {answer} everywhere", file=sys.stderr)
        if facts.background is not None:
            constant = constant_answer(hist, answer=facts.background)
            found["background_mean_iu"] = metrics(constant, over=facts.average).mean_iu
        # The first head's metrics have the papers' plain names, another's its own before them: geometric_pixel_acc.
        scores |= {key if number == 0 else f"{target}_{key}": value for key, value in found.items()}
    write_json(places.scores(name), {**scores, "images": len(samples)})
    print(f"{name}: mean IU {100 * scores['mean_iu']:.1f} on {len(samples)} images", file=sys.stderr)


def val_samples(config: Config, name: str) -> Samples:
    """What a run is scored on."""
    val, places = config.run(name).val, Places(config)
    return Samples(existing(places.dataset(val.dataset)), list_files.read_back(existing(places.list_file(val.list))))


def on_the_way(saved: Checkpoint, samples: Samples, *, ref: ListRef, line: Lifeline, title: str) -> dict[str, float]:
    """The four metrics of a net that still trains, of its first head: as scores/<name>.json would have them."""
    hists = _histograms(saved, samples, ref=ref, line=line, title=title)
    target, hist = next(iter(hists.items()))
    return asdict(metrics(hist, over=samples.facts.targets[target].average))


def _check_classes(saved: Checkpoint, samples: Samples, *, name: str, dataset: str) -> None:
    """Raise InputError where the net was trained to tell apart other classes than the val dataset has.

    Checkpoints of the first format know how many they are, not what they are called.
    """
    assert saved.net is not None
    for target, count in saved.net.heads.items():
        facts = samples.facts.targets.get(target)
        found = () if facts is None else facts.classes
        trained_on = saved.targets[target].classes if target in saved.targets else found
        if found != trained_on or len(found) != count:
            named = f" others ({', '.join(trained_on[:3])}, ...)" if target in saved.targets else ""
            raise InputError(
                f"runs.{name}.val: {dataset} has {len(found)} classes for {target!r}, the net was trained on "
                f"{count}{named}; score it on a dataset with the classes that it was trained on"
            )


def _histograms(saved: Checkpoint, samples: Samples, *, ref: ListRef, line: Lifeline, title: str) -> Histograms:
    _check_classes(saved, samples, name=title, dataset=ref.dataset)
    assert saved.net is not None
    device = chosen_device()
    net = trained(saved, plain=wants_it_plain()).on(device)
    count = 8 if device.type == "cuda" else 1  # a GPU is done with a picture before one is decoded
    read = ahead(partial(samples.read, inputs=saved.preprocessing), samples.ids, count=count)
    shown = tqdm(read, desc=f"{title}: images", unit="image", total=len(samples), disable=not sys.stderr.isatty())

    def unless_cut() -> Iterator[Sample]:
        for _, found in shown:
            if line.cut.is_set():
                message = f"{title}: stopped ({line.reason}); scoring starts anew with the same command"
                raise StageFailure(message, exit_code=line.exit_code)
            yield found()

    hists = histograms(net, unless_cut(), preprocessing=saved.preprocessing, device=device)
    for target, hist in hists.items():
        if not hist.any():
            raise InputError(
                f"runs.{title}.val: every pixel of its {len(samples)} labels of {target} is void; nothing can be "
                f"scored: check the labels of list {ref.list!r}"
            )
    return hists


def _by_class(names: Sequence[str], hist: NDArray[np.int64]) -> Mapping[str, Mapping[str, float | None]]:
    found = class_metrics(hist)
    return {
        name: {"accuracy": _number(found.accuracy[index]), "iu": _number(found.iu[index])}
        for index, name in enumerate(names)
    }


def _number(value: np.float64) -> float | None:
    return None if np.isnan(value) else float(value)
