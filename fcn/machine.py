"""What a process has of its machine: cores, memory, how many others want them, and times of the environment."""

import math
import os
import resource
import sys
from pathlib import Path

from fcn.errors import InputError


def cores(*, groups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """The cores that this process may use, by its affinity and its container's quota: the host may have more."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(allowed, _quota_v1(groups / "cpu"), *_quotas(groups, own))))


def _quotas(groups: Path, own: Path) -> list[float]:
    """Of control groups, version 2: the process's own and those around it; `0::/docker/1f` is a line of `own`."""
    lines = own.read_text().splitlines() if own.exists() else []
    path = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), "")
    found = [math.inf]
    for folder in ((groups / path), *(groups / path).parents):
        file = folder / "cpu.max"
        if folder.is_relative_to(groups) and file.is_file():
            quota, period = file.read_text().split()
            found.append(math.inf if quota == "max" else int(quota) / int(period))
    return found


def _quota_v1(folder: Path) -> float:
    files = [folder / f"cpu.cfs_{name}_us" for name in ("quota", "period")]
    if not all(file.is_file() for file in files):
        return math.inf
    quota, period = (int(file.read_text()) for file in files)
    return quota / period if quota > 0 else math.inf


def seconds(name: str, *, default: float, meaning: str) -> float:
    """The time that the environment's variable `name` holds; `meaning` says what it is, where that is none.

    Raises InputError.
    """
    text = os.environ.get(name) or str(default)
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not found >= 0:
        raise InputError(f"{name} is {text!r}; it is {meaning} in seconds, 0 or more")
    return found


def wants_it_plain() -> bool:
    """Whether the environment asks for the plain computations that the fast ones are held to: FCN_PLAIN=1."""
    return os.environ.get("FCN_PLAIN", "") not in ("", "0")


def load_average() -> float:
    """How many processes of the machine wanted a core in the last minute, on average."""
    return round(os.getloadavg()[0], 1)


def peak_memory_bytes() -> int:
    """The most that this process ever held; Linux counts it in KiB, macOS in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory ran out: Python's, numpy's, or torch's of a GPU, a CPU or a loader's share."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's, which isn't imported
        return True
    words = ("out of memory", "out of shared memory", "allocate memory", "alloc_failed")
    return isinstance(error, RuntimeError | OSError) and any(word in str(error).lower() for word in words)
