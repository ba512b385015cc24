"""How fast one device trains and infers the papers' nets, and what share of its ceiling that is.

    python -m benchmarks.gpu.speed --out docs/results/gpu/speed.json [--profile step.txt] [--quick]
    python -m benchmarks.gpu.speed --page docs/results/gpu/speed.json > docs/results/gpu/README.md

The nets are those of profiles/paper, at full width and with random weights, which take no other time than trained
ones. Training is the project's own loop over random pictures that lie in memory, launched kernel by kernel and as CUDA
graphs (FCN_GRAPHS=1); forward times are the papers' protocol; scoring is of such pictures, one at a time and several.
The ceiling is the rate of a large bfloat16 matrix product, measured in the same run. `--quick` tries the script itself,
on any machine, with one small net.
"""

import argparse
import itertools
import json
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from fcn.config import Config, load
from fcn.datasets.samples import Sample
from fcn.entries import Recipe
from fcn.grid import Grid
from fcn.machine import load_average, out_of_memory
from fcn.nets.fcn import FCN
from fcn.nets.preprocessing import preset
from fcn.scoring.answers import AT_ONCE_PX, histograms
from fcn.scoring.timing import seconds_per_image, summary
from fcn.shape import CHANNELS, Net
from fcn.stages.device import chosen_device, name
from fcn.training.batches import Batch, Batches
from fcn.training.loop import train

PAPER, QUICK = Path("profiles/paper/params.yaml"), Path("profiles/smoke/params.yaml")
USUAL_PX, LARGEST_PX, SMALL_PX = (375, 500), (500, 500), (64, 64)  # of VOC's images; of a trial
FORWARD_AND_BACKWARD = 3  # a training step has the operations of three forward passes
WARM_UP = 3  # steps at least; at the third, a CUDA graph is recorded
OPTIMIZER_BYTES_PER_PARAMETER = 22  # a step reads and writes weight, gradient and momentum in float32, and casts
Size = tuple[int, int]


class Clock:
    """A training's observer that looks at the clock once the warm-up is over, and keeps nothing."""

    def __init__(self, device: torch.device, warm_up: int) -> None:
        self._device, self._left = device, warm_up
        self.began = 0.0
        self.said: list[str] = []

    def report(self, row: dict[str, float]) -> None:
        """Nobody is told."""

    def warn(self, message: str) -> None:
        """Random pictures teach nothing, and the loop says so; but it says more."""
        self.said.append(message)

    def save(self, *_: object) -> None:
        """Nothing is kept."""

    def save_is_due(self) -> bool:
        """Never."""
        self._left -= 1
        if self._left == 0:
            self.began = self._now()
        return False

    def must_stop(self) -> bool:
        """Never."""
        return False

    def _now(self) -> float:
        _wait_for(self._device)
        return time.perf_counter()


class InMemory:
    """Batches that are there already: the same random pictures and labels each time."""

    def __init__(self, batch: int, size: Size) -> None:
        random = torch.Generator().manual_seed(0)
        pictures = torch.randn(batch, 3, *size, generator=random)
        labels = torch.randint(21, (batch, *size), generator=random, dtype=torch.uint8)
        if torch.cuda.is_available():  # as a loader's thread leaves them
            pictures, labels = pictures.pin_memory(), labels.pin_memory()
        self._batch: Batch = {"rgb": pictures}, {"semantic": labels}

    def __getitem__(self, draw: int) -> Batch:
        return self._batch


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def recipe(batch: int, precision: str, iterations: int) -> Recipe:
    """Steps as the papers take them, whose rate is of no interest."""
    return Recipe(
        trained="all",
        batch=batch,
        accumulation=1,
        momentum=0.9,
        rate=1e-6,
        bias_rate=2,
        decay=5e-4,
        loss="mean",
        iterations=iterations,
        precision=cast(Any, precision),
    )


def flop(net: Net, batch: int, size: Size) -> int:
    """Operations of one forward pass."""
    with torch.device("meta"):
        built = FCN(net)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        built({name: torch.empty(batch, CHANNELS[name], *size, device="meta") for name in net.inputs})
    return int(counter.get_total_flops())


def ceilings(device: torch.device) -> dict[str, float]:
    """Operations a second of a large bfloat16 product, and bytes a second of a large copy, read and written."""
    side = 8192 if device.type == "cuda" else 512
    one, other = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    source = torch.randn(side * side * 4, device=device)
    target = torch.empty_like(source)
    product = _seconds(lambda: torch.matmul(one, other), device)
    copy = _seconds(lambda: target.copy_(source), device)
    return {"flop_per_second": 2 * side**3 / product, "bytes_per_second": 2 * source.nbytes / copy}


