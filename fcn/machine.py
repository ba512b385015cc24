"""What a process has of its machine: processor, cores, memory, how many others want them; times of the environment."""

import math
import os
import platform
import re
import resource
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from fcn.errors import InputError


def cores(*, groups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """The cores that this process may use, by its affinity and its container's quota: the host may have more."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(allowed, _quota_v1(groups / "cpu"), *_quotas(groups, own))))


def memory_bytes(*, groups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """The memory that this process may use: the machine's, or what its container leaves it."""
    limits = [int(text) for text in _limits("memory.max", groups, own) if text != "max"]
    return min([os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *limits])


def _quotas(groups: Path, own: Path) -> list[float]:
    pairs = [text.split() for text in _limits("cpu.max", groups, own)]
    return [math.inf, *(int(quota) / int(period) for quota, period in pairs if quota != "max")]


def _limits(name: str, groups: Path, own: Path) -> list[str]:
    """Of control groups, version 2: the process's own and those around it; `0::/docker/1f` is a line of `own`."""
    lines = own.read_text().splitlines() if own.exists() else []
    path = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), "")
    folders = [folder for folder in (groups / path, *(groups / path).parents) if folder.is_relative_to(groups)]
    return [(folder / name).read_text().strip() for folder in folders if (folder / name).is_file()]


def _quota_v1(folder: Path) -> float:
    files = [folder / f"cpu.cfs_{name}_us" for name in ("quota", "period")]
    if not all(file.is_file() for file in files):
        return math.inf
    quota, period = (int(file.read_text()) for file in files)
    return quota / period if quota > 0 else math.inf


def processor(*, cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's model where the system tells it (Linux in `cpuinfo`, macOS by sysctl), or its architecture."""
    with suppress(OSError):
        if cpuinfo.exists():
            named: list[str] = re.findall(r"(?m)^model name\s*: *(.*\S)", cpuinfo.read_text(encoding="utf-8"))[:1]
        else:
            command = ["sysctl", "-n", "machdep.cpu.brand_string"]
            named = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()[:1]
        if named:
            return named[0]
    return platform.processor() or platform.machine()


def side_by_side(threads: int) -> int:
    """How many processes of so many threads the cores hold; one at least."""
    return max(1, cores() // threads)


def gpu_is_visible() -> bool:
    """Whether there is a CUDA device, found out without torch, which takes seconds to import."""
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return listed.returncode == 0 and "GPU " in listed.stdout


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


def wants_graphs() -> bool:
    """Whether the environment asks for trainings that launch passes as CUDA graphs: FCN_GRAPHS=1."""
    return os.environ.get("FCN_GRAPHS", "") not in ("", "0")


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
