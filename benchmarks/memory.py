"""How much memory a forward pass and a training step take beside the weights, on a CPU.

    python -m benchmarks.memory [--quick] [--threads 1]

Each is measured in a process of its own: the most that it held while it worked, over what it held before. A step's
gradients and momentum count.
"""

import argparse
import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from benchmarks import speed_head
from benchmarks.gpu.speed import LARGEST_PX, PAPER, QUICK, SMALL_PX, USUAL_PX, Clock, Size, recipe
from benchmarks.pairs import Row
from fcn.config import load
from fcn.grid import Grid
from fcn.nets.fcn import FCN
from fcn.shape import Net
from fcn.training.batches import Batch, Batches
from fcn.training.loop import train
from fcn.training.step import autocast

MIB = 2**20
LARGE_PX, BOUND = (3000, 4000), 1024 * MIB
NETS = ("fcn32s-alexnet", "fcn32s-googlenet", "fcn32s-vgg16", "fcn16s-vgg16", "fcn8s-vgg16")


def held_over(work: Callable[[], object]) -> int:
    """Bytes that this process held at most while the work was done, over what it held before. Linux only."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak is what is held now (man proc)
    before = _status("VmRSS")
    work()
    return _status("VmHWM") - before


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


class SmallFirst:
    """Batches of one picture: a small one, after which the optimizer has its momentum, then one of the size."""

    def __init__(self, size: Size) -> None:
        self._size = size

    def __getitem__(self, draw: int) -> Batch:
        size = self._size if draw else (32, 32)
        return {"rgb": torch.zeros(1, 3, *size)}, {"semantic": torch.zeros(1, *size, dtype=torch.uint8)}


def of_net(shape: Net, size: Size, precision: str, *, training: bool, threads: int) -> int:
    """Bytes over its weights that a net of this shape holds at most."""
    torch.set_num_threads(threads)
    with torch.device("meta"):
        net = FCN(shape)
    net = net.to_empty(device="cpu").on(speed_head.CPU)
    for parameter in net.parameters():
        bound = (6 / parameter[0].numel()) ** 0.5 if parameter.ndim > 1 else 0.0
        nn.init.uniform_(parameter, -bound, bound)
    for buffer in net.buffers():
        nn.init.ones_(buffer)
    if training:
        return held_over(lambda: _train(net, SmallFirst(size), precision, iterations=2))
    inputs = {"rgb": torch.zeros(1, 3, *size).contiguous(memory_format=torch.channels_last)}
    net.eval()
    with autocast(speed_head.CPU, precision):
        return held_over(lambda: net.predict(inputs))


def of_head(size: Size, *, whose: str, threads: int) -> int:
    """Bytes over the coarse scores that upsampling with the loss, forward and backward, holds at most."""
    torch.set_num_threads(threads)

    def work(size: Size) -> Callable[[], object]:
        net, batches, theirs = speed_head.loss_works(size)
        return theirs if whose == "torchfcn" else lambda: _train(net, batches, "float32", iterations=1)

    work((40, 40))()  # what is loaded once is none of its memory
    return held_over(work(size))


def _train(net: FCN, batches: object, precision: str, *, iterations: int) -> None:
    chosen, clock = replace(recipe(1, precision, iterations), rate=1e-20), Clock(speed_head.CPU, 0)
    several = cast(Batches, batches)
    train(net, several, recipe=chosen, seed=0, device=speed_head.CPU, workers=0, observer=clock)


def alone(work: Callable[..., int], *arguments: Any, **named: Any) -> int | None:
    """What the work says in a process of its own, or None if that was killed, as where memory ran out."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.memory"])
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        try:
            return pool.submit(work, *arguments, **named).result()
        except BrokenProcessPool:
            return None


def nets(sizes: Sequence[Size], *, quick: bool, threads: int) -> Iterator[Mapping[str, Any]]:
    """A line for each net, size and precision, as it is measured: bytes of a forward pass and of a training step."""
    shapes = load(QUICK if quick else PAPER).nets
    for name in ("fcn32s-vgg16",) if quick else NETS:
        for size in sizes:
            for precision in ("float32", "bfloat16"):
                forward, step = (
                    alone(of_net, shapes[name], size, precision, training=training, threads=threads)
                    for training in (False, True)
                )
                yield {"net": name, "size": size, "precision": precision, "forward": forward, "step": step}


def head(size: Size, *, threads: int) -> Row:
    """What upsampling with the loss holds beside the coarse scores, ours and torchfcn's."""
    ours, theirs = (alone(of_head, size, whose=whose, threads=threads) for whose in ("ours", "torchfcn"))
    assert ours is not None
    assert theirs is not None
    return Row(
        benchmark=f"upsample + loss, FCN-32s, {size[1]} x {size[0]} px, extra memory",
        peer="torchfcn",
        unit="MiB",
        ours=(ours / MIB,),
        theirs=(theirs / MIB,),
        target=15,
    )


def large(*, threads: int) -> Row:
    """What a picture of 12 megapixels takes, beside what it may."""
    height, width = LARGE_PX
    benchmark = f"FCN-8s VGG16, {width} x {height} px, forward, bfloat16, memory over the weights"
    found = alone(of_net, load(PAPER).nets["fcn8s-vgg16"], LARGE_PX, "bfloat16", training=False, threads=threads)
    if found is None:
        return Row(benchmark=benchmark, peer="1 GiB", target=1, missing="the process was killed: too little memory")
    return Row(benchmark=benchmark, peer="1 GiB", unit="MiB", ours=(found / MIB,), theirs=(BOUND / MIB,), target=1)


def table(lines: Sequence[Mapping[str, Any]]) -> Grid:
    """What was measured, a line each."""
    cells = [
        [
            line["net"],
            f"{line['size'][1]} x {line['size'][0]}",
            line["precision"],
            *("killed" if line[kind] is None else f"{line[kind] / MIB:,.0f}" for kind in ("forward", "step")),
        ]
        for line in lines
    ]
    head = ["net", "picture (px)", "precision", "forward (MiB)", "training step (MiB)"]
    return Grid(title="Memory over the weights", head=head, lines=cells, left=["picture (px)", "precision"])


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a trial at a small size")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args(arguments)
    sizes = [SMALL_PX] if given.quick else [USUAL_PX, LARGEST_PX]
    print(table(list(nets(sizes, quick=given.quick, threads=given.threads))).markdown(), end="")


if __name__ == "__main__":
    main()