def _seconds(work: Callable[[], object], device: torch.device, *, count: int = 10) -> float:
    for _ in range(3):
        work()
    _wait_for(device)
    began = time.perf_counter()
    for _ in range(count):
        work()
    _wait_for(device)
    return (time.perf_counter() - began) / count


def stepped(net: Net, chosen: Recipe, size: Size, *, device: torch.device, graphs: bool) -> Mapping[str, Any]:
    """Seconds a step of the training loop when no picture has to be read, and the peak of the GPU's memory."""
    _forget_peak(device)
    warm_up = max(WARM_UP, chosen.iterations // 3)
    clock = Clock(device, warm_up)
    batches = cast(Batches, InMemory(chosen.batch, size))
    train(FCN(net), batches, recipe=chosen, seed=0, device=device, workers=0, observer=clock, graphs=graphs)
    _wait_for(device)
    if left_off := [words for words in clock.said if "CUDA graphs" in words]:
        return {"error": left_off[0]}
    seconds = (time.perf_counter() - clock.began) / (chosen.iterations - warm_up)
    return {"seconds_per_step": seconds, "images_per_second": chosen.batch / seconds, "peak_bytes": _peak(device)}


def scored(net: Net, size: Size, *, device: torch.device, at_once: int, groups: int) -> Mapping[str, Any]:
    """Seconds that so many pictures of a size, answered at once and counted, take of those that lie in memory."""
    random = np.random.default_rng(0)
    inputs = {name: random.integers(1, 256, (*size, count), np.uint8) for name, count in CHANNELS.items()}
    labels = {target: random.integers(0, classes, size, np.uint8) for target, classes in net.heads.items()}
    samples = [Sample(inputs=inputs, labels=labels)] * at_once
    built = FCN(net).on(device).eval()
    prepared = {name: preset("caffe") for name in net.inputs}

    def work() -> None:
        histograms(
            built, samples * groups, preprocessing=prepared, device=device, at_once_px=at_once * size[0] * size[1]
        )

    seconds = _seconds(work, device, count=1) / groups
    return {"seconds_per_step": seconds, "images_per_second": at_once / seconds}


def _forget_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def _peak(device: torch.device) -> int | None:
    """The most memory of the GPU that was held since; of a CPU, benchmarks/memory.py measures it."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None


def _parameters(net: Net) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in FCN(net).parameters())


def rows(config: Config, *, device: torch.device, quick: bool) -> Iterator[Mapping[str, Any]]:
    """One row a measurement, as it is made. A floor is operations and, of a step, the optimizer's traffic of memory."""
    ceiling = ceilings(device)
    yield {"what": "ceiling", **ceiling}
    usual, largest = (SMALL_PX, SMALL_PX) if quick else (USUAL_PX, LARGEST_PX)
    plain = {title: net for title, net in config.nets.items() if not net.scales and net.upsampling == "fixed"}
    nets = {title: net for title, net in plain.items() if net.heads == {"semantic": 21}}  # others take the same time
    for title, net in list(nets.items())[: 1 if quick else None]:
        _forget_peak(device)
        timed = summary(seconds_per_image(FCN(net), device=device, side_px=largest[0]))
        about = {"what": "forward", "net": title, "size": largest, "peak_bytes": _peak(device)}
        operations = flop(net, 1, largest)
        share = operations / ceiling["flop_per_second"] / timed["median"]
        yield {**about, "flop": operations, "share": share, "share_of_floor": share, **timed}
        for at_once in (1, max(2, AT_ONCE_PX // (usual[0] * usual[1])))[: 1 if quick else None]:
            about = {"what": "scoring", "net": title, "batch": at_once, "size": usual, "precision": "float32"}
            yield {**about, **scored(net, usual, device=device, at_once=at_once, groups=1 if quick else 8)}
        settings = [(1, usual, "bfloat16", 90), (20, largest, "bfloat16", 24)]
        if "vgg16" in title and not net.taps:
            settings.append((1, usual, "float32", 30))
        for (batch, size, precision, iterations), graphs in itertools.product(settings, (False, True)):
            about = {"what": "training", "net": title, "batch": batch, "size": size, "precision": precision}
            about["graphs"] = graphs
            chosen = recipe(batch, precision, 2 * WARM_UP if quick else iterations)
            try:
                measured = stepped(net, chosen, size, device=device, graphs=graphs)
            except Exception as error:
                if not out_of_memory(error):
                    raise
                measured = {"error": "out of memory"}
            if "error" in measured:
                yield {**about, **measured}
                continue
            operations = FORWARD_AND_BACKWARD * flop(net, batch, size)
            in_passes = operations / ceiling["flop_per_second"]
            in_step = OPTIMIZER_BYTES_PER_PARAMETER * _parameters(net) / ceiling["bytes_per_second"]
            shares = {
                "share": in_passes / measured["seconds_per_step"],
                "share_of_floor": (in_passes + in_step) / measured["seconds_per_step"],
            }
            yield {**about, "flop": operations, **shares, **measured}


def profiled(net: Net, batch: int, size: Size, *, device: torch.device) -> str:
    """Where the time of three training steps goes, by operation."""
    batches = cast(Batches, InMemory(batch, size))

    def work() -> None:
        built, clock = FCN(net).on(device), Clock(device, 0)
        chosen = recipe(batch, "bfloat16", 3)
        train(built, batches, recipe=chosen, seed=0, device=device, workers=0, observer=clock)

    work()
    on_gpu = device.type == "cuda"
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]) as found:
        work()
    by = "self_cuda_time_total" if on_gpu else "self_cpu_time_total"
    return f"batch {batch} of {size}\n{found.key_averages().table(sort_by=by, row_limit=40)}\n"


def page(found: Mapping[str, Any]) -> str:
    """What was measured, as Markdown."""
    ceiling, *measured = found["rows"]
    shares = {"share": "share of the ceiling"}
    if all("share_of_floor" in row for row in measured if "share" in row):  # the first measurements had none
        shares["share_of_floor"] = "share of the floor"
    lines = []
    for row in measured:
        batch, precision = row.get("batch", 1), row.get("precision", "bfloat16")
        height, width = row["size"]
        what = f"{row['what']}, batch {batch}, {width} x {height} px, {precision}"
        what += ", CUDA graphs" if row.get("graphs") else ""
        seconds = row.get("seconds_per_step", row.get("median"))
        if seconds is None:
            lines.append([row["net"], what, row["error"], "", *[""] * len(shares), ""])
            continue
        of = [f"{row[key]:.1%}" if precision == "bfloat16" else "" for key in shares]
        peak = f"{row['peak_bytes'] / 1e9:.1f}" if row.get("peak_bytes") else ""
        lines.append([row["net"], what, f"{1e3 * seconds:.1f}", f"{batch / seconds:.0f}", *of, peak])
    head = ["net", "what", "ms", "images a second", *shares.values(), "GPU memory (GB)"]
    grid = Grid(title="How fast", head=head, lines=lines, left=["what"])
    return "\n".join(
        (
            f"# How fast: {found['device']}\n",
            "Made by `python -m benchmarks.gpu.speed`; no number here is typed. Full-width nets with a border of"
            " 100 px, as in the papers. *Forward* is the papers' protocol, the median of 20; *training* is a step of"
            " the project's loop with pictures that lie in memory.\n",
            f"{found['device']}, torch {found['torch']}, cuDNN {found['cudnn']}, Python {found['python']}."
            f" The ceiling, measured in the same run: {ceiling['flop_per_second'] / 1e12:.0f} TFLOP/s in bfloat16"
            f" matrix products, {ceiling['bytes_per_second'] / 1e12:.1f} TB/s copied.\n",
            grid.markdown(),
        )
    )


def measure(out: Path, *, quick: bool, steps: Path | None) -> None:
    """Write the rates into `out` and, where asked for, the profile of a few steps into `steps`."""
    device, config = chosen_device(), load(QUICK if quick else PAPER)
    found: dict[str, Any] = {
        "device": name(device),
        "torch": torch.__version__,
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
        "python": platform.python_version(),
        "load_average": load_average(),
        "rows": [],
    }
    for row in rows(config, device=device, quick=quick):
        found["rows"].append(row)
        print(json.dumps(row), flush=True)
        out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if steps is not None:
        net = next(iter(config.nets.values()))
        settings = [(1, SMALL_PX)] if quick else [(1, USUAL_PX), (20, LARGEST_PX)]
        text = "\n".join(profiled(net, batch, size, device=device) for batch, size in settings)
        steps.write_text(text, encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--out", type=Path, help="measure, into this file")
    group.add_argument("--page", type=Path, help="print a measured file as Markdown")
    parser.add_argument("--profile", type=Path, help="where the time of a step goes, into this file")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args(arguments)
    if given.page is not None:
        print(page(json.loads(given.page.read_text(encoding="utf-8"))))
    else:
        measure(given.out, quick=given.quick, steps=given.profile)


if __name__ == "__main__":
    main()
