"""From classifier to fully convolutional: narrow, convolutionalise, transplant (CVPR section 3.1)."""

import math
from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from fcn.errors import InputError
from fcn.shape import CHANNELS


def narrow(module: nn.Module, *, width: float) -> None:
    """Multiply the channels of every convolution in `module` by `width`, in place, with lazy inputs.

    The layers learn their input channels from the first batch that passes, so that any wiring will do. Pooled sizes
    round up from here on, as Caffe's do: a classifier and its FCN must see the same map at every input size.
    """
    for name, child in module.named_children():
        if isinstance(child, nn.Conv2d):
            channels = max(1, round(child.out_channels * width))
            windows = (child.kernel_size, child.stride, child.padding)
            kernel, stride, padding = (cast(tuple[int, int], window) for window in windows)
            lazy = nn.LazyConv2d(channels, kernel, stride, padding, bias=child.bias is not None, device="meta")
            setattr(module, name, lazy)
        elif isinstance(child, nn.BatchNorm2d):
            setattr(module, name, nn.LazyBatchNorm2d(eps=child.eps, device="meta"))
        elif isinstance(child, nn.MaxPool2d):
            child.ceil_mode = True
        else:
            narrow(child, width=width)


def features_size(features: nn.Module, *, input_px: int) -> tuple[int, int]:
    """Channels and side of what `features` makes of one square RGB image; lazy layers on "meta" become whole."""
    with torch.no_grad():
        out = features(torch.zeros(1, 3, input_px, input_px, device="meta"))
    channels, height, side = out.shape[1:]
    assert height == side
    return channels, side


def materialise(module: nn.Module) -> nn.Module:
    """Give a module on "meta" memory on the default device, and He-normal weights, zero biases."""
    device = torch.get_default_device()
    if device.type != "meta":
        module.to_empty(device=device)
        initialise(module)
    return module


def initialise(module: nn.Module) -> None:
    """He-normal weights over the fan-in, zero biases, batch normalisation as the identity; torch's global generator."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            fan_in = layer.weight[0].numel()
            nn.init.normal_(layer.weight, std=math.sqrt(2 / fan_in))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d):
            layer.reset_parameters()


def convolution(linear: nn.Linear, *, side: int) -> nn.Conv2d:
    """The convolution with a side x side kernel that equals `linear` on a C x side x side input."""
    channels = linear.in_features // (side * side)
    with torch.device("meta"):
        conv = nn.Conv2d(channels, linear.out_features, side)
    conv.weight = nn.Parameter(linear.weight.detach().view(linear.out_features, channels, side, side))
    conv.bias = nn.Parameter(linear.bias.detach())
    return conv


def seeing(weight: Tensor, inputs: Sequence[str]) -> Tensor:
    """The kernels O 3 k k of a first layer that saw RGB, for these inputs side by side: O C k k.

    Three channels have the kernels of RGB, in their order, and one channel has their mean (reference release, the
    NYUDv2 nets' conv1_1).
    """
    return torch.cat([weight if CHANNELS[name] == 3 else weight.mean(1, keepdim=True) for name in inputs], 1)


def transplant(net: nn.Module, state: Mapping[str, Tensor]) -> list[str]:
    """Copy `state` into `net` by name, reshaping fully connected layers into convolutions.

    Returns the names of the net's tensors that `state` doesn't have: those keep their start.
    Raises InputError where a tensor doesn't fit.
    """
    own = net.state_dict()
    for name, tensor in state.items():
        if name not in own:
            raise InputError(f"weights hold {name}, which this network has not; it has {', '.join(list(own)[:3])}, ...")
        if own[name].numel() != tensor.numel() or own[name].shape[0:1] != tensor.shape[0:1]:
            raise InputError(
                f"weights hold {name} with shape {tuple(tensor.shape)}, this network wants {tuple(own[name].shape)}; "
                "check the backbone's width, fc and input_px, and the number of classes"
            )
    with torch.no_grad():
        for name, tensor in state.items():
            own[name].copy_(tensor.view_as(own[name]))
    return [name for name in own if name not in state]
