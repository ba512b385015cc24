"""What a process has of its machine is what its container leaves it."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fcn.errors import InputError
from fcn.machine import (
    cores,
    gpu_is_visible,
    memory_bytes,
    out_of_memory,
    peak_memory_bytes,
    processor,
    seconds,
    side_by_side,
    wants_graphs,
    wants_it_plain,
)

HERE = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@pytest.mark.parametrize(
    ("files", "own", "expected"),
    [
        ({}, None, HERE),
        ({"cpu.max": "max 100000"}, "0::/", HERE),
        ({"cpu.max": "100000 100000"}, "0::/", 1),
        ({"cpu.max": "20000 100000"}, "0::/", 1),
        ({"cpu.max": "9900000 100000"}, "0::/", min(99, HERE)),
        ({"a/b/cpu.max": "max 100000", "a/cpu.max": "50000 100000"}, "0::/a/b", 1),
        ({"other/cpu.max": "50000 100000"}, "0::/a/b", HERE),
        ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, "4:cpu:/docker/1", 1),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, "4:cpu:/docker/1", HERE),
    ],
)
def test_a_container_has_its_own_cores(tmp_path: Path, files: dict[str, str], own: str | None, expected: int) -> None:
    """The affinity and every control group's quota bound the cores, which are one at least."""
    for name, text in files.items():
        (tmp_path / "groups" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "groups" / name).write_text(text + "\n")
    if own is not None:
        (tmp_path / "own").write_text(own + "\n")
    assert cores(groups=tmp_path / "groups", own=tmp_path / "own") == expected


def test_a_container_has_its_own_memory(tmp_path: Path) -> None:
    """The least limit of the control groups around a process bounds its memory, and the machine's where none does."""
    (tmp_path / "groups/a/b").mkdir(parents=True)
    (tmp_path / "own").write_text("0::/a/b\n")
    machine = memory_bytes(groups=tmp_path / "groups", own=tmp_path / "own")
    assert machine > 1 << 27
    for name, text in (("memory.max", "max"), ("a/memory.max", "50000"), ("a/b/memory.max", "70000")):
        (tmp_path / "groups" / name).write_text(text + "\n")
    assert memory_bytes(groups=tmp_path / "groups", own=tmp_path / "own") == 50000


def test_the_peak_is_in_bytes() -> None:
    """A process with numpy loaded holds more than 20 MB, and less than 100 GB."""
    assert 20e6 < peak_memory_bytes() < 1e11


@pytest.mark.parametrize("asks", [wants_it_plain, wants_graphs])
@pytest.mark.parametrize(("word", "wanted"), [(None, False), ("", False), ("0", False), ("1", True)])
def test_it_is_one_word(
    monkeypatch: pytest.MonkeyPatch, asks: Callable[[], bool], word: str | None, *, wanted: bool
) -> None:
    """FCN_PLAIN=1 asks for the plain computations, FCN_GRAPHS=1 for CUDA graphs; 0, nothing and no variable don't."""
    variable = {wants_it_plain: "FCN_PLAIN", wants_graphs: "FCN_GRAPHS"}[asks]
    monkeypatch.delenv(variable, raising=False)
    if word is not None:
        monkeypatch.setenv(variable, word)
    assert asks() == wanted


def test_processes_share_the_cores() -> None:
    """As many as have a core for each of their threads; one of more threads than there are cores is one still."""
    assert [side_by_side(threads) for threads in (1, cores(), cores() + 1)] == [cores(), 1, 1]


@pytest.mark.parametrize(
    ("says", "there"),
    [("echo GPU 0: H100", True), ("echo GPU 0 is lost; exit 9", False), ("echo No devices", False), (None, False)],
)
def test_a_gpu_is_one_that_nvidias_program_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str | None, *, there: bool
) -> None:
    """Where it fails, lists none, or isn't there, there is no GPU."""
    monkeypatch.setenv("PATH", str(tmp_path))
    if says is not None:
        (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{says}\n")
        (tmp_path / "nvidia-smi").chmod(0o755)
    assert gpu_is_visible() == there


def test_a_time_is_a_number_of_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable's, or the default where it is empty; a negative one, none and NaN are refused by its name."""
    for text, wanted in (("", 5.0), ("0", 0.0), ("1e2", 100.0)):
        monkeypatch.setenv("FCN_SAVE_SECONDS", text)
        assert seconds("FCN_SAVE_SECONDS", default=5, meaning="a time") == wanted
    for text in ("-1", "nan", "soon"):
        monkeypatch.setenv("FCN_SAVE_SECONDS", text)
        with pytest.raises(InputError, match=f"FCN_SAVE_SECONDS is '{text}'; it is a time in seconds, 0 or more"):
            seconds("FCN_SAVE_SECONDS", default=5, meaning="a time")


def test_what_memory_ran_out_of_is_known_by_its_words() -> None:
    """Numpy's error, a GPU's, a loader's and the system's say it; another error doesn't, nor does a wrong value."""
    with pytest.raises(MemoryError) as caught:
        np.empty(1 << 58, np.uint8)
    assert out_of_memory(caught.value)
    for text in ("CUDA out of memory. Tried", "DataLoader worker: out of shared memory", "CUBLAS_STATUS_ALLOC_FAILED"):
        assert out_of_memory(RuntimeError(text))
    assert out_of_memory(OSError(12, "Cannot allocate memory"))
    assert not out_of_memory(RuntimeError("shapes differ"))
    assert not out_of_memory(ValueError("out of memory"))


def test_the_processor_is_called_as_its_maker_does(tmp_path: Path) -> None:
    """Its model by the system's file, of the first core; where no model stands, as on ARM, something is said still."""
    file = tmp_path / "cpuinfo"
    file.write_text("processor\t: 0\nmodel name\t: Some(R) CPU @ 2 GHz \nprocessor\t: 1\nmodel name\t: Other\n")
    assert processor(cpuinfo=file) == "Some(R) CPU @ 2 GHz"
    file.write_text("processor\t: 0\nBogoMIPS\t: 50.00\n")
    assert processor(cpuinfo=file) == processor(cpuinfo=tmp_path / "none") != ""
