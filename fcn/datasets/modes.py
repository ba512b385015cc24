"""The one reader of people's pictures: a file of any common kind, in any of Pillow's modes, as RGB."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, ImageOps, UnidentifiedImageError

from fcn.errors import InputError

# No others: of EPS, for one, Pillow has another program make a picture.
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
MOST_PIXELS = 89_478_485  # of more Pillow warns, as of a small file that is made to fill the memory

_LYING = (5, 6, 7, 8)  # EXIF orientations of a picture that stands when it is turned
_WIDE = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")  # convert() would clip these at 255


@contextmanager
def opened(
    source: Path | BinaryIO,
    *,
    name: str | None = None,
    formats: tuple[str, ...] = FORMATS,
    remedy: str = "save it anew as JPEG or PNG",
) -> Iterator[ImageFile.ImageFile]:
    """A picture, of which no more than its beginning is read yet, for one `with`.

    Raises FileNotFoundError, and InputError for all that is wrong with the file, in the body too: the message begins
    with `name`, or the path, and ends with `remedy`.
    """
    called = name or str(source)
    try:
        with Image.open(source, formats=formats) as image:
            if image.width * image.height > MOST_PIXELS:
                raise Image.DecompressionBombError
            yield image
    except FileNotFoundError:
        raise
    except InputError as error:
        raise InputError(f"{called}: {error}") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InputError(f"{called}: it has more than {MOST_PIXELS:,} pixels; shrink it first") from None
    except Exception as error:  # Pillow raises whatever damaged bytes lead it to, so no list of types is complete
        reason = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, UnidentifiedImageError):
            reason = f"it begins as no {' or '.join(formats)} does"
        if isinstance(error, MemoryError):  # of many pixels, or of a damaged header
            reason = "what it asks for is more memory than there is"
        raise InputError(f"{called}: not a whole picture ({reason}); {remedy}") from None


def rgb(image: Image.Image) -> NDArray[np.uint8]:
    """H W 3: turned as its EXIF says, transparency on white, grey, palette, CMYK and 16 bits converted.

    16 bits are 0..65535 and floats 0..1, whatever values a picture has. Raises InputError for numbers outside.
    """
    image = ImageOps.exif_transpose(image)
    if image.mode in _WIDE:
        image = Image.fromarray(_bytes(np.asarray(image, np.float64), most=1 if image.mode == "F" else 65535))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(ground, image)
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def size(image: Image.Image) -> tuple[int, int]:
    """Height and width of what `rgb` makes of it."""
    width, height = image.size
    return (width, height) if image.getexif().get(ExifTags.Base.Orientation) in _LYING else (height, width)


def frames(image: Image.Image) -> int:
    """How many pictures there are in the file, of which the first is read; a phone's JPEG has its previews beside."""
    count: int = 1 if image.format in ("JPEG", "MPO") else getattr(image, "n_frames", 1)
    return count


def _bytes(values: NDArray[np.float64], *, most: int) -> NDArray[np.uint8]:
    if not ((values >= 0) & (values <= most)).all():  # NaN is neither
        low, high = values.min(), values.max()
        raise InputError(
            f"its numbers are {low:g}..{high:g}, and in a picture of {'floats' if most == 1 else 'whole numbers'} "
            f"0..{most}; save it with 8 bits"
        )
    return np.round(values * (255 / most)).astype(np.uint8)
