"""How fast this is beside its peers on a CPU: docs/benchmarks.md, and the same as JSON beside it.

    python -m benchmarks.speed --output docs/benchmarks.md [--quick] [--voc FOLDER] [--only NAME ...] [--threads 1]
    python -m benchmarks.speed --page docs/benchmarks.json > docs/benchmarks.md

Peers and ours compute in one process, in turn, with the same weights, which are random: other weights take the same
time. The peers are torchfcn (wkentaro/pytorch-fcn) at its defaults, and with bfloat16 and channels_last, and what
stands beside each row. VOC's folder is one with VOCdevkit and benchmark_RELEASE in it; without it pictures and labels
are generated. `--quick` tries everything at small sizes, where the figures mean nothing.
"""

import argparse
import copy
import importlib
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import interpolate

from benchmarks import memory, peers, speed_head
from benchmarks.gpu.speed import LARGEST_PX, USUAL_PX, Size
from benchmarks.pairs import Row, in_turn, patience
from fcn.datasets.facts import Target
from fcn.datasets.labels import VOID
from fcn.grid import Grid
from fcn.machine import load_average, processor
from fcn.nets.fcn import FCN
from fcn.nets.preprocessing import preset
from fcn.predict import Predictor
from fcn.training.step import autocast

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("torch", "torchvision", "torchfcn", "numpy", "pillow")
CLASSES = Target(classes=tuple(map(str, range(21))), background=0, average="seen")
QUICK_PX = (24, 32)  # the peer has full width and a border of 100 px at any size
IN_BFLOAT16 = "torchfcn, bfloat16, channels_last"


def picture(size: Size) -> NDArray[np.uint8]:
    """H W 3: what varies slowly, and noise over it."""
    generator = torch.Generator().manual_seed(0)
    slow = interpolate(torch.rand(1, 3, 6, 8, generator=generator), size=size, mode="bilinear")[0]
    found = (slow + 0.05 * torch.randn(slow.shape, generator=generator)).clamp(0, 1) * 255
    return np.ascontiguousarray(found.permute(1, 2, 0).numpy().astype(np.uint8))


def to_labels(net: nn.Module, image: NDArray[np.uint8], *, precision: str = "float32") -> Tensor:
    """What torchfcn does from a picture to the class of every pixel: its dataset's transform, its validation."""
    dataset = object.__new__(peers.torchfcn("datasets.voc").VOCClassSegBase)
    data, _ = dataset.transform(image, np.zeros(1, np.int64))
    data = data[None]
    if precision == "bfloat16":
        data = data.contiguous(memory_format=torch.channels_last)
    with torch.no_grad(), autocast(speed_head.CPU, precision):
        scores = net(data)
    found: Tensor = scores.max(1)[1]
    return found


def forward(size: Size, _voc: Path | None) -> Iterator[Row]:
    """A picture, H W 3 uint8, to the class of every pixel."""
    from torchvision.models.segmentation import fcn_resnet50

    theirs = peers.net("FCN8s").eval()
    net = peers.ours(theirs).eval()
    quicker = copy.deepcopy(theirs).to(memory_format=torch.channels_last).eval()
    resnet = fcn_resnet50(weights=None, weights_backbone=None, num_classes=21).eval()
    about: Any = {"targets": {"semantic": CLASSES}, "provenance": {}, "device": speed_head.CPU}
    predictors = {
        precision: Predictor(copy.deepcopy(net), preset("caffe"), precision=precision, **about)
        for precision in ("float32", "bfloat16")
    }
    image = picture(size)

    def ours(precision: str) -> NDArray[np.uint8]:
        return predictors[precision](image).label

    def resnet_labels() -> Tensor:
        planes = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
        with torch.no_grad():
            found: Tensor = resnet(planes)["out"].argmax(1)
        return found

    works: dict[str, Callable[[], object]] = {
        "float32": lambda: ours("float32"),
        "torchfcn": lambda: to_labels(theirs, image),
        "bfloat16": lambda: ours("bfloat16"),
        IN_BFLOAT16: lambda: to_labels(quicker, image, precision="bfloat16"),
        "torchvision fcn_resnet50, another net": resnet_labels,
    }
    found, answers = in_turn(works), {name: torch.from_numpy(ours(name)) for name in ("float32", "bfloat16")}
    plain = plain_labels(net, image)
    same = float((plain == to_labels(theirs, image)[0]).double().mean())
    assert same > 0.999, f"ours and torchfcn's answer alike on {same:.2%} of pixels alone: not the same net"
    for precision, targets in (("float32", {"torchfcn": 2.0}), ("bfloat16", {"torchfcn": 4.5})):
        for peer in works:
            if peer not in answers:
                row = Row(
                    benchmark=f"FCN-8s VGG16, {size[1]} x {size[0]} px, picture to labels, {precision}",
                    peer=peer,
                    ours=found[precision],
                    theirs=found[peer],
                    target=targets.get(peer),
                )
                least = 1 if precision == "float32" else 0.99
                yield speed_head.agreement(row, answers[precision], plain, least=least)


