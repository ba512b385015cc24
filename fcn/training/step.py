"""The gradients of one step: batch, loss, backward, in pieces as fine as the memory asks for (CVPR section 4.3)."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from fcn.entries import Recipe
from fcn.errors import StageFailure
from fcn.machine import out_of_memory
from fcn.nets.fcn import FCN
from fcn.training import losses
from fcn.training.batches import Batch
from fcn.training.graphs import Graphs
from fcn.training.losses import Loss, valid_pixels
from fcn.training.parallel import Ranks
from fcn.training.resume import Progress
from fcn.training.seeds import iteration_seed


@dataclass(slots=True, kw_only=True)
class Step:
    """What all steps of a training have in common; `loss_sum` and `pixels` are of the one whose gradients there are.

    They stay where they are, and so do gradients where passes are recorded as `graphs`.
    """

    net: FCN
    optimizer: torch.optim.SGD
    loss: Loss
    recipe: Recipe
    device: torch.device
    ranks: Ranks
    graphs: Graphs
    loss_sum: Tensor = field(init=False)
    pixels: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.loss_sum = torch.zeros((), device=self.device)
        self.pixels = torch.zeros((), dtype=torch.int64, device=self.device)

    def gradients_that_fit(
        self, passes: Sequence[Batch], *, progress: Progress, seed: int, warn: Callable[[str], None]
    ) -> Tensor:
        """What `gradients` does and gives, in pieces as fine as the memory asks for; `progress` keeps how fine."""
        while True:
            # Inside the retry: a pass that ran out of memory has drawn dropout already, and the next try has to draw
            # the same again.
            torch.manual_seed(iteration_seed(seed, progress.iteration, rank=self.ranks.rank))
            short = False
            try:
                scores = self.gradients(passes, split=progress.split)
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                short = True
            if self.recipe.on_oom == "accumulate":  # where one of several has too little, all cut their passes
                short = bool(self.ranks.largest(short))
            if not short:
                return scores
            # Outside of the handler: as long as the error lives, its frames hold what the failed pass had allocated.
            if self.graphs.on:  # what they hold may be what is missing
                self.graphs.leave_off("out of memory")
            else:
                progress.split = _finer_split(progress.split, self.recipe)
                warn(f"out of memory: from here on every pass is cut into {progress.split}")
            torch.cuda.empty_cache()

    def gradients(self, passes: Sequence[Batch], *, split: int) -> Tensor:
        """Leave the step's gradients in the net's parameters, and give a last map of coarse scores.

        A pass that is cut into `split` pieces gives the same gradients.
        """
        self.optimizer.zero_grad(set_to_none=not self.graphs.on)
        self.loss_sum.zero_()
        self.pixels.zero_()
        pass_ = partial(self._pass, split=split)
        scores = torch.empty(0)
        for images, truths in passes:
            scores = self.graphs.run(pass_, images, truths) if split == 1 else pass_(images, truths)
        return scores

    def _pass(self, images: Mapping[str, Tensor], truths: Mapping[str, Tensor], *, split: int) -> Tensor:
        """Add a pass's gradients, loss and valid pixels to what there is; a last map of coarse scores.

        The loss is summed over each piece and only then divided, by the whole pass's normaliser; so are the rows of
        several processes. Heads learn together: their losses add. Nothing here may wait for the device.
        """
        inputs = {
            name: image.to(self.device, non_blocking=True, memory_format=torch.channels_last)
            for name, image in images.items()
        }
        labels = {target: truths[target].to(self.device, non_blocking=True) for target in self.net.net.heads}
        divisors = {target: self.loss.normaliser(truth) * self.recipe.accumulation for target, truth in labels.items()}
        inputs, labels = self.ranks.rows(inputs, self.recipe), self.ranks.rows(labels, self.recipe)
        scores = torch.empty(0)
        for input_piece, label_piece in zip(_pieces(inputs, split), _pieces(labels, split), strict=True):
            with autocast(self.device, self.recipe.precision):
                coarse = self.net.coarse_scores(input_piece)
            parts = {
                target: losses.summed_over_pixels(
                    self.loss, self.net.head(target), coarse[target], truth, plain=self.net.plain
                )
                for target, truth in label_piece.items()
            }
            torch.autograd.backward([part / divisors[target] for target, part in parts.items()])
            for part in parts.values():
                self.loss_sum += part.detach()
            target, truth = next(iter(label_piece.items()))
            scores = self.net.head(target).inside(coarse[target].detach(), (truth.shape[1], truth.shape[2]))
        for truth in labels.values():
            self.pixels += valid_pixels(truth)
        return scores


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
