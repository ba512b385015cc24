"""Stochastic gradient descent with the papers' parameter groups (CVPR section 4.3)."""

import torch
from torch import nn

from fcn.entries import Recipe
from fcn.nets.fcn import is_score_layer


def sgd(net: nn.Module, recipe: Recipe) -> torch.optim.SGD:
    """Groups for weights and biases, of score layers and of all others; frozen parameters are left out.

    Biases learn at `bias_rate` times the rate and don't decay; score layers at `score_rate` times the rate. On a GPU a
    step is one kernel a group, which goes through the memory once.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in net.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((name.endswith(".bias"), is_score_layer(name)), []).append(parameter)
    on_gpu = all(parameter.is_cuda for parameters in groups.values() for parameter in parameters)
    return torch.optim.SGD(
        [
            {
                "params": parameters,
                "factor": (recipe.bias_rate if bias else 1.0) * (recipe.score_rate if score else 1.0),
                "weight_decay": 0.0 if bias else recipe.decay,
            }
            for (bias, score), parameters in sorted(groups.items(), key=lambda item: item[0])
        ],
        lr=recipe.rate,
        momentum=recipe.momentum,
        fused=on_gpu or None,
    )


def go_on(optimizer: torch.optim.SGD, saved: dict[str, object]) -> None:
    """Take over a saved state, but for how a step is computed: the state may come from another device."""
    optimizer.load_state_dict(saved)
    for group in optimizer.param_groups:
        group["fused"] = optimizer.defaults["fused"]


def freeze(net: nn.Module, recipe: Recipe) -> None:
    """Leave only the score layers to be trained where the recipe says so: FCN-32s-fixed (CVPR Table 2)."""
    if recipe.trained == "score":
        for name, parameter in net.named_parameters():
            parameter.requires_grad_(is_score_layer(name))


def rate_at(iteration: int, recipe: Recipe) -> float:
    """The base rate: fixed in the papers; a profile may warm up linearly, and drop to a tenth near the end."""
    rate = recipe.rate
    if iteration < recipe.warmup:
        rate *= (iteration + 1) / recipe.warmup
    if recipe.drop_at is not None and iteration >= recipe.drop_at * recipe.iterations:
        rate *= 0.1
    return rate


def set_rate(optimizer: torch.optim.SGD, rate: float) -> None:
    """Give every group its share of the base rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]