def plain_labels(net: FCN, image: NDArray[np.uint8]) -> Tensor:
    """H W, by the definition that the fast paths are held to, in float32."""
    net.plain = True
    with torch.inference_mode():
        found: Tensor = net({"rgb": preset("caffe")(image)[None]})["semantic"].argmax(1)[0]
    net.plain = False
    return found


def step(size: Size, _voc: Path | None) -> Iterator[Row]:
    """A training step of FCN-32s, one picture, beside one of torchfcn's trainer."""
    theirs = peers.net("FCN32s").train()
    net = peers.ours(theirs)
    quicker = copy.deepcopy(theirs).to(memory_format=torch.channels_last).train()
    images = preset("caffe")(picture(size))[None]
    truth = speed_head.labels(size)
    others = {
        "torchfcn": trainer_step(theirs, images, truth, precision="float32"),
        IN_BFLOAT16: trainer_step(quicker, images, truth, precision="bfloat16"),
    }
    batches = speed_head.OneBatch(images, truth)
    for precision, target in (("float32", 1.9), ("bfloat16", 3.5)):
        found, _ = speed_head.steps(net, batches, precision=precision, others=others)
        for peer in others:
            yield Row(
                benchmark=f"FCN-32s VGG16, {size[1]} x {size[0]} px, training step, batch 1, {precision}",
                peer=peer,
                ours=found["ours"],
                theirs=found[peer],
                target=target if peer == "torchfcn" else None,
            )


def trainer_step(net: nn.Module, images: Tensor, truth: Tensor, *, precision: str) -> Callable[[], object]:
    """A step as torchfcn's trainer takes it, without its accuracy and its log."""
    optimizer, target = peers.sgd(net), truth.where(truth != VOID, -1)
    data = images.contiguous(memory_format=torch.channels_last) if precision == "bfloat16" else images

    def work() -> float:
        optimizer.zero_grad()
        with autocast(speed_head.CPU, precision):
            score = net(data)
            loss = peers.loss(score, target) / len(data)
        value = loss.detach().item()
        torch.autograd.backward(loss)
        optimizer.step()
        return value

    return work


def head(size: Size, _voc: Path | None) -> Iterator[Row]:
    """What comes after the coarse scores."""
    yield from speed_head.rows(size)


def data(_size: Size, voc: Path | None) -> Iterator[Row]:
    """Histograms, samples, labels converted."""
    yield from importlib.import_module("benchmarks.speed_data").rows(voc)


GROUPS = {"head": head, "data": data, "forward": forward, "step": step}


def measured(names: Sequence[str], *, quick: bool, voc: Path | None, threads: int) -> dict[str, Any]:
    """Everything that was asked for, and of which machine it is."""
    torch.set_num_threads(threads)
    size, largest = (QUICK_PX, QUICK_PX) if quick else (USUAL_PX, LARGEST_PX)
    found: dict[str, Any] = {"about": about(threads=threads, quick=quick), "rows": [], "memory": []}
    for name, rows in GROUPS.items():
        if name in names:
            pairs, seconds = (1, 1) if quick else (5, 50) if name in ("forward", "step") else (11, 10)
            with patience(pairs, seconds=seconds):
                for row in _possible(name, rows(size, voc)):
                    print(row.benchmark, "beside", row.peer or "nothing", figure(row), flush=True)
                    found["rows"].append(asdict(row))
    if "memory" in names:
        found["rows"].append(asdict(memory.head(size, threads=threads)))
        if not quick:
            found["rows"].append(asdict(memory.large(threads=threads)))
        for line in memory.nets([size] if quick else [size, largest], quick=quick, threads=threads):
            print(line, flush=True)
            found["memory"].append(line)
    found["about"]["load_at_the_end"] = load_average()
    return found


