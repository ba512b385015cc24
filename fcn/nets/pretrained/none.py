"""No weights: a network that is trained from scratch."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from fcn.config import Backbone


def preprocessing(backbone: Backbone) -> None:
    """Any will do."""
    del backbone


def load(path: Path, *, backbone: Backbone) -> dict[str, Tensor]:
    """Nothing, whatever lies at `path`: every tensor starts at random."""
    del path, backbone
    return {}


def net(state: Mapping[str, Tensor]) -> None:
    """Not an FCN."""
    del state
