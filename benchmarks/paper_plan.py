"""What profiles/paper will take on one H200, stage by stage: estimates, printed as docs/paper-plan.md.

    python -m benchmarks.paper_plan > docs/paper-plan.md
    FCN_SPEED=OUT/speed.json python -m benchmarks.paper_plan

Arithmetic on params.yaml and the networks' own operation counts. The machine's ceilings, and how much slower than its
floor a training is, net by net, were measured there: docs/results/gpu/speed.json, or what FCN_SPEED names.
"""

import functools
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from benchmarks.gpu.speed import (
    FORWARD_AND_BACKWARD,
    LARGEST_PX,
    OPTIMIZER_BYTES_PER_PARAMETER,
    USUAL_PX,
    Size,
    flop,
)
from fcn.config import Config, load
from fcn.nets.fcn import FCN, is_score_layer
from fcn.paper.downloads import DOWNLOADS
from fcn.shape import CHANNELS, Net

ROOT = Path(__file__).resolve().parent.parent
PROFILE = ROOT / "profiles" / "paper" / "params.yaml"
MEASURED = Path(os.environ.get("FCN_SPEED") or ROOT / "docs" / "results" / "gpu" / "speed.json")
SPEED = json.loads(MEASURED.read_text(encoding="utf-8"))["rows"]
CEILING = next(row for row in SPEED if row["what"] == "ceiling")

