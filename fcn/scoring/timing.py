"""Forward time by the papers' protocol: 500 x 500 px, the mean of 20 trials after a warm-up (CVPR Table 1).

On a machine that isn't quiet the 20 are repeated, until they are steady, a few times at most.
"""

import statistics
import time
from collections.abc import Callable

import torch

from fcn.nets.fcn import FCN
from fcn.shape import CHANNELS

SIDE_PX = 500
TRIALS = 20
WARM_UP = 3
ROUNDS = 5
STEADY = 0.05


def precision(device: torch.device) -> str:
    """What a forward pass is timed in: float32 on a CPU, bfloat16 on a GPU, where the papers have float."""
    return "bfloat16" if device.type == "cuda" else "float32"


def steadiest(measure: Callable[[], list[float]]) -> tuple[list[float], int]:
    """The quickest of some rounds of trials, and how many it took until that was steady.

    Whoever else computes on the machine makes times longer and unsteady, never shorter.
    """
    best = measure()
    for count in range(1, ROUNDS):
        if steady(best):
            return best, count
        best = min(best, measure(), key=statistics.fmean)
    return best, ROUNDS


def steady(seconds: list[float]) -> bool:
    """Whether the trials' deviation is small against their mean."""
    found = summary(seconds)
    return found["deviation"] <= STEADY * found["seconds_per_image"]


def seconds_per_image(net: FCN, *, device: torch.device, side_px: int = SIDE_PX, trials: int = TRIALS) -> list[float]:
    """Seconds of each trial, image to class indices on the device, batch 1, in this device's `precision`."""
    net = net.on(device).eval()
    inputs = {
        name: torch.zeros(1, CHANNELS[name], side_px, side_px, device=device).contiguous(
            memory_format=torch.channels_last
        )
        for name in net.net.inputs
    }
    seconds = []
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision(device) == "bfloat16"):
        for trial in range(WARM_UP + trials):
            _wait_for(device)
            began = time.perf_counter()
            net.predict(inputs)
            _wait_for(device)
            if trial >= WARM_UP:
                seconds.append(time.perf_counter() - began)
    return seconds


def summary(seconds: list[float]) -> dict[str, float]:
    """Mean, median and standard deviation of a round's trials."""
    return {
        "seconds_per_image": statistics.fmean(seconds),
        "median": statistics.median(seconds),
        "deviation": statistics.stdev(seconds) if len(seconds) > 1 else 0.0,
        "trials": len(seconds),
    }


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
