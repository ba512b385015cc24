"""Pictures as people have them, in any of Pillow's modes, as RGB."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps


def rgb(image: Image.Image) -> NDArray[np.uint8]:
    """H W 3: turned as its EXIF says, transparency on white, grey, palette, CMYK and 16 bits converted."""
    return stored_rgb(ImageOps.exif_transpose(image))


def stored_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """H W 3, as `rgb` but for the turning: a label belongs to the pixels as they are stored."""
    if image.mode in ("I;16", "I;16B", "I;16L", "I", "F"):  # convert() would clip these at 255
        values = np.asarray(image, dtype=np.float64)
        low, high = float(values.min()), float(values.max())
        image = Image.fromarray(((values - low) * (255 / max(high - low, 1))).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(ground, image)
    return np.array(image.convert("RGB"))
