"""The device that a stage computes on, and how many processes load pictures: what the environment says."""

import os
import re

import torch

from fcn.errors import InputError
from fcn.machine import cores, memory_bytes, processor

_MOST_WORKERS = 8
_MOST_CACHE_BYTES = 8 << 30  # all of SBD's train, decoded, has 6.4 GB


def chosen_device() -> torch.device:
    """FCN_DEVICE, or the GPU where there is one, or the CPU. From then on float32 is float32 there."""
    wanted = os.environ.get("FCN_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")
    if wanted not in ("cuda", "cpu"):
        raise InputError(f"FCN_DEVICE is {wanted!r}; cuda and cpu are possible, and CUDA_VISIBLE_DEVICES picks a GPU")
    if wanted == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "FCN_DEVICE is cuda, but torch sees no GPU here; unset it, or check the driver with nvidia-smi"
        )
    # A GPU's convolutions would otherwise drop 13 of float32's 23 binary digits (TF32). bfloat16 is a recipe's word.
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    return torch.device(wanted)


def loader_processes(device: torch.device, *, devices: int = 1) -> int:
    """FCN_WORKERS, or some beside each of the GPUs that are at work, or none."""
    text = os.environ.get("FCN_WORKERS", "")
    if not text:
        return min(_MOST_WORKERS, max(1, cores() // devices)) if device.type == "cuda" else 0
    if not re.fullmatch("[0-9]{1,3}", text):
        raise InputError(f"FCN_WORKERS is {text!r}; it is the number of loader processes, 0 to 999")
    return int(text)


def cache_bytes(processes: int) -> int:
    """FCN_CACHE_BYTES, or an eighth of the memory, but 8 GiB at most: the part of each process that loads."""
    text = os.environ.get("FCN_CACHE_BYTES", "")
    if text and not re.fullmatch("[0-9]{1,15}", text):
        raise InputError(f"FCN_CACHE_BYTES is {text!r}; it is the memory for decoded pictures in bytes, 0 or more")
    whole = int(text) if text else min(memory_bytes() // 8, _MOST_CACHE_BYTES)
    return whole // processes


def name(device: torch.device) -> str:
    """The device as its maker calls it, a GPU or the processor."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
