"""The machine: its GPU, and the disk that the profile still needs."""

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path

from fcn.commands.checks.finding import Finding, python
from fcn.config import Config, Source
from fcn.datasets.room import size
from fcn.paper.downloads import DOWNLOADS
from fcn.paper.table import every
from fcn.stages.places import Places

_ASK_TORCH = (
    "import json, torch; cuda = torch.cuda; print(json.dumps({'built': torch.version.cuda, "
    "'names': [cuda.get_device_name(i) for i in range(cuda.device_count())] if cuda.is_available() else []}))"
)
# Of a run: 4 bytes a parameter in the checkpoint, and twice 8, weights and momentum, in the states to resume from.
_BYTES_PER_PARAMETER = 4 + 2 * 8
_BYTES_PER_SCENE = 20e3  # of a sample archive, and as much again extracted; measured, with some to spare
_REST_BYTES = 0.2e9  # scores, figures, report, MLflow's files; measured on the sample, with some to spare


def check(config: Config) -> list[Finding]:
    """GPU and disk."""
    return [_gpu(), _disk(config)]


def _gpu() -> Finding:
    asked = os.environ.get("FCN_DEVICE", "")
    driver, cards = _driver()
    if not cards:
        if asked.startswith("cuda"):
            said = f"FCN_DEVICE is {asked!r}, but there is no NVIDIA driver or no card"
            return Finding(name="gpu", state="broken", said=said, do="unset FCN_DEVICE, or install the driver")
        return Finding(name="gpu", state="ok", said="none; trainings use the CPU")
    shown = f"{', '.join(cards)} with driver {driver}"
    answer = python("-c", _ASK_TORCH)
    with suppress(ValueError, KeyError, IndexError):
        seen = json.loads(answer.stdout.splitlines()[-1])
        if seen["names"]:
            return Finding(name="gpu", state="ok", said=f"{shown}; torch (CUDA {seen['built']}) sees {len(cards)}")
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        why = f"CUDA_VISIBLE_DEVICES is {hidden!r}" if hidden is not None else f"torch is built for {seen['built']}"
        return Finding(
            name="gpu",
            state="broken" if asked.startswith("cuda") or hidden is None else "warning",
            said=f"{shown}, but torch sees no GPU: {why}",
            do="a torch built for CUDA, a driver as new as its CUDA, and CUDA_VISIBLE_DEVICES are what it takes",
        )
    last = (answer.stderr.strip().splitlines() or ["no answer"])[-1]
    return Finding(name="gpu", state="broken", said=f"{shown}, but torch fails: {last}", do="install torch anew")


def _driver() -> tuple[str, list[str]]:
    """The driver's version and the cards' names; empty where there is none."""
    import pynvml  # type: ignore[import-untyped]  # ships no types

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return "", []
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        return str(pynvml.nvmlSystemGetDriverVersion()), [str(pynvml.nvmlDeviceGetName(handle)) for handle in handles]
    except pynvml.NVMLError as error:
        return str(error), []
    finally:
        pynvml.nvmlShutdown()


def _disk(config: Config) -> Finding:
    """What is still to be made against what is free: an estimate, rather too high."""
    needed, free = still_needed(config), shutil.disk_usage(".").free
    said = f"{f'about {size(round(needed))}' if needed else 'nothing'} still to be made, {size(free)} free"
    if free < needed:
        return Finding(
            name="disk",
            state="broken",
            said=said,
            do="free some space (`dvc gc -w` drops results that no dvc.lock here needs), or use another disk",
        )
    if free < 2 * needed:
        return Finding(name="disk", state="warning", said=f"{said}: little to spare", do="free some space")
    return Finding(name="disk", state="ok", said=said)


def still_needed(config: Config) -> float:
    """Bytes that the stages will add: archives, extracted data, weights, and nets with their states."""
    places = Places(config)
    total = 0.0 if places.published.exists() else _REST_BYTES
    for name, source in config.sources.items():
        archive = _archive_bytes(name, source)
        if source.kind != "local" and not places.archive(name).exists():
            total += archive
        if not places.raw(name).exists():
            total += archive  # at most: only what segmentation needs is extracted
    for name, entry in config.weights.items():
        if not places.weights(name).exists():
            total += 2 * 4 * _parameters(config, entry.backbone)  # as fetched, and in the project's layout
    for name, run in config.runs.items():
        if not places.net(name).exists():
            total += _BYTES_PER_PARAMETER * _parameters(config, run.backbone)
    return total


def _archive_bytes(name: str, source: Source) -> float:
    if source.scenes is not None:
        scenes = source.scenes
        return _BYTES_PER_SCENE * (scenes.sbd_train + scenes.voc_train + scenes.voc_val)
    if source.kind == "download":
        known = DOWNLOADS.get(name)
        return float((known.bytes if known else None) or DOWNLOADS["voc2012"].bytes or 0)  # the largest, for the rest
    path = Path(source.from_)
    if path.is_file():
        return path.stat().st_size
    return float(sum(file.stat().st_size for file in path.rglob("*") if file.is_file()))


def _parameters(config: Config, backbone: str) -> float:
    """At most so many: the printed size of the full network, scaled by the square of the wider part."""
    shape = config.backbones[backbone]
    printed = {
        row.architecture.partition("_")[0]: row.cells["parameters_M"].value for row in every()["cvpr_table1"].rows
    }
    scale = max(shape.width, shape.fc / 4096)
    return 1e6 * printed.get(shape.architecture, max(printed.values())) * scale**2