# One H200. bfloat16: dense matrix products as they were measured; float32: NVIDIA's data sheet, without tensor cores.
FLOP_PER_SECOND = {"bfloat16": float(CEILING["flop_per_second"]), "float32": 67e12}
MEMORY_BYTES_PER_SECOND = float(CEILING["bytes_per_second"])
SLOWER_THAN_FLOOR = 5  # assumed, of scoring and timing in float32
FIGURES_SECONDS_PER_RUN = 20  # assumed: a hundred predictions a run, and charts
CUDA_CONTEXT_BYTES = 1e9  # assumed: context, libraries, allocator
HOST_BYTES = {"small": 1e9, "torch": 4e9}  # assumed: a process without and with torch, its loaders included
# The data. Mean sizes: VOC2012's archive over its 17,125 images; masks of 300 real ones.
JPEG_BYTES, MASK_BYTES = 117e3, 3e3
PNG_BYTES = 710e3  # NYUDv2's colour, depth and HHA, of the one picture that is at hand
# By format: pictures with labels, and their usual size where it isn't VOC's.
SEGMENTED_IMAGES = {"voc": 2223, "sbd": 11355, "nyud": 1449, "siftflow": 2686, "context59": 10103, "context33": 10103}
PICTURE_PX = {"nyud": (425, 560), "siftflow": (256, 256)}
# CPU rates, one core: .mat files read, PNGs written; images decoded, scored and counted. Links and disks: assumed.
MAT_PER_SECOND, PNG_PER_SECOND, SCORED_PER_SECOND, HHA_PER_SECOND = 1241, 853, 173, 2.5
DOWNLOAD_BYTES_PER_SECOND, EXTRACT_BYTES_PER_SECOND = 20e6, 50e6
# Files whose size isn't pinned. What isn't here is taken to be as large as VOC2012's archive; weights as their net.
FILE_BYTES = {"siftflow": 140e6, "context-labels": 50e6, "context-names": 8e3}  # assumed but for SIFT Flow's
WEIGHTS_FILE_BYTES = {"alexnet-torchvision": 244e6, "vgg16-oxford": 553e6, "googlenet-torchvision": 52e6}
WEIGHTS_FILE_BYTES |= {"caffenet": 244e6, "bvlc-googlenet": 54e6}
CAFFE_BYTES = 4 * 134.5e6  # of a released net of one trunk on VGG16
WEIGHTS_FILE_BYTES |= {"fcn-alexnet-pascal": 4 * 57e6, "nyud-fcn32s-color-hha-heavy": 2 * CAFFE_BYTES}
SAVE_SECONDS = 10  # assumed: a net that is not trained is read, and written once
LIKE = {"caffenet": "alexnet", "googlenet_published": "googlenet"}  # not timed; torchvision's were
TIMED_PASSES = 30  # 20 trials after a warm-up


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one stage takes."""

    stage: str
    disk_bytes: float
    host_bytes: float
    gpu_bytes: float = 0.0
    floor_s: float | None = None
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Size:
    parameters: int
    trained: int
    flop: int
    activations: int


def _sizes(config: Config, run: str) -> _Size:
    size = PICTURE_PX.get(config.dataset(config.run(run).val.dataset).format, USUAL_PX)
    return _size(config.run(run).net, config.net(run), config.recipe(run).trained, size)


_MEASURED: dict[tuple[str, str], _Size] = {}


def _size(name: str, net: Net, trained: Literal["all", "score"], size: Size = USUAL_PX) -> _Size:
    """Measured once for each net, though several runs and its timing ask."""
    key = (f"{name} {size}", trained)
    if key not in _MEASURED:
        _MEASURED[key] = _measured(net, trained, size)
    return _MEASURED[key]


def _measured(net: Net, trained: Literal["all", "score"], size: Size) -> _Size:
    with torch.device("meta"):
        built = FCN(net).to("meta").eval()
    numbers: list[int] = []
    for layer in built.modules():
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.Dropout):
            layer.register_forward_hook(functools.partial(_count, numbers))
    with torch.inference_mode():
        built({name: torch.empty(1, CHANNELS[name], *LARGEST_PX, device="meta") for name in net.inputs})
    parameters = sum(parameter.numel() for parameter in built.parameters())
    score = sum(p.numel() for name, p in built.named_parameters() if is_score_layer(name))
    return _Size(
        parameters=parameters,
        trained=parameters if trained == "all" else score,
        flop=flop(net, 1, size),  # in time; in memory the largest images count
        activations=sum(numbers),
    )


def _count(numbers: list[int], _layer: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
    numbers.append(output.numel())


def train(config: Config, name: str) -> Cost:
    """The cost of train@name, from operations, the optimizer's memory traffic and the recipe's steps."""
    recipe, size = config.recipe(name), _sizes(config, name)
    passes = FORWARD_AND_BACKWARD if recipe.trained == "all" else 1
    images = recipe.iterations * recipe.batch * recipe.accumulation
    in_passes = images * passes * size.flop / FLOP_PER_SECOND[recipe.precision]
    in_steps = recipe.iterations * OPTIMIZER_BYTES_PER_PARAMETER * size.trained / MEMORY_BYTES_PER_SECOND
    kept = size.activations * (2 if recipe.precision == "bfloat16" else 4)
    on_the_way = evaluate(config, name).seconds * math.ceil(recipe.iterations / (recipe.score_every or math.inf))
    return Cost(
        stage=f"train@{name}",
        # The checkpoint, and two states of weights and momentum beside it while it trains.
        disk_bytes=4 * size.parameters + 2 * 8 * size.parameters,
        host_bytes=HOST_BYTES["torch"],
        # Weights; gradient and momentum of what is trained; activations and as much again in gradients and workspace.
        gpu_bytes=4 * size.parameters + 8 * size.trained + 2 * kept + CUDA_CONTEXT_BYTES,
        floor_s=in_passes + in_steps,
        seconds=slower(config.net(name)) * (in_passes + in_steps) + on_the_way if images else SAVE_SECONDS,
    )


def slower(net: Net) -> float:
    """How many times its floor a step of the loop took, of one usual image, for the net of this kind that was timed."""
    config = load(PROFILE)
    for row in SPEED:
        if row["what"] == "training" and row["batch"] == 1 and row["precision"] == "bfloat16":
            timed = config.nets[row["net"]]
            architecture = LIKE.get(net.backbone.architecture, net.backbone.architecture)
            if (timed.backbone.architecture, timed.taps) == (architecture, net.taps):
                size = _size(row["net"], timed, "all")
                in_pass = FORWARD_AND_BACKWARD * size.flop / FLOP_PER_SECOND["bfloat16"]
                in_step = OPTIMIZER_BYTES_PER_PARAMETER * size.trained / MEMORY_BYTES_PER_SECOND
                return float(row["seconds_per_step"]) / (in_pass + in_step)
    raise LookupError(f"no net of this kind was timed: {net}")


def fusion(config: Config, name: str) -> Cost:
    """The cost of fusions@name: two nets are read, and written as one."""
    disk = sum(4 * _sizes(config, net.removeprefix("nets/")).parameters for net in config.fusions[name])
    return Cost(stage=f"fusions@{name}", disk_bytes=disk, host_bytes=HOST_BYTES["torch"], seconds=2 * SAVE_SECONDS)


def evaluate(config: Config, name: str) -> Cost:
    """The cost of evaluate@name: float32 passes over the val list, and a core that decodes and counts."""
    run = config.runs[name]
    size, images = _sizes(config, name), config.lists[run.val.list].expect or 0
    floor = images * size.flop / FLOP_PER_SECOND["float32"]
    return Cost(
        stage=f"evaluate@{name}",
        disk_bytes=1e5,
        host_bytes=HOST_BYTES["torch"],
        gpu_bytes=4 * size.parameters + 4 * size.activations + CUDA_CONTEXT_BYTES,
        floor_s=floor,
        seconds=SLOWER_THAN_FLOOR * floor + images / SCORED_PER_SECOND,
    )


def data(config: Config) -> list[Cost]:
    """The costs of archives, datasets and splits."""
    small, found = HOST_BYTES["small"], []
    sizes = {key: _archive_bytes(config, key) for key in config.archives}
    for key, size in sizes.items():
        found.append(
            Cost(stage=f"archives@{key}", disk_bytes=size, host_bytes=small, seconds=size / DOWNLOAD_BYTES_PER_SECOND)
        )
    for key, dataset in config.datasets.items():
        images, depth = SEGMENTED_IMAGES[dataset.format], dataset.format == "nyud"
        archive = sizes[dataset.from_.rpartition("/")[2]]
        seconds = archive / EXTRACT_BYTES_PER_SECOND + images / MAT_PER_SECOND + images / PNG_PER_SECOND
        seconds += images / HHA_PER_SECOND if depth else 0
        kept = images * ((PNG_BYTES if depth else JPEG_BYTES) + MASK_BYTES)
        found.append(Cost(stage=f"datasets@{key}", disk_bytes=kept, host_bytes=small, seconds=seconds))
    found.append(Cost(stage="splits", disk_bytes=1e6, host_bytes=small, seconds=10))
    return found


def _archive_bytes(config: Config, name: str) -> float:
    return sum(_file_bytes(part) for part in config.archive(name).parts or (name,))


def _file_bytes(name: str) -> float:
    known, download = {**WEIGHTS_FILE_BYTES, **FILE_BYTES}, DOWNLOADS[name]
    usual = CAFFE_BYTES if download.file.endswith(".caffemodel") else DOWNLOADS["voc2012"].bytes or 0
    return known.get(name) or download.bytes or usual


def plan(config: Config) -> list[Cost]:
    """Every stage of the graph, in its order."""
    small, large = HOST_BYTES["small"], HOST_BYTES["torch"]
    weights = [
        Cost(
            stage=f"weights@{key}",
            disk_bytes=_file_bytes(entry.from_.rpartition("/")[2]),
            host_bytes=large,
            seconds=30,
        )
        for key, entry in config.weights.items()
    ]
    on_gpu = max(evaluate(config, name).gpu_bytes for name in config.runs)
    figures_s = FIGURES_SECONDS_PER_RUN * len(config.runs)
    return [
        Cost(stage="code", disk_bytes=1e6, host_bytes=small, seconds=10),
        *data(config),
        *weights,
        *(train(config, name) for name in config.runs),
        *(fusion(config, name) for name in config.fusions),
        *(evaluate(config, name) for name in config.runs),
        *(timing(config, name) for name in config.nets),
        Cost(stage="tables", disk_bytes=1e6, host_bytes=large, seconds=10),
        Cost(stage="figures", disk_bytes=2e7, host_bytes=large, gpu_bytes=on_gpu, seconds=figures_s),
        Cost(stage="report", disk_bytes=2e7, host_bytes=large, seconds=10),
        Cost(stage="publish", disk_bytes=2e7, host_bytes=large, seconds=60),
    ]


def timing(config: Config, name: str) -> Cost:
    """The cost of timing@name: trials of one image, after a warm-up."""
    size = _size(name, config.nets[name], "all")
    floor = TIMED_PASSES * size.flop / FLOP_PER_SECOND["float32"]
    return Cost(
        stage=f"timing@{name}",
        disk_bytes=1e4,
        host_bytes=HOST_BYTES["torch"],
        gpu_bytes=4 * size.parameters + 4 * size.activations + CUDA_CONTEXT_BYTES,
        floor_s=floor,
        seconds=SLOWER_THAN_FLOOR * floor + 10,
    )


def _gigabytes(size: float) -> str:
    return "-" if size == 0 else "< 0.1" if size < 0.05e9 else f"{size / 1e9:.1f}"


def _hours(seconds: float | None) -> str:
    return "-" if seconds is None else "< 0.01" if seconds < 18 else f"{seconds / 3600:.2f}"


def markdown(config: Config) -> str:
    """The plan as a page."""
    costs = plan(config)
    lines = [
        "# What profiles/paper takes: an ESTIMATE",
        "",
        "Made by `python -m benchmarks.paper_plan > docs/paper-plan.md` from profiles/paper/params.yaml; the constants"
        " and their sources stand in that file, the measured rates in docs/results/gpu. The machine: one H200, 141 GB.",
        "",
        f"*Floor* is operations over {FLOP_PER_SECOND['bfloat16'] / 1e12:.0f} TFLOP/s (bfloat16) plus the optimizer's"
        " memory traffic. *Hours* of a training are as many times its floor as a step of its net **was measured** to"
        f" take ({_slower_by_architecture(config)}; CaffeNet and the published GoogLeNet as these two),"
        " of whole images one by one whose pictures lie in memory."
        " Evaluation and timing"
        f" are reckoned in float32, {FLOP_PER_SECOND['float32'] / 1e12:.0f} TFLOP/s, and assumed"
        f" {SLOWER_THAN_FLOOR} times slower. Disk is what a stage leaves, for train with two states to resume from;"
        " DVC's cache shares it where the file system can link. VOC2010's and VOC2011's archives are taken to be"
        " as large as VOC2012's.",
        "",
        "The graph itself: `dvc repro --dry --force profiles/paper/dvc.yaml` lists every command. Without `--force`,"
        " DVC 3.67 stops at the first stage whose input isn't there yet.",
        "",
        "| stage | disk (GB) | host memory (GB) | GPU memory (GB) | floor (h) | hours |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {cost.stage} | {_gigabytes(cost.disk_bytes)} | {_gigabytes(cost.host_bytes)} | {_gigabytes(cost.gpu_bytes)}"
        f" | {_hours(cost.floor_s)} | {_hours(cost.seconds)} |"
        for cost in costs
    ]
    all_of_them = [
        _gigabytes(sum(cost.disk_bytes for cost in costs)),
        _gigabytes(max(cost.host_bytes for cost in costs)) + " (most)",
        _gigabytes(max(cost.gpu_bytes for cost in costs)) + " (most)",
        _hours(sum(cost.floor_s or 0 for cost in costs)),
        _hours(sum(cost.seconds for cost in costs)),
    ]
    lines += [
        f"| **all, one after the other** | {' | '.join(all_of_them)} |",
        "",
        _in_float32(config),
    ]
    return "\n".join(lines) + "\n"


def _slower_by_architecture(config: Config) -> str:
    """By how much the coarsest net of each architecture was slower than its floor."""
    trained = (config.net(name) for name in reversed(config.runs) if config.recipe(name).iterations)
    coarsest = {net.backbone.architecture: net for net in trained if not net.taps}
    return ", ".join(
        f"{architecture} {slower(net):.0f}"
        for architecture, net in sorted(coarsest.items())
        if architecture not in LIKE
    )


def _in_float32(config: Config) -> str:
    """What the profile's one-word alternative would cost."""
    ours = sum(train(config, name).floor_s or 0 for name in config.runs)
    other = 0.0
    for name in config.runs:
        recipe, floor = config.recipe(name), train(config, name).floor_s or 0
        size = _sizes(config, name)
        steps = recipe.iterations * OPTIMIZER_BYTES_PER_PARAMETER * size.trained / MEMORY_BYTES_PER_SECOND
        slower = FLOP_PER_SECOND[recipe.precision] / FLOP_PER_SECOND["float32"]
        other += (floor - steps) * slower + steps
    return (
        f"Trained in float32 instead, as the papers did, the floor of all trainings is {other / 3600:.1f} h"
        f" rather than {ours / 3600:.1f} h: the reason for the departure `precision`."
    )


def main() -> None:
    """Print the page."""
    print(markdown(load(PROFILE)), end="")


if __name__ == "__main__":
    main()
