"""Stochastic gradient descent with the papers' parameter groups (CVPR section 4.3)."""

import torch
from torch import nn

from fcn.config import Solver


def sgd(net: nn.Module, solver: Solver) -> torch.optim.SGD:
    """Groups for weights and biases, of score layers and of all others; frozen parameters are left out.

    Biases learn at `bias_rate` times the rate and don't decay; score layers at `score_rate` times the rate.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in net.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((name.endswith(".bias"), name.startswith("score_")), []).append(parameter)
    return torch.optim.SGD(
        [
            {
                "params": parameters,
                "factor": (solver.bias_rate if bias else 1.0) * (solver.score_rate if score else 1.0),
                "weight_decay": 0.0 if bias else solver.decay,
            }
            for (bias, score), parameters in sorted(groups.items(), key=lambda item: item[0])
        ],
        lr=solver.rate,
        momentum=solver.momentum,
    )


def rate_at(iteration: int, solver: Solver) -> float:
    """The base rate: fixed in the papers; a profile may warm up linearly, and drop to a tenth near the end."""
    rate = solver.rate
    if iteration < solver.warmup:
        rate *= (iteration + 1) / solver.warmup
    if solver.drop_at is not None and iteration >= solver.drop_at * solver.iterations:
        rate *= 0.1
    return rate


def set_rate(optimizer: torch.optim.SGD, rate: float) -> None:
    """Give every group its share of the base rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]
