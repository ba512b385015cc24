"""A net's answers to pictures, counted: one at a time on a CPU, on a GPU several of a size, where they are."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcn.ahead import gathered
from fcn.datasets.labels import VOID
from fcn.datasets.samples import Sample
from fcn.nets.fcn import FCN
from fcn.nets.preprocessing import AnyPreprocessing
from fcn.scoring.histogram import histogram

AT_ONCE_PX = 2**20
"""Pixels that a GPU is given at a time, five of VOC's pictures: one alone is less than it can do at once."""
_WAITING = 64  # pictures that wait for others of their size; a large one doesn't


def histograms(
    net: FCN,
    samples: Iterable[Sample],
    *,
    preprocessing: Mapping[str, AnyPreprocessing],
    device: torch.device,
    at_once_px: int | None = None,
) -> dict[str, NDArray[np.int64]]:
    """The confusion histogram of each of the net's heads over all samples: K K counts, rows are the truth.

    As many pictures of a size are answered at once as have `at_once_px` together, of which a CPU and a GPU have each
    its own. Raises ValueError where a label has another size than its picture, or a class that there isn't.
    """
    most_px = at_once_px or (1 if device.type == "cpu" else AT_ONCE_PX)
    hists = {
        target: torch.zeros(classes, classes, dtype=torch.int64, device=device)
        for target, classes in net.net.heads.items()
    }

    def size(sample: Sample) -> tuple[int, ...]:
        return next(iter(sample.inputs.values())).shape[:2]

    for group in gathered(samples, alike=size, room=lambda of: most_px // (of[0] * of[1]), waiting=_WAITING):
        inputs = {
            key: torch.cat([process(sample.inputs[key])[None] for sample in group])
            for key, process in preprocessing.items()
        }
        inputs = {key: each.to(device, memory_format=torch.channels_last) for key, each in inputs.items()}
        for target, answers in net.predict(inputs).items():
            hists[target] += _counts([sample.labels[target] for sample in group], answers, classes=len(hists[target]))
    return {target: hist.cpu().numpy() for target, hist in hists.items()}


def _counts(truths: Sequence[NDArray[np.uint8]], answers: Tensor, *, classes: int) -> Tensor:
    """H W labels and N H W answers -> K K counts, where the answers are."""
    if answers.device.type != "cpu":
        return counted_there(torch.from_numpy(np.stack(truths)).to(answers.device), answers, classes=classes)
    pairs = zip(truths, answers.numpy(), strict=True)
    return torch.from_numpy(sum(histogram(truth, answer, classes=classes) for truth, answer in pairs))


def counted_there(truths: Tensor, answers: Tensor, *, classes: int) -> Tensor:
    """`histogram` on any device: N H W and N H W uint8 class indices -> K K int64 counts.

    Raises ValueError where the two differ in shape or hold a class that there isn't.
    """
    if truths.shape != answers.shape:
        raise ValueError(f"truth is {tuple(truths.shape)}, prediction {tuple(answers.shape)}; both must be alike")
    assert classes <= VOID
    void, valid = classes * classes, truths != VOID
    known = (truths < classes) & (answers < classes)
    numbers = torch.where(known, truths.long() * classes + answers, void + valid.long())
    counts = torch.bincount(numbers.flatten(), minlength=void + 1)
    if len(counts) > void + 1:  # a number behind that of void
        found = torch.maximum(truths, answers)[valid].max()
        raise ValueError(f"a class index of {int(found)} with {classes} classes")
    return counts[:void].view(classes, classes)
