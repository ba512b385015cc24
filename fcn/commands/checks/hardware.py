"""The machine: its GPU, and the disk that the profile still needs."""

import os
import shutil
from pathlib import Path

from fcn.commands.checks.finding import Finding, State, python
from fcn.config import Config
from fcn.datasets.room import size
from fcn.files import written
from fcn.paper.downloads import DOWNLOADS
from fcn.paper.table import every
from fcn.shape import Backbone
from fcn.stages.places import Places

_ASK_TORCH = "import torch; print(torch.version.cuda, torch.cuda.is_available() * torch.cuda.device_count())"
_DATASET_BYTES, _WEIGHTS_BYTES = 2.0e9, 0.6e9  # of an archive whose size nobody wrote down; VOC2012's, VGG16's
# Of a run: 4 bytes a parameter in the checkpoint, and twice 8, weights and momentum, in the states to resume from.
_BYTES_PER_PARAMETER = 4 + 2 * 8
_BYTES_PER_SCENE = 20e3  # of a sample archive, and as much again extracted; measured, with some to spare
_BYTES_PER_VIEW = 120e3  # the same of one with depth
_REST_BYTES = 0.2e9  # scores, figures, report, MLflow's files; measured on the sample, with some to spare


def gpu(_config: Config) -> list[Finding]:
    """Whether torch sees the cards that the driver sees."""
    cards, asked, hidden = _cards(), os.environ.get("FCN_DEVICE", ""), os.environ.get("CUDA_VISIBLE_DEVICES")
    if not cards and asked.startswith("cuda"):
        message = f"FCN_DEVICE is {asked!r}, but there is no NVIDIA driver or no card"
        return [Finding("gpu", "broken", message, "unset FCN_DEVICE, or install the driver")]
    if not cards:
        return [Finding("gpu", "ok", "none; trainings use the CPU")]
    answer = python("-c", _ASK_TORCH)
    if answer.returncode:
        last = (answer.stderr.strip().splitlines() or ["no answer"])[-1]
        return [Finding("gpu", "broken", f"{cards}, but torch fails: {last}", "install torch anew")]
    built, seen = answer.stdout.split()[-2:]
    if seen != "0":
        return [Finding("gpu", "ok", f"{cards}; torch (CUDA {built}) sees {seen}")]
    why = f"torch is built for {built}" if hidden is None else f"CUDA_VISIBLE_DEVICES is {hidden!r}"
    state: State = "broken" if asked.startswith("cuda") or hidden is None else "warning"
    cure = "a torch built for CUDA, a driver as new as its CUDA, and CUDA_VISIBLE_DEVICES are what it takes"
    return [Finding("gpu", state, f"{cards}, but torch sees no GPU: {why}", cure)]


def _cards() -> str:
    """The cards' names and the driver's version; empty where there is none."""
    import pynvml  # type: ignore[import-untyped]  # ships no types

    try:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        names = ", ".join(str(pynvml.nvmlDeviceGetName(handle)) for handle in handles)
        return f"{names} with driver {pynvml.nvmlSystemGetDriverVersion()}" if names else ""
    except pynvml.NVMLError:
        return ""


def disk(config: Config) -> list[Finding]:
    """What is still to be made against what is free: an estimate, rather too high."""
    needed, free = still_needed(config), shutil.disk_usage(".").free
    message = f"{f'about {size(round(needed))}' if needed else 'nothing'} still to be made, {size(free)} free"
    if free < needed:
        cure = "free some space: `dvc gc -w -f` drops results that no dvc.lock here needs"
        return [Finding("disk", "broken", message, cure)]
    if free < 2 * needed:
        return [Finding("disk", "warning", f"{message}: little to spare", "free some space")]
    return [Finding("disk", "ok", message)]


def still_needed(config: Config) -> float:
    """Bytes that the stages will add: archives, converted datasets, weights, and nets with their states."""
    places = Places(config)
    total = 0.0 if places.published.exists() else _REST_BYTES
    archives = {f"data/{config.profile}/archives/{name}": _archive_bytes(config, name) for name in config.archives}
    total += sum(needed for folder, needed in archives.items() if not Path(folder).exists())
    for name, dataset in config.datasets.items():  # at most what the archive holds: only what is needed is converted
        if not places.dataset(name).exists():
            total += written(Path(dataset.from_))["bytes"] or archives.get(dataset.from_.rstrip("/"), 0.0)
    weights = [entry.backbone for name, entry in config.weights.items() if not places.weights(name).exists()]
    weights += [entry.backbone for name, entry in config.classifiers.items() if not places.weights(name).exists()]
    nets = [config.net(name).backbone for name in config.runs if not places.net(name).exists()]
    return total + 4 * sum(map(_parameters, weights)) + _BYTES_PER_PARAMETER * sum(map(_parameters, nets))


def _archive_bytes(config: Config, name: str) -> float:
    entry = config.archives[name]
    if entry.scenes is not None:
        return _BYTES_PER_SCENE * (entry.scenes.sbd_train + entry.scenes.voc_train + entry.scenes.voc_val)
    if entry.kind == "sample":
        return _BYTES_PER_VIEW * ((entry.train or 0) + (entry.val or 0))
    of_dataset = any(Path(dataset.from_).name == name for dataset in config.datasets.values())
    parts = (DOWNLOADS.get(part) for part in entry.parts or (name,))
    known = sum(part.bytes for part in parts if part is not None and part.bytes is not None)
    return known or (_DATASET_BYTES if of_dataset else _WEIGHTS_BYTES)


def _parameters(backbone: Backbone) -> float:
    """At most so many: the printed size of the full network, scaled by the square of the wider part."""
    rows = every()["cvpr_table1"].rows
    printed = {row.architecture.partition("_")[0]: row.cells["parameters_M"].value for row in rows}
    full = printed.get(backbone.architecture, max(printed.values()))
    return 1e6 * full * max(backbone.width, backbone.fc / 4096) ** 2
