"""Forward time by the papers' protocol: 500 x 500 px, the mean of 20 trials after a warm-up (CVPR Table 1)."""

import statistics
import time

import torch

from fcn.nets.fcn import FCN

SIDE_PX = 500
TRIALS = 20
WARM_UP = 3


def seconds_per_image(net: FCN, *, device: torch.device, side_px: int = SIDE_PX, trials: int = TRIALS) -> list[float]:
    """Seconds of each trial, image to class indices on the device, batch 1; float32 on a CPU, bfloat16 on a GPU."""
    net = net.on(device).eval()
    image = torch.zeros(1, 3, side_px, side_px, device=device).contiguous(memory_format=torch.channels_last)
    inputs = dict.fromkeys(net.net.inputs, image)
    seconds = []
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"):
        for trial in range(WARM_UP + trials):
            _wait_for(device)
            began = time.perf_counter()
            net.predict(inputs)
            _wait_for(device)
            if trial >= WARM_UP:
                seconds.append(time.perf_counter() - began)
    return seconds


def summary(seconds: list[float]) -> dict[str, float]:
    """Mean, median and standard deviation of the trials."""
    return {
        "seconds_per_image": statistics.fmean(seconds),
        "median": statistics.median(seconds),
        "deviation": statistics.stdev(seconds) if len(seconds) > 1 else 0.0,
        "trials": len(seconds),
    }


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
