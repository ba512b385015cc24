"""Labels as palette PNGs of class indices: 0..K-1, and 255 for void."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from fcn.errors import InputError

VOID = 255

_COMPRESS_LEVEL = 3  # of 9: the next levels take longer and save little on flat regions


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
    assert label.dtype == np.uint8
    assert label.ndim == 2
    image = Image.fromarray(label)
    image.putpalette(palette(colours).tobytes())
    image.save(path, "PNG", compress_level=_COMPRESS_LEVEL)


def read(path: Path) -> NDArray[np.uint8]:
    """The class indices of a label PNG, H W.

    Raises InputError for a file that is no such PNG; a PNG of colours instead of indices is one.
    """
    try:
        with Image.open(path) as image:
            if image.mode not in ("P", "L"):
                raise InputError(
                    f"{path}: its pixels are colours (mode {image.mode}), not class indices; a label is a palette PNG "
                    "(mode P) as in VOC's SegmentationClass: take the original file, which no picture program has saved"
                )
            return np.array(image, np.uint8)
    except FileNotFoundError:
        raise InputError(f"{path}: no such label; every listed image needs one") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not a whole PNG ({error}); fetch the archive again") from None
