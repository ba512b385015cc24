"""The trunk of a fully convolutional network: a classifier's layers up to its last feature map."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from fcn.nets.fully_connected import as_product, pays_as_product
from fcn.nets.geometry import IMAGE, Geometry, geometry
from fcn.nets.reach import cropped
from fcn.nets.surgery import convolution, seeing

_PRODUCTS = ("fc6", "fc7")


class Trunk(nn.Module):
    """Named layers, applied in order, with taps for the skips.

    `order` names the layers, `taps` says after which one the map with a stride of 16 or 8 px is read, `fc6` names
    the first layer that was fully connected, if the classifier had one, `channels` counts the channels at taps and end.
    """

    def __init__(
        self,
        parts: Mapping[str, nn.Module],
        *,
        order: Sequence[str],
        taps: Mapping[int, str],
        channels: Mapping[int, int],
        fc6: str | None,
    ) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)
        self.order, self.taps, self.channels, self._fc6 = tuple(order), dict(taps), dict(channels), fc6

    @property
    def first(self) -> nn.Conv2d:
        """The convolution that sees the image."""
        return next(layer for layer in self.modules() if isinstance(layer, nn.Conv2d))

    @property
    def first_weight(self) -> str:
        """The name of its kernels."""
        return next(f"{name}.weight" for name, layer in self.named_modules() if layer is self.first)

    def see(self, inputs: Sequence[str]) -> None:
        """Have the first layer take these inputs, side by side, where it took RGB."""
        conv = self.first
        conv.weight = nn.Parameter(seeing(conv.weight.detach(), inputs))
        conv.in_channels = conv.weight.shape[1]

    def pad(self, pad_px: int | str) -> None:
        """Set the padding: a number of pixels at the first layer (the papers: 100), or "same" at every layer."""
        conv, fc6 = self.first, None if self._fc6 is None else self.get_submodule(self._fc6)
        side = (conv.kernel_size[0] - 1) // 2 if pad_px == "same" else int(pad_px)
        conv.padding = (side, side)
        if isinstance(fc6, nn.Conv2d):
            half = fc6.kernel_size[0] // 2 if pad_px == "same" else 0
            fc6.padding = (half, half)
        for layer in self.modules():
            if isinstance(layer, nn.MaxPool2d) and layer.stride == 2:
                assert isinstance(layer.kernel_size, int)
                layer.padding = (layer.kernel_size - 1) // 2 if pad_px == "same" else 0

    def geometry(self, stride: int) -> Geometry:
        """The geometry at the tap of `stride`, or at the end for 32."""
        last = self.taps.get(stride, self.order[-1])
        total = IMAGE
        for name in self.order:
            total = total.then(geometry(self.get_submodule(name)))
            if name == last:
                break
        return total

    def forward(self, images: Tensor, *, plain: bool = False) -> dict[int, Tensor]:
        """N C H W -> the maps by stride: {16: ..., 8: ..., 32: ...}.

        `plain`, by every layer in order on the whole map, as the network is defined; else the first ones by the exact
        crop, and fc6 and fc7 as matrix products, where that is less work.
        """
        layers = {name: self.get_submodule(name) for name in self.order}
        maps = {} if plain else cropped(layers, images, read=self.taps.values())
        done = 0
        if maps:
            last, images = list(maps.items())[-1]
            done = self.order.index(last) + 1
        for name in self.order[done:]:
            layer = layers[name]
            if not plain and name in _PRODUCTS and isinstance(layer, nn.Conv2d) and pays_as_product(layer, images):
                images = as_product(layer, images)
            else:
                images = layer(images)
            if name in self.taps.values():
                maps[name] = images
        return {**{stride: maps[name] for stride, name in self.taps.items()}, 32: images}


def convolutional_trunk(
    features: nn.Sequential, *, fc6: nn.Linear, fc7: nn.Linear, taps: Mapping[int, int], dropout: float
) -> Trunk:
    """The trunk of a classifier that is a row of convolutions and pools under two fully connected layers.

    `taps` gives, by stride, the index in `features` of the pool that the skip reads.
    """
    convolutions = [(index, layer) for index, layer in enumerate(features) if isinstance(layer, nn.Conv2d)]
    side = round((fc6.in_features / convolutions[-1][1].out_channels) ** 0.5)
    parts: dict[str, nn.Module] = {
        "features": features,
        "fc6": convolution(fc6, side=side),
        "relu6": nn.ReLU(inplace=True),
        "drop6": nn.Dropout(dropout),
        "fc7": convolution(fc7, side=1),
        "relu7": nn.ReLU(inplace=True),
        "drop7": nn.Dropout(dropout),
    }
    widths = {
        stride: [layer.out_channels for index, layer in convolutions if index < tap][-1] for stride, tap in taps.items()
    }
    return Trunk(
        parts,
        order=[f"features.{index}" for index in range(len(features))] + list(parts)[1:],
        taps={stride: f"features.{tap}" for stride, tap in taps.items()},
        channels={**widths, 32: fc7.out_features},
        fc6="fc6",
    )
