"""Stage: forward time of one network by the papers' protocol, on this machine."""

import torch

from fcn.config import Config
from fcn.errors import InputError
from fcn.files import write_json
from fcn.machine import cores, load_average, wants_it_plain
from fcn.nets.fcn import FCN
from fcn.scoring.timing import SIDE_PX, precision, seconds_per_image, steadiest, steady, summary
from fcn.stages.device import chosen_device
from fcn.stages.device import name as name_of
from fcn.stages.places import Places


def run(config: Config, name: str | None) -> None:
    """Write timing/<name>.json: seconds an image, parameters, device. Environment: FCN_DEVICE.

    Trained weights take no other time than random ones.
    """
    if name not in config.nets:
        raise InputError(f"timing needs a net's name, found {name!r}; there are {', '.join(config.nets)}")
    device = chosen_device()
    net = FCN(config.nets[name], plain=wants_it_plain())
    load = load_average()  # before this process adds to it
    trials, rounds = steadiest(lambda: seconds_per_image(net, device=device))
    about = {
        "device": name_of(device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "precision": precision(device),
        "load_average": load,
        "cores": cores(),
        "rounds": rounds,
        "steady": steady(trials),
        "side_px": SIDE_PX,
        "parameters": sum(parameter.numel() for parameter in net.parameters()),
    }
    write_json(Places(config).timing(name), {**about, **summary(trials)})
