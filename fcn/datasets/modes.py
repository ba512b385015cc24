"""Pictures as people have them, in any of Pillow's modes, as RGB."""

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

_LYING = (5, 6, 7, 8)  # EXIF orientations of a picture that stands when it is turned


def rgb(image: Image.Image) -> NDArray[np.uint8]:
    """H W 3: turned as its EXIF says, transparency on white, grey, palette, CMYK and 16 bits converted."""
    image = ImageOps.exif_transpose(image)
    if image.mode in ("I;16", "I;16B", "I;16L", "I", "F"):  # convert() would clip these at 255
        values = np.asarray(image, dtype=np.float64)
        low, high = float(values.min()), float(values.max())
        image = Image.fromarray(((values - low) * (255 / max(high - low, 1))).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(ground, image)
    return np.array(image.convert("RGB"))


def size(image: Image.Image) -> tuple[int, int]:
    """Height and width of what `rgb` makes of it."""
    width, height = image.size
    return (width, height) if image.getexif().get(ExifTags.Base.Orientation) in _LYING else (height, width)
