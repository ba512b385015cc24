"""The training loop: batch, loss, backward, step, report, save (CVPR section 4.3)."""

import hashlib
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from fcn.config import Solver
from fcn.errors import StageFailure
from fcn.nets.fcn import FCN
from fcn.training import watchdog
from fcn.training.batches import Batches
from fcn.training.loss import normaliser, summed_loss, valid_pixels
from fcn.training.optimizer import rate_at, set_rate, sgd
from fcn.training.resume import Progress

_REPORTS = 200


class Interrupted(Exception):
    """The training was asked to stop; its state is saved."""


class Observer(Protocol):
    """Who is told of a training, and told to keep its state."""

    def report(self, row: dict[str, float]) -> None:
        """Iteration, images, rate and mean loss a pixel since the last row."""

    def warn(self, message: str) -> None:
        """Something looks wrong, but may come right."""

    def save(self, progress: Progress, net: FCN, optimizer: torch.optim.SGD) -> None:
        """Keep the state."""

    def save_is_due(self) -> bool:
        """Whether it is time to save."""

    def must_stop(self) -> bool:
        """Whether to save and stop."""


def train(
    net: FCN,
    batches: Batches,
    *,
    solver: Solver,
    seed: int,
    device: torch.device,
    workers: int,
    observer: Observer,
    saved: tuple[Progress, dict[str, Tensor], dict[str, object]] | None = None,
) -> Progress:
    """Train `net` in place from where `saved` stands, or from the start, and return how it went.

    Every random draw comes from (seed, iteration), so that a training that was stopped and resumed equals one that
    was not, to the bit on a CPU. Raises Interrupted once the observer wants a stop and the state is saved.
    """
    net.on(device)
    net.train()
    optimizer = sgd(net, solver)
    progress = Progress(history=[])
    if saved is not None:
        progress, net_state, optimizer_state = saved
        net.load_state_dict(net_state)
        optimizer.load_state_dict(optimizer_state)
    classes = net.score_fr.out_channels
    every = max(1, solver.iterations // _REPORTS)
    draws = _draws(
        batches, range(progress.iteration * solver.accumulation, solver.iterations * solver.accumulation), workers
    )
    began = time.monotonic() - progress.seconds
    loss_sum, pixels = torch.zeros((), device=device), torch.zeros((), dtype=torch.int64, device=device)
    loss_sum += progress.loss_sum
    pixels += progress.pixels

    while progress.iteration < solver.iterations:
        rate = rate_at(progress.iteration, solver)
        set_rate(optimizer, rate)
        passes = [next(draws) for _ in range(solver.accumulation)]
        while True:
            torch.manual_seed(iteration_seed(seed, progress.iteration))
            try:
                step_loss, step_pixels, scores = _gradients(
                    net, passes, optimizer, solver=solver, device=device, split=progress.split
                )
                break
            except torch.OutOfMemoryError:
                progress.split = _finer_split(progress.split, solver)
                torch.cuda.empty_cache()
                observer.warn(f"out of memory: from here on every pass is cut into {progress.split}")
        if solver.clip is not None:
            torch.nn.utils.clip_grad_norm_(net.parameters(), solver.clip)
        optimizer.step()
        progress.iteration += 1
        loss_sum += step_loss
        pixels += step_pixels

        if progress.iteration % every == 0 or progress.iteration == solver.iterations:
            loss = float(loss_sum) / max(int(pixels), 1)
            watchdog.check_finite(loss, iteration=progress.iteration, rate=rate)
            done = progress.iteration / solver.iterations
            foreground = float((scores.argmax(1) > 0).float().mean()) if progress.iteration % (every * 20) == 0 else 1.0
            for warning in (
                watchdog.stuck(loss, classes=classes, done=done),
                watchdog.all_background(foreground, done=done),
            ):
                if warning is not None:
                    observer.warn(warning)
            images = progress.iteration * solver.batch * solver.accumulation
            row = {"iteration": progress.iteration, "images": images, "loss": loss, "rate": rate}
            progress.history.append(row)
            observer.report(row)
            loss_sum.zero_()
            pixels.zero_()
        stopping = observer.must_stop()
        if stopping or observer.save_is_due():
            progress.loss_sum, progress.pixels = float(loss_sum), int(pixels)
            progress.seconds = time.monotonic() - began
            watchdog.check_finite(progress.loss_sum, iteration=progress.iteration, rate=rate)
            watchdog.check_weights(net, iteration=progress.iteration, rate=rate)
            observer.save(progress, net, optimizer)
        if stopping and progress.iteration < solver.iterations:
            raise Interrupted(f"stopped after iteration {progress.iteration} of {solver.iterations}")
    watchdog.check_weights(net, iteration=progress.iteration, rate=rate_at(progress.iteration, solver))
    progress.seconds = time.monotonic() - began
    return progress


def _gradients(
    net: FCN,
    passes: Sequence[tuple[Tensor, Tensor]],
    optimizer: torch.optim.SGD,
    *,
    solver: Solver,
    device: torch.device,
    split: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Leave one step's gradients in the net's parameters; summed loss, valid pixels and the last scores are returned.

    A pass that is cut into `split` pieces gives the same gradients: the normaliser is the whole pass's.
    """
    optimizer.zero_grad(set_to_none=True)
    loss_sum = torch.zeros((), device=device)
    pixels = torch.zeros((), dtype=torch.int64, device=device)
    scores = torch.empty(0)
    for images, labels in passes:
        images = images.to(device, non_blocking=True, memory_format=torch.channels_last)
        labels = labels.to(device, non_blocking=True)
        divisor = normaliser(labels, solver.loss) * solver.accumulation
        for image_piece, label_piece in zip(images.chunk(split), labels.chunk(split), strict=True):
            with autocast(device, solver.precision):
                scores = net(image_piece)
            loss = summed_loss(scores, label_piece)
            torch.autograd.backward(loss / divisor)
            loss_sum += loss.detach()
        pixels += valid_pixels(labels)
    return loss_sum, pixels, scores.detach()


def autocast(device: torch.device, precision: str) -> "torch.autocast | nullcontext[None]":
    """bfloat16 where the solver says so; master weights, scores and loss stay float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16) if precision == "bfloat16" else nullcontext()


def _finer_split(split: int, solver: Solver) -> int:
    if solver.on_oom == "accumulate" and split < solver.batch:
        return min(split * 2, solver.batch)
    advice = (
        "set on_oom: accumulate for this solver, which cuts a pass into pieces and keeps the effective batch"
        if split < solver.batch
        else "train on crops (crop:), or with precision: bfloat16"
    )
    raise StageFailure(f"out of memory with {solver.batch // split} images in a pass; {advice}")


def iteration_seed(seed: int, iteration: int) -> int:
    """A 63-bit seed for the draws of one iteration (dropout)."""
    return int.from_bytes(hashlib.sha256(f"{seed} {iteration}".encode()).digest()[:8], "big") >> 1


def _draws(batches: Batches, numbers: range, workers: int) -> Iterator[tuple[Tensor, Tensor]]:
    loader = DataLoader(
        batches,
        batch_size=None,
        sampler=numbers,
        num_workers=workers,
        worker_init_fn=_leave_signals_to_the_trainer,
        pin_memory=torch.cuda.is_available(),
        persistent_workers=False,
    )
    return iter(loader)


def _leave_signals_to_the_trainer(_worker: int) -> None:
    """A signal to the whole process group would end the loader processes, and with them the trainer before it saves."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
