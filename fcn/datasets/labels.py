"""Labels as palette PNGs of class indices: 0..K-1, and 255 for void."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from fcn.errors import InputError

VOID = 255

_COMPRESS_LEVEL = 3  # of 9: the next levels take longer and save little on flat regions


def palette() -> NDArray[np.uint8]:
    """The colours of the VOC devkit, 256 3.

    The lowest three bits of an index are the highest bits of its red, green and blue, the next three the next.
    """
    index = np.arange(256)
    colours = np.zeros((256, 3), np.uint8)
    for octet in range(8):
        for channel in range(3):
            colours[:, channel] |= ((index >> (3 * octet + channel) & 1) << (7 - octet)).astype(np.uint8)
    return colours


def write(label: NDArray[np.uint8], *, path: Path) -> None:
    """Write a label, H W, as a PNG whose palette shows VOC's colours."""
    assert label.dtype == np.uint8
    assert label.ndim == 2
    image = Image.fromarray(label)
    image.putpalette(palette().tobytes())
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


def audit(label: NDArray[np.uint8], *, image: Path, classes: int, name: str) -> NDArray[np.int64]:
    """Check one label, H W, against its image, and return its pixels per value, 256.

    `name` says in messages whose label it is. Raises InputError for a value that is neither a class nor void,
    a label of another size than its image, or an image that can't be read to its end.
    """
    width, height = _size(image)
    if label.shape != (height, width):
        raise InputError(
            f"{name}: the label has {label.shape[1]}x{label.shape[0]} pixels, its image {image} {width}x{height}; "
            "both must have the same size: labels are never resized"
        )
    pixels = np.bincount(label.ravel(), minlength=256)
    wrong = [value for value in np.flatnonzero(pixels).tolist() if value >= classes and value != VOID]
    if wrong:
        raise InputError(
            f"{name}: the label has the value {', '.join(map(str, wrong[:5]))} in {int(pixels[wrong].sum())} pixels; "
            f"allowed are 0..{classes - 1}, and {VOID} for void"
        )
    return pixels


def _size(image: Path) -> tuple[int, int]:
    """Width and height of an image that is whole."""
    try:
        with Image.open(image) as opened:
            size = opened.size
            # At an eighth of the size a JPEG's bytes are all read, at a quarter of the cost.
            opened.draft("L", (size[0] // 8, size[1] // 8))
            opened.load()
            return size
    except FileNotFoundError:
        raise InputError(f"{image}: no such image; every label needs its image") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{image}: not a whole image ({error}); fetch the archive again") from None
