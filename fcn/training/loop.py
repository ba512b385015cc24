"""The training loop: batch, loss, backward, step, report, save (CVPR section 4.3)."""

import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from fcn.entries import Recipe
from fcn.errors import StageFailure
from fcn.machine import out_of_memory
from fcn.nets.fcn import FCN
from fcn.training import losses, watchdog
from fcn.training.batches import Batch, Batches
from fcn.training.losses import Loss, valid_pixels
from fcn.training.optimizer import rate_at, set_rate, sgd
from fcn.training.parallel import ALONE, Ranks
from fcn.training.resume import Progress
from fcn.training.seeds import iteration_seed

_REPORTS = 200

Score = Callable[[dict[str, Tensor]], Mapping[str, float]]


class Interrupted(Exception):
    """The training was asked to stop; its state is saved."""


class Observer(Protocol):
    """Who is told of a training, and told to keep its state."""

    def report(self, row: dict[str, float]) -> None:
        """Iteration, images, and either rate and mean loss a pixel since the last such row, or scores on the way."""

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
    recipe: Recipe,
    seed: int,
    device: torch.device,
    workers: int,
    observer: Observer,
    saved: tuple[Progress, dict[str, Tensor], dict[str, object]] | None = None,
    score: Score | None = None,
    ranks: Ranks = ALONE,
) -> Progress:
    """Train `net` in place from where `saved` stands, or from the start, and return how it went.

    Every random draw comes from (seed, iteration), so that a training that was stopped and resumed equals one that
    was not, to the bit on a CPU. Raises Interrupted once the observer wants a stop and the state is saved.
    `score` gives the metrics of the net of these tensors, `mean_iu` among them, to a recipe with `score_every`. It is
    called when the state is saved, so that what it raises, as at a wish to stop, costs no training.
    Of several processes that train one net, `ranks`, each runs this loop, from the same net and state.
    """
    net.on(device)
    net.train()
    optimizer = sgd(net, recipe)
    progress = Progress(history=[])
    if saved is not None:
        progress, net_state, optimizer_state = saved
        net.load_state_dict(net_state)
        optimizer.load_state_dict(optimizer_state)
    objective = losses.load(recipe.loss)
    every = max(1, recipe.iterations // _REPORTS)
    draws = _draws(batches, ranks.draws(range(progress.iteration, recipe.iterations), recipe), workers)
    began = time.monotonic() - progress.seconds
    loss_sum, pixels = torch.zeros((), device=device), torch.zeros((), dtype=torch.int64, device=device)
    loss_sum += progress.loss_sum
    pixels += progress.pixels

    _score_if_due(net, progress, recipe=recipe, score=score, observer=observer)  # of one that was stopped in its middle
    while progress.iteration < recipe.iterations:
        rate = rate_at(progress.iteration, recipe)
        set_rate(optimizer, rate)
        passes = [next(draws) for _ in range(ranks.passes(recipe))]
        step_loss, step_pixels, scores = _gradients_that_fit(
            net,
            passes,
            optimizer,
            loss=objective,
            recipe=recipe,
            seed=seed,
            device=device,
            progress=progress,
            observer=observer,
            ranks=ranks,
        )
        gradients = [parameter.grad for parameter in net.parameters() if parameter.grad is not None]
        ranks.add([*gradients, step_loss, step_pixels])
        if recipe.clip is not None:
            torch.nn.utils.clip_grad_norm_(net.parameters(), recipe.clip)
        optimizer.step()
        progress.iteration += 1
        loss_sum += step_loss
        pixels += step_pixels

        if progress.iteration % every == 0 or progress.iteration == recipe.iterations:
            loss = float(loss_sum) / max(int(pixels), 1)
            watchdog.check_finite(loss, iteration=progress.iteration, rate=rate)
            done = progress.iteration / recipe.iterations
            warnings = [watchdog.stuck(loss, heads=net.net.heads, done=done)]
            if progress.iteration % (every * 20) == 0:
                warnings.append(watchdog.one_answer(scores, done=done))
            for warning in filter(None, warnings):
                observer.warn(warning)
            row = {**_reached(progress, recipe), "loss": loss, "rate": rate}
            progress.history.append(row)
            observer.report(row)
            loss_sum.zero_()
            pixels.zero_()
        stopping = observer.must_stop()
        if stopping or observer.save_is_due() or _score_is_due(progress, recipe):
            progress.loss_sum, progress.pixels = float(loss_sum), int(pixels)
            progress.seconds = time.monotonic() - began
            watchdog.check_finite(progress.loss_sum, iteration=progress.iteration, rate=rate)
            watchdog.check_weights(net, iteration=progress.iteration, rate=rate)
            observer.save(progress, net, optimizer)
        if stopping and progress.iteration < recipe.iterations:
            raise Interrupted(f"stopped after iteration {progress.iteration} of {recipe.iterations}")
        _score_if_due(net, progress, recipe=recipe, score=score, observer=observer)
    watchdog.check_weights(net, iteration=progress.iteration, rate=rate_at(progress.iteration, recipe))
    progress.seconds = time.monotonic() - began
    return progress


def _reached(progress: Progress, recipe: Recipe) -> dict[str, float]:
    images = progress.iteration * recipe.batch * recipe.accumulation
    return {"iteration": progress.iteration, "images": images}


def _score_is_due(progress: Progress, recipe: Recipe) -> bool:
    """Every so many iterations, as in the release's solve.py, and after the last; each time once."""
    at = progress.iteration
    every = recipe.score_every
    return every is not None and at > progress.scored and (at % every == 0 or at == recipe.iterations)


def _score_if_due(net: FCN, progress: Progress, *, recipe: Recipe, score: Score | None, observer: Observer) -> None:
    """Add a row with the metrics of the net as it is; of equally good ones, the earliest is the best."""
    if not _score_is_due(progress, recipe):
        return
    assert score is not None
    state = net.state_dict()
    row = {**_reached(progress, recipe), **score(state)}
    if recipe.keep == "best" and all(row["mean_iu"] > before.get("mean_iu", -1) for before in progress.history):
        progress.best = {name: tensor.to("cpu", copy=True) for name, tensor in state.items()}
    progress.history.append(row)
    progress.scored = progress.iteration
    observer.report(row)


def _gradients_that_fit(
    net: FCN,
    passes: Sequence[Batch],
    optimizer: torch.optim.SGD,
    *,
    loss: Loss,
    recipe: Recipe,
    seed: int,
    device: torch.device,
    progress: Progress,
    observer: Observer,
    ranks: Ranks,
) -> tuple[Tensor, Tensor, Tensor]:
    """What `_gradients` does and gives, in pieces as fine as the memory asks for; `progress` keeps how fine."""
    while True:
        # Inside the retry: a pass that ran out of memory has drawn dropout already, and the next try has to draw
        # the same again.
        torch.manual_seed(iteration_seed(seed, progress.iteration, rank=ranks.rank))
        short = False
        try:
            found = _gradients(
                net,
                passes,
                optimizer,
                loss=loss,
                recipe=recipe,
                device=device,
                split=progress.split,
                ranks=ranks,
            )
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            short = True
        if recipe.on_oom == "accumulate":  # where one of several has too little, all cut their passes
            short = bool(ranks.largest(short))
        if not short:
            return found
        # Outside of the handler: as long as the error lives, its frames hold what the failed pass had allocated.
        progress.split = _finer_split(progress.split, recipe)
        torch.cuda.empty_cache()
        observer.warn(f"out of memory: from here on every pass is cut into {progress.split}")


def _gradients(
    net: FCN,
    passes: Sequence[Batch],
    optimizer: torch.optim.SGD,
    *,
    loss: Loss,
    recipe: Recipe,
    device: torch.device,
    split: int,
    ranks: Ranks = ALONE,
) -> tuple[Tensor, Tensor, Tensor]:
    """Leave one step's gradients in the net's parameters; summed loss, valid pixels and a last map of coarse scores.

    A pass that is cut into `split` pieces gives the same gradients: the loss is summed over each piece and only then
    divided, by the whole pass's normaliser; so are the rows of several processes. Heads learn together: their losses
    add.
    """
    optimizer.zero_grad(set_to_none=True)
    loss_sum = torch.zeros((), device=device)
    pixels = torch.zeros((), dtype=torch.int64, device=device)
    scores = torch.empty(0)
    for images, truths in passes:
        inputs = {
            name: image.to(device, non_blocking=True, memory_format=torch.channels_last)
            for name, image in images.items()
        }
        labels = {target: truths[target].to(device, non_blocking=True) for target in net.net.heads}
        divisors = {target: loss.normaliser(truth) * recipe.accumulation for target, truth in labels.items()}
        inputs, labels = ranks.rows(inputs, recipe), ranks.rows(labels, recipe)
        pieces = zip(_pieces(inputs, split), _pieces(labels, split), strict=True)
        for input_piece, label_piece in pieces:
            with autocast(device, recipe.precision):
                coarse = net.coarse_scores(input_piece)
            parts = {
                target: losses.summed_over_pixels(loss, net.head(target), coarse[target], truth, plain=net.plain)
                for target, truth in label_piece.items()
            }
            torch.autograd.backward([part / divisors[target] for target, part in parts.items()])
            for part in parts.values():
                loss_sum += part.detach()
            target, truth = next(iter(label_piece.items()))
            scores = net.head(target).inside(coarse[target].detach(), (truth.shape[1], truth.shape[2]))
        for truth in labels.values():
            pixels += valid_pixels(truth)
    return loss_sum, pixels, scores


def _pieces(tensors: Mapping[str, Tensor], split: int) -> list[dict[str, Tensor]]:
    """The same tensors, cut into as many along N."""
    chunks = [tensor.chunk(split) for tensor in tensors.values()]
    return [dict(zip(tensors, piece, strict=True)) for piece in zip(*chunks, strict=True)]


def autocast(device: torch.device, precision: str) -> "torch.autocast | nullcontext[None]":
    """The trunk in bfloat16 where the recipe says so; master weights, scores and loss stay float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16) if precision == "bfloat16" else nullcontext()


def _finer_split(split: int, recipe: Recipe) -> int:
    if recipe.on_oom == "accumulate" and split < recipe.batch:
        return min(split * 2, recipe.batch)
    advice = (
        "set on_oom: accumulate for this recipe, which cuts a pass into pieces and keeps the effective batch"
        if split < recipe.batch
        else "train on crops (crop:), or with precision: bfloat16"
    )
    raise StageFailure(f"out of memory with {recipe.batch // split} images in a pass; {advice}")


def _draws(batches: Batches, numbers: range, workers: int) -> Iterator[Batch]:
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
