"""Where the tests of this folder compute, and on what."""

from pathlib import Path

import pytest
import torch

from fcn.datasets.samples import Samples
from fcn.stages.device import chosen_device
from tests.training import pictures


@pytest.fixture(name="device")
def _device() -> torch.device:
    """Where these tests compute."""
    return chosen_device()


@pytest.fixture(name="samples")
def _samples(tmp_path: Path) -> Samples:
    """A few small pictures."""
    return pictures.write(tmp_path / "pictures", [(64, 64), (48, 64), (64, 40)])
