"""fc6 and fc7, convolutions with many kernels, as one matrix product each, which leaves these where they lie in memory.

torch's own re-orders the 411 MB of VGG16's fc6 each time it applies them, which is most of that layer's time. Kernels
O C k k whose memory is in the order of channels last are an O x (k k C) matrix as they are; so are their gradients.
"""

import torch
from torch import Tensor, nn

from fcn.nets.geometry import side


def pays_as_product(layer: nn.Conv2d, images: Tensor) -> bool:
    """Whether the patches that the kernels see, copied out of N C H W, are no more numbers than the kernels are."""
    more = 2 * side(layer.padding) - side(layer.kernel_size) + 1
    places = len(images) * (images.shape[2] + more) * (images.shape[3] + more)
    return places <= layer.out_channels and layer.weight.permute(0, 2, 3, 1).is_contiguous()


def as_product(layer: nn.Conv2d, images: Tensor) -> Tensor:
    """N C H W -> N O h w: what the layer, with a stride of 1, makes of them."""
    kernel = side(layer.kernel_size)
    patches = nn.functional.pad(images, [side(layer.padding)] * 4).permute(0, 2, 3, 1)
    for axis in (2, 1):  # N H W C -> N H w (k C) -> N h w (k k C); unfold would be shorter, and its backward slower
        units = patches.shape[axis] - kernel + 1
        patches = torch.stack([patches.narrow(axis, first, units) for first in range(kernel)], 3).flatten(3)
    matrix = layer.weight.permute(0, 2, 3, 1).flatten(1)
    return nn.functional.linear(patches, matrix, layer.bias).permute(0, 3, 1, 2)
