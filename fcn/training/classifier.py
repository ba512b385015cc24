"""Trains a small classifier on the sample's single-object crops: the sample profile's pretrained weights."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fcn.datasets.sample import scenes
from fcn.entries import ClassifierTraining
from fcn.nets import backbones
from fcn.nets.preprocessing import Preprocessing
from fcn.shape import Backbone
from fcn.training.seeds import iteration_seed

_CLASSES = 20
_WARMUP = 50
_DROP_AT = 0.7
_CLIP = 5.0


def train(
    backbone: Backbone,
    training: ClassifierTraining,
    *,
    seed: int,
    preprocessing: Preprocessing,
    progress: Callable[[int, int, float], None] | None = None,
) -> tuple[dict[str, Tensor], float]:
    """Train on the CPU and return the state dict and the top-1 accuracy on held-out crops.

    `progress` is told the iteration, their number and the loss. Every draw comes from (seed, iteration). AdamW with a
    warm-up and one drop: how ImageNet's classifiers were trained is not what the papers are about.
    """
    crops, classes = scenes.crops(seed, training.crops + training.held_out, size_px=backbone.input_px)
    torch.manual_seed(seed)
    architecture = backbones.load(backbone.architecture)
    net = architecture.classifier(width=backbone.width, fc=backbone.fc, input_px=backbone.input_px, classes=_CLASSES)
    for layer in net.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = backbone.dropout
    last = [layer for layer in net.modules() if isinstance(layer, nn.Linear)][-1]
    nn.init.normal_(last.weight, std=0.01)
    net.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=training.rate)
    for iteration in range(training.iterations):
        random = np.random.default_rng((seed, iteration))
        torch.manual_seed(iteration_seed(seed, iteration))
        chosen = random.integers(training.crops, size=training.batch)
        images = _batch(crops[chosen], preprocessing)
        mirrored = torch.from_numpy(random.random(training.batch) < 0.5)
        images[mirrored] = images[mirrored].flip(3)
        rate = training.rate * min(1.0, (iteration + 1) / _WARMUP)
        optimizer.param_groups[0]["lr"] = rate * (0.2 if iteration >= _DROP_AT * training.iterations else 1.0)
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=training.precision == "bfloat16"):
            scores = net(images)
        loss = cross_entropy(scores.float(), torch.from_numpy(classes[chosen]))
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(net.parameters(), _CLIP)
        optimizer.step()
        if progress is not None:
            progress(iteration + 1, training.iterations, loss.item())
    held_out = slice(training.crops, None)
    return net.state_dict(), _accuracy(net, crops[held_out], classes[held_out], preprocessing)


def _batch(crops: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]", preprocessing: Preprocessing) -> Tensor:
    """N H W 3 uint8 -> N 3 H W float32."""
    images = torch.stack([preprocessing(crop) for crop in crops])
    return images.contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
def _accuracy(
    net: nn.Module,
    crops: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]",
    classes: "np.ndarray[tuple[int], np.dtype[np.int64]]",
    preprocessing: Preprocessing,
) -> float:
    net.eval()
    answers = torch.cat([net(_batch(part, preprocessing)).argmax(1) for part in np.array_split(crops, 8)])
    return float((answers == torch.from_numpy(classes)).float().mean())
