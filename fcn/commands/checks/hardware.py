"""The machine: its GPU, and the disk that the profile still needs."""

import os
import shutil
from pathlib import Path

from fcn.commands.checks.finding import Finding, State, python
from fcn.config import Archive, Backbone, Config
from fcn.datasets.room import size
from fcn.files import written
from fcn.paper.downloads import DOWNLOADS
from fcn.stages.places import Places

_ASK_TORCH = "import torch; print(torch.version.cuda, torch.cuda.is_available() * torch.cuda.device_count())"
_PARAMETERS = 134.5e6  # of FCN-VGG16, the largest, at full width (CVPR Table 1)
# Of a run: 4 bytes a parameter in the checkpoint, and twice 8, weights and momentum, in the states to resume from.
_BYTES_PER_PARAMETER = 4 + 2 * 8
_BYTES_PER_SCENE = 20e3  # of a sample archive, and as much again extracted; measured, with some to spare
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
        cure = "free some space (`dvc gc -w` drops results that no dvc.lock here needs), or use another disk"
        return [Finding("disk", "broken", message, cure)]
    if free < 2 * needed:
        return [Finding("disk", "warning", f"{message}: little to spare", "free some space")]
    return [Finding("disk", "ok", message)]


def still_needed(config: Config) -> float:
    """Bytes that the stages will add: archives, converted datasets, weights, and nets with their states."""
    places = Places(config)
    total = 0.0 if places.published.exists() else _REST_BYTES
    total += sum(_archive_bytes(name, it) for name, it in config.archives.items() if not places.archive(name).exists())
    for name, dataset in config.datasets.items():  # at most what the archive holds: only what is needed is converted
        if not places.dataset(name).exists():
            made = config.archives.get(Path(dataset.from_).name)
            total += written(Path(dataset.from_))["bytes"] or (_archive_bytes(name, made) if made else 0)
    entries = (*config.weights.items(), *config.classifiers.items())
    weights = [entry.backbone for name, entry in entries if not places.weights(name).exists()]
    nets = [config.net(name).backbone for name in config.runs if not places.net(name).exists()]
    return total + 4 * sum(map(_parameters, weights)) + _BYTES_PER_PARAMETER * sum(map(_parameters, nets))


def _archive_bytes(name: str, archive: Archive) -> float:
    if archive.scenes is not None:
        return _BYTES_PER_SCENE * (archive.scenes.sbd_train + archive.scenes.voc_train + archive.scenes.voc_val)
    known = DOWNLOADS.get(name)
    return float((known.bytes if known else None) or DOWNLOADS["voc2012"].bytes or 0)  # the largest, for the rest


def _parameters(backbone: Backbone) -> float:
    """At most so many: those of the largest network, scaled by the square of the wider part."""
    return _PARAMETERS * max(backbone.width, backbone.fc / 4096) ** 2
