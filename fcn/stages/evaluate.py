"""Stage: score one run on its val list, every image whole and at its own size."""

import importlib
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from fcn.config import Config
from fcn.datasets import labels
from fcn.datasets.pairs import read_image
from fcn.errors import InputError, StageFailure
from fcn.lifeline import Lifeline, lifeline
from fcn.nets import checkpoint
from fcn.nets.build import trained
from fcn.scoring.histogram import histogram
from fcn.scoring.metrics import class_metrics, constant_answer, metrics
from fcn.stages.places import Places, existing, whole_file, write_json
from fcn.stages.train import chosen_device, list_files


def run(config: Config, name: str | None) -> None:
    """Write scores/<name>.json, classes/<name>.json and histograms/<name>.npy. Environment: FCN_DEVICE."""
    if name is None:
        raise InputError(f"evaluate needs a run's name; there are {', '.join(config.runs)}")
    settings, places = config.run(name), Places(config)
    names = _class_names(config, settings.val.source)
    files = list_files(config, settings.val)
    with lifeline() as line:
        hist = _histogram(existing(places.net(name)), files, classes=config.classes, line=line, title=name)
    by_class = class_metrics(hist)
    with whole_file(places.histogram(name)) as part, part.open("wb") as file:
        np.save(file, hist)
    write_json(
        places.classes(name),
        {
            names[index]: {"accuracy": _number(by_class.accuracy[index]), "iu": _number(by_class.iu[index])}
            for index in range(config.classes)
        },
    )
    scores = asdict(metrics(hist))
    scores["background_mean_iu"] = metrics(constant_answer(hist)).mean_iu
    write_json(places.scores(name), {**scores, "images": len(files)})
    print(f"{name}: mean IU {100 * scores['mean_iu']:.1f} on {len(files)} images", file=sys.stderr)
    if not hist[:, 1:].any():
        print(f"{name}: warning: the net answers background everywhere", file=sys.stderr)


def _class_names(config: Config, source: str) -> Sequence[str]:
    dataset = config.source(source).dataset
    names: Sequence[str] = importlib.import_module(f"fcn.datasets.{dataset}").CLASSES
    if len(names) < config.classes:
        raise InputError(f"classes is {config.classes}, but {dataset} has {len(names)}; write classes: {len(names)}")
    return names


def _histogram(
    net_file: Path, files: list[tuple[Path, Path]], *, classes: int, line: Lifeline, title: str
) -> NDArray[np.int64]:
    saved = checkpoint.load(net_file)
    if saved.classes != classes:
        raise InputError(f"{net_file} has {saved.classes} classes, the profile {classes}; train the run again")
    device = chosen_device()
    net = trained(saved).on(device)
    hist = np.zeros((classes, classes), np.int64)
    for image_file, label_file in tqdm(files, desc=f"{title}: images", unit="image", disable=not sys.stderr.isatty()):
        if line.cut.is_set():
            message = f"{title}: stopped ({line.reason}); scoring starts anew with the same command"
            raise StageFailure(message, exit_code=line.exit_code)
        image = saved.preprocessing(read_image(image_file))[None]
        image = image.to(device, memory_format=torch.channels_last)
        hist += histogram(labels.read(label_file), net.predict(image)[0].cpu().numpy(), classes=classes)
    return hist


def _number(value: np.float64) -> float | None:
    return None if np.isnan(value) else float(value)
