"""Stage: forward time of every run's network by the papers' protocol, on this machine."""

import platform
import sys

import torch
from tqdm import tqdm

from fcn.config import Config
from fcn.nets.build import build
from fcn.scoring.timing import SIDE_PX, seconds_per_image, summary
from fcn.stages.places import Places, write_json
from fcn.stages.train import chosen_device


def run(config: Config, name: str | None) -> None:
    """Write timing.json: seconds an image for every run. Environment: FCN_DEVICE.

    Runs whose nets have the same shape are measured once: trained weights take no other time than random ones.
    """
    device = chosen_device()
    measured: dict[tuple[object, ...], dict[str, float]] = {}
    runs = {}
    for run_name, run in tqdm(config.runs.items(), desc="timing", unit="net", disable=not sys.stderr.isatty()):
        shape = (config.backbones[run.backbone], run.stride, run.skips, run.pad, run.upsampling)
        if shape not in measured:
            net = build(run, backbone=config.backbones[run.backbone], classes=config.classes)
            seconds = summary(seconds_per_image(net, device=device))
            parameters = sum(parameter.numel() for parameter in net.parameters())
            measured[shape] = {**seconds, "parameters": parameters}
        runs[run_name] = measured[shape]
    about = {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else _cpu(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "side_px": SIDE_PX,
    }
    write_json(Places(config).timing, {**about, "runs": runs})


def _cpu() -> str:
    return f"CPU ({platform.machine()})"