def _possible(name: str, rows: Iterator[Row]) -> Iterator[Row]:
    """The rows and, where something isn't installed, what."""
    try:
        yield from rows
    except ModuleNotFoundError as error:
        yield Row(benchmark=name, missing=f"{error.name} is not installed")


def about(*, threads: int, quick: bool) -> dict[str, Any]:
    """The machine, the versions and the commit that are measured."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude", "*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "versions": {"Python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
        "commit": commit.stdout.strip() or "unknown",
        "date": datetime.now(UTC).date().isoformat(),
        "quick": quick,
        "load_at_the_beginning": load_average(),
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def page(found: Mapping[str, Any]) -> str:
    """What was measured, as Markdown."""
    machine = found["about"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    lines = [
        "# Benchmarks\n",
        "Made by `python -m benchmarks.speed --output docs/benchmarks.md`; no number here is typed. Ours and a peer"
        " compute in turn in one process: times are medians with the least and the largest beside them, *times faster*"
        " is the median of the ratios of neighbours, with the least and the largest of these. Weights are random.\n",
        f"{machine['processor']} ({machine['capability']}), {machine['cores']} cores, of which"
        f" {machine['threads']} computed; {versions}; commit {machine['commit']}, {machine['date']}; load average"
        f" {machine['load_at_the_beginning']} at the beginning and {machine['load_at_the_end']} at the end.\n",
    ]
    if machine["quick"]:
        lines.append("**A trial at small sizes: the figures mean nothing.**\n")
    lines.append(table(map(Row.read, found["rows"])).markdown())
    if found["memory"]:
        lines += ["## Memory\n", memory.table(found["memory"]).markdown()]
    return "\n".join(lines)


def table(rows: Iterable[Row]) -> Grid:
    """A line a row."""
    marks = {True: "yes", False: "**no**", None: ""}
    head = ["benchmark", "peer", "ours", "peer's", "times faster", "target", "reached", "agreement"]
    lines = []
    for row in rows:
        target = "" if row.target is None else f"{row.target:g}"
        if row.missing:
            lines.append([row.benchmark, row.peer, f"not measured: {row.missing}", "", "", target, "", ""])
            continue
        theirs = spread(row.theirs, row.unit) if row.peer else ""
        times = figure(row) if row.peer else ""
        ours = spread(row.ours, row.unit)
        lines.append([row.benchmark, row.peer, ours, theirs, times, target, marks[row.reached], row.equality])
    return Grid(title="Benchmarks", head=head, lines=lines, left=["peer", "agreement"])


def figure(row: Row) -> str:
    """The ratio, or what there is without a peer."""
    if row.missing:
        return row.missing
    return spread(row.figures, "" if row.peer else row.unit)


def spread(readings: Sequence[float], unit: str) -> str:
    """Median, least and largest."""
    if unit == "s":
        readings, unit = [1e3 * seconds for seconds in readings], "ms"
    middle, least, most = (
        f"{value:.3g}" if value < 1000 else f"{value:,.0f}"
        for value in (statistics.median(readings), min(readings), max(readings))
    )
    return f"{middle} {unit}".rstrip() + (f" [{least}..{most}]" if len(readings) > 1 else "")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, help="the Markdown file; JSON of the same name beside it")
    parser.add_argument("--page", type=Path, help="measure nothing, print this JSON as Markdown")
    parser.add_argument("--quick", action="store_true", help="a trial at small sizes")
    parser.add_argument("--voc", type=Path, help="the folder with VOCdevkit and benchmark_RELEASE")
    parser.add_argument("--only", nargs="+", choices=[*GROUPS, "memory"], default=[*GROUPS, "memory"])
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args(arguments)
    if given.page is not None:
        print(page(json.loads(given.page.read_text(encoding="utf-8"))), end="")
        return
    found = measured(given.only, quick=given.quick, voc=given.voc, threads=given.threads)
    if given.output is not None:
        given.output.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        given.output.write_text(page(found), encoding="utf-8")
    else:
        print(page(found), end="")


if __name__ == "__main__":
    main()
