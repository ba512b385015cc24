"""What comes after the coarse scores: their upsampling, with the class of every pixel or with the loss."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from benchmarks import peers
from benchmarks.gpu.speed import Clock, Size, recipe
from benchmarks.pairs import Row, Wanted, measure, seconds_of
from fcn.datasets.labels import VOID
from fcn.nets.fcn import FCN
from fcn.shape import Backbone, Net
from fcn.training.batches import Batch, Batches
from fcn.training.loop import Interrupted, train
from fcn.training.resume import Progress

CPU = torch.device("cpu")
SMALLEST = Backbone(architecture="vgg16", width=1 / 64, fc=8, input_px=224, dropout=0)
SHAPE = Net(backbone=SMALLEST, inputs=("rgb",), heads={"semantic": 21}, taps=(), pad=100, upsampling="fixed")


class Given(FCN):
    """A net whose coarse scores are given: what remains of it is what comes after them."""

    def __init__(self, net: Net, scores: Tensor) -> None:
        super().__init__(net)
        self.given = nn.ParameterDict({"scores": scores})

    def coarse_scores(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The same for every picture."""
        return {"semantic": self.given["scores"]}


class Turns(Clock):
    """A training's observer that lets others have their turn after every step, A B C A B C, and ends it in time."""

    def __init__(self, others: Mapping[str, Callable[[], object]]) -> None:
        super().__init__(CPU, 0)
        self._others, self._wanted = others, Wanted()
        self._steps = 0
        self.found: dict[str, list[float]] = {"ours": [], **{name: [] for name in others}}
        self.loss = 0.0

    def save(self, *progress: object) -> None:
        """Keep the mean loss a pixel."""
        reached = cast(Progress, progress[0])
        self.loss = reached.loss_sum / reached.pixels

    def must_stop(self) -> bool:
        """Let the others compute, then look whether that was enough; the first of all steps only warms up."""
        seconds = self._now() - self.began
        self._steps += 1
        for name, work in self._others.items():
            reading = seconds_of(work)
            if self._steps > 1:
                self.found[name].append(reading)
        if self._steps > 1:
            self.found["ours"].append(seconds)
        else:
            self._wanted = Wanted()
        stop = not self._wanted.another()
        self.began = self._now()
        return stop


class OneBatch:
    """Batches that are all the same."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self._batch: Batch = {"rgb": images}, {"semantic": labels}

    def __getitem__(self, draw: int) -> Batch:
        return self._batch


def steps(
    net: FCN, batches: OneBatch, *, precision: str, others: Mapping[str, Callable[[], object]]
) -> tuple[dict[str, tuple[float, ...]], float]:
    """Seconds of a step of the project's loop and of each of the others' in turn, and the loop's mean loss a pixel."""
    turns, endless = Turns(others), replace(recipe(1, precision, 10**6), rate=1e-20, decay=0)
    try:
        train(net, cast(Batches, batches), recipe=endless, seed=0, device=CPU, workers=0, observer=turns)
    except Interrupted:
        return {name: tuple(readings) for name, readings in turns.found.items()}, turns.loss
    raise AssertionError("a training of a million steps has ended")


def coarse(net: Net, size: Size) -> tuple[int, int]:
    """How high and how wide the coarse scores of a picture are."""
    with torch.device("meta"), torch.inference_mode():
        found = FCN(net).coarse_scores({"rgb": torch.empty(1, 3, *size, device="meta")})["semantic"]
    return found.shape[2], found.shape[3]


def smooth(size: tuple[int, int]) -> Tensor:
    """Scores like a trained net's: from cell to cell mostly of one class."""
    random = torch.randn(1, 21, *(max(2, side // 6) for side in size), generator=torch.Generator().manual_seed(0))
    return 5 * interpolate(random, size=size, mode="bicubic")


def labels(size: Size) -> Tensor:
    """1 H W int64: patches of 21 classes, and a void border."""
    random = torch.randint(21, (1, 1, 4, 5), generator=torch.Generator().manual_seed(1))
    found = interpolate(random.float(), size=size)[0].long()
    found[:, :3] = VOID
    return found


def argmax_works(scores: Tensor, size: Size) -> dict[str, Callable[[], Tensor]]:
    """Ours, its definition and torchfcn's way, from the coarse scores of an FCN-8s to the class of every pixel."""
    net, inputs = Given(_shape(8), scores).on(CPU).eval(), {"rgb": torch.empty(1, 3, *size)}
    up = peers.upsampling(8)

    def theirs() -> Tensor:
        with torch.no_grad():
            found: Tensor = up(scores)[:, :, 31 : 31 + size[0], 31 : 31 + size[1]].contiguous()
        return found.max(1)[1]

    return {
        "ours": lambda: net.predict(inputs)["semantic"],
        "plain": lambda: net(inputs)["semantic"].argmax(1),
        "torchfcn": theirs,
    }


def loss_works(size: Size) -> tuple[Given, OneBatch, Callable[[], float]]:
    """From coarse scores of an FCN-32s to loss and gradient: for the loop, and torchfcn's way, to the mean loss."""
    scores, truth = smooth(coarse(_shape(32), size)), labels(size)
    net = Given(_shape(32), scores.clone())
    images = torch.zeros(1, 3, *size).contiguous(memory_format=torch.channels_last)  # as the loop would make them
    leaf, up = scores.clone().requires_grad_(), peers.upsampling(32)
    theirs_truth = truth.where(truth != VOID, -1)

    def theirs() -> float:
        leaf.grad = None
        found = up(leaf)[:, :, 19 : 19 + size[0], 19 : 19 + size[1]].contiguous()
        loss = peers.loss(found, theirs_truth)
        torch.autograd.backward(loss)
        return float(loss.detach()) / float((theirs_truth >= 0).sum())

    return net, OneBatch(images, truth), theirs


def rows(size: Size) -> Iterator[Row]:
    """Upsampling with argmax on scores of two kinds, and with the loss."""
    height, width = size
    cells = coarse(_shape(8), size)
    noise = torch.randn(1, 21, *cells, generator=torch.Generator().manual_seed(0))
    for kind, scores, target in (("like a trained net's", smooth(cells), 25), ("noise", noise, None)):
        works = argmax_works(scores, size)
        title = f"upsample + argmax, FCN-8s, {width} x {height} px, scores {kind}"
        row = measure(title, works["ours"], works["torchfcn"], peer_name="torchfcn", target=target)
        yield agreement(row, works["ours"](), works["plain"](), least=1)
    net, batches, peer = loss_works(size)
    found, ours = steps(net, batches, precision="float32", others={"torchfcn": peer})
    theirs = peer()
    off = abs(ours - theirs) / theirs
    yield Row(
        benchmark=f"upsample + loss, forward and backward, FCN-32s, {width} x {height} px",
        peer="torchfcn",
        ours=found["ours"],
        theirs=found["torchfcn"],
        target=20,
        equality=f"losses differ by {off:.0e} of theirs",
        equal=off < 1e-5,
    )


def agreement(row: Row, labels: Tensor, plain: Tensor, *, least: float) -> Row:
    """The row with the share of pixels of which the plain path says the same."""
    share = float((labels == plain).double().mean())
    return replace(row, equality=f"labels of the plain path on {share:.4%} of pixels", equal=share >= least)


def _shape(stride: int) -> Net:
    return SHAPE if stride == 32 else replace(SHAPE, taps=(16, 8))
