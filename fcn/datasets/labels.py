"""Labels as palette PNGs of class indices: 0..K-1, and 255 for void."""

import zlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from fcn.datasets import modes
from fcn.errors import InputError

VOID = 255
REMEDY = (
    "a label is a PNG that never was a JPEG, which smears the numbers of classes: fetch it, or save it as PNG, anew"
)


def palette(first: Sequence[Sequence[int]] = ()) -> NDArray[np.uint8]:
    """The colours of the VOC devkit, 256 3; the classes' own `first`, where they have some.

    The lowest three bits of an index are the highest bits of its red, green and blue, the next three the next.
    """
    index = np.arange(256)
    colours = np.zeros((256, 3), np.uint8)
    for octet in range(8):
        for channel in range(3):
            colours[:, channel] |= ((index >> (3 * octet + channel) & 1) << (7 - octet)).astype(np.uint8)
    colours[: len(first)] = np.reshape(np.array(first, np.uint8), (len(first), 3))
    return colours


def write(label: NDArray[np.uint8], *, path: Path, colours: Sequence[Sequence[int]] = ()) -> None:
    """Write a label, H W, as a PNG whose palette shows the classes' `colours`, or VOC's."""
    assert label.dtype == np.uint8, f"a label is of uint8, not {label.dtype}"
    assert label.ndim == 2, f"a label is H W, not {label.shape}"
    image = Image.fromarray(label)
    image.putpalette(_levels(tuple(map(tuple, colours))))
    # Repeated bytes alone are sought: of flat regions that makes smaller files than what else zlib seeks, in less time.
    image.save(path, "PNG", compress_level=1, compress_type=zlib.Z_RLE)


@lru_cache(maxsize=8)
def _levels(colours: tuple[tuple[int, ...], ...]) -> bytes:
    return palette(colours).tobytes()


def read(path: Path, *, colours: Sequence[Sequence[int]] | None = None) -> NDArray[np.uint8]:
    """The class indices of a label PNG, H W: as they stand in a file that `write` made.

    In a person's file, whose classes have these `colours`, a palette in another order is put right, as programs that
    make PNGs smaller leave it. Raises InputError for a file that is no such PNG, and for what may be read in two ways.
    """
    again = "run `dvc repro`, which makes it anew" if colours is None else REMEDY
    try:
        with modes.opened(path, formats=("PNG",), remedy=again) as image:
            if image.mode == "LA":
                raise InputError(
                    "it has transparency beside its grey values (mode LA); save it without (no alpha channel), as a "
                    "PNG with each pixel's class as its grey value (mode L)"
                )
            if image.mode not in ("P", "L", "1", "I;16"):
                raise InputError(
                    f"its pixels are colours (mode {image.mode}), not class indices; a label is a palette PNG "
                    "(mode P) as in VOC's SegmentationClass, or has each pixel's class as its grey value (mode L); "
                    "format folder takes colours, too, as `classes: {NAME: [R, G, B], ...}`"
                )
            if (frames := modes.frames(image)) > 1:
                raise InputError(f"it has {frames} frames; save the one that is its picture's label")
            bits = image.tile[0].args  # as Pillow calls what it decodes; it stretches fewer bits to 0..255
            if image.mode in ("L", "1") and bits != "L":
                raise InputError(
                    f"a grey PNG of {str(bits)[-1]} bits: whether 1 in it is class 1, or the grey that viewers show, "
                    "can't be told; save it with 8 bits, or with VOC's palette"
                )
            ImageOps.exif_transpose(image, in_place=True)  # as viewers show it
            values = np.asarray(image)
            if values.max() > VOID:
                raise InputError(f"the label has the value {values.max()}; a class is 0..254, and {VOID} is void")
            indices = values.astype(np.uint8)
            if image.mode == "P" and colours is not None:
                return _by_colour(indices, image, palette(colours))
            return indices
    except FileNotFoundError:
        raise InputError(f"{path}: no such label; every listed image needs one") from None


def _by_colour(indices: NDArray[np.uint8], image: Image.Image, colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The classes that a palette other than `colours` shows; of one in greys, the greys."""
    used = np.flatnonzero(image.histogram()).tolist()
    levels = image.getpalette("RGB") or []
    shown = {index: tuple(levels[3 * index : 3 * index + 3]) for index in used}
    if all(index == VOID or shown[index] == tuple(colours[index].tolist()) for index in used):
        return indices
    classes: dict[tuple[int, ...], int] = {
        tuple(colour): index for index, colour in reversed(list(enumerate(colours.tolist())))
    }
    greys: dict[tuple[int, ...], int] = {(grey, grey, grey): grey for grey in range(256)}
    for known in (classes, greys):
        if all(shown[index] in known for index in used):
            table = np.zeros(256, np.uint8)
            table[used] = [known[shown[index]] for index in used]
            return table[indices]
    other = next(index for index in used if shown[index] not in classes)
    raise InputError(
        f"its palette has other colours than the classes: pixels of index {other} are {shown[other] or 'without one'}; "
        "if the indices are the classes, save them as grey values, without a palette, or with VOC's; format folder "
        "takes such colours, as `classes: {NAME: [R, G, B], ...}`"
    )
