"""Local response normalisation as Caffe's reference nets have it: across 5 channels, alpha 1e-4, beta 0.75."""

from torch import nn

from fcn.nets.geometry import IMAGE, Geometry, geometry


@geometry.register
def _(_module: nn.LocalResponseNorm) -> Geometry:
    return IMAGE


def local_response() -> nn.LocalResponseNorm:
    """Each x / (1 + alpha / 5 * sum of squares of 5 channels) ** beta; torch divides alpha as Caffe does."""
    return nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)
