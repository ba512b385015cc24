"""The training loop: batch, loss, backward, step, report, save (CVPR section 4.3)."""

import signal
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from fcn.entries import Recipe
from fcn.nets.fcn import FCN
from fcn.training import losses, watchdog
from fcn.training.batches import Batch, Batches
from fcn.training.graphs import Graphs
from fcn.training.optimizer import go_on, rate_at, set_rate, sgd
from fcn.training.parallel import ALONE, Ranks
from fcn.training.resume import Progress
from fcn.training.step import Step

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
    graphs: bool = False,
) -> Progress:
    """Train `net` in place from where `saved` stands, or from the start, and return how it went.

    Every random draw comes from (seed, iteration), so that a training that was stopped and resumed equals one that
    was not, to the bit on a CPU. Raises Interrupted once the observer wants a stop and the state is saved.
    `score` gives the metrics of the net of these tensors, `mean_iu` among them, to a recipe with `score_every`. It is
    called when the state is saved, so that what it raises, as at a wish to stop, costs no training.
    Of several processes that train one net, `ranks`, each runs this loop, from the same net and state. With `graphs`
    one process launches passes as CUDA graphs where the loss is `recordable`, which on a CPU does the same to the bit.
    """
    net.on(device)
    net.train()
    optimizer = sgd(net, recipe)
    progress = Progress(history=[])
    if saved is not None:
        progress, net_state, optimizer_state = saved
        net.load_state_dict(net_state)
        go_on(optimizer, optimizer_state)
    loss = losses.load(recipe.loss)
    recorded = Graphs(device, on=graphs and ranks.count == 1 and losses.is_recordable(loss), warn=observer.warn)
    step = Step(net=net, optimizer=optimizer, loss=loss, recipe=recipe, device=device, ranks=ranks, graphs=recorded)
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
        scores = step.gradients_that_fit(passes, progress=progress, seed=seed, warn=observer.warn)
        gradients = [parameter.grad for parameter in net.parameters() if parameter.grad is not None]
        ranks.add([*gradients, step.loss_sum, step.pixels])
        if recipe.clip is not None:
            torch.nn.utils.clip_grad_norm_(net.parameters(), recipe.clip)
        optimizer.step()
        progress.iteration += 1
        loss_sum += step.loss_sum
        pixels += step.pixels

        if progress.iteration % every == 0 or progress.iteration == recipe.iterations:
            mean_loss = float(loss_sum) / max(int(pixels), 1)
            watchdog.check_finite(mean_loss, iteration=progress.iteration, rate=rate)
            done = progress.iteration / recipe.iterations
            warnings = [watchdog.stuck(mean_loss, heads=net.net.heads, done=done)]
            if progress.iteration % (every * 20) == 0:
                warnings.append(watchdog.one_answer(scores, done=done))
            for warning in filter(None, warnings):
                observer.warn(warning)
            row = {**_reached(progress, recipe), "loss": mean_loss, "rate": rate}
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
