"""A picture with its classes in colours over it, and below it a legend of them."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fcn.datasets.facts import Target

_COLOUR = 0.65  # the rest is the photo
_GAMMA = 0.65  # palettes as VOC's have colours that are lost on black, such as (0, 64, 0)
_DARKEST, _BRIGHTEST = 30, 157  # of the photo in grey: neither black nor white, which a class may be
_LONGEST = 60  # letters of a class's name
_GROUND, _INK = (16, 16, 16), (255, 255, 255)


def overlay(
    image: NDArray[np.uint8], label: NDArray[np.uint8], *, target: Target, words: Mapping[int, str]
) -> Image.Image:
    """The photo, H W 3, in grey, the classes of `label`, H W, in colours with white borders; the background has none.

    Below it stand the `words` of a legend, by class, on a ground of their own: whatever the photo is, they can be read.
    """
    step = (_BRIGHTEST - _DARKEST) / 255
    photo = np.asarray(Image.fromarray(image).convert("L").point(lambda grey: _DARKEST + step * grey))
    seen, tints = (1 - _COLOUR) * np.arange(256), _tints(target)
    light = seen.astype(np.uint8)[photo]
    if target.background is not None:
        light = np.where(label == target.background, photo, light)
        tints[target.background] = 0
    mixed = tints[label] + light[:, :, None]  # no sum is above 255
    mixed[_borders(label)] = 255
    below = legend(target, words=words, width=image.shape[1])
    whole = Image.new("RGB", (max(image.shape[1], below.width), image.shape[0] + below.height), _GROUND)
    whole.paste(Image.fromarray(mixed), (0, 0))
    whole.paste(below, (0, image.shape[0]))
    return whole


def legend(
    target: Target, *, words: Mapping[int, str], width: int, colours: Sequence[Sequence[int]] | None = None
) -> Image.Image:
    """A strip with the words of each class behind its colour, in as many lines as a picture of this width needs.

    The colours are those that an overlay has, on a photo of middling light, or `colours`, one a class.
    """
    words = {index: " ".join(text.split())[:_LONGEST] for index, text in words.items()}
    size = max(13, width // 40)
    font = ImageFont.load_default(size)
    columns = 2 * size + max(int(font.getlength(text)) for text in words.values())
    across = max(1, width // (columns + size))
    line = round(1.6 * size)
    strip = Image.new("RGB", (max(width, columns + size), line * -(-len(words) // across) + size // 2), _GROUND)
    draw = ImageDraw.Draw(strip)
    middling = (_DARKEST + _BRIGHTEST) // 2
    tints = _tints(target) + np.uint8((1 - _COLOUR) * middling)
    if target.background is not None:
        tints[target.background] = middling
    shown = tints if colours is None else np.array(colours, np.uint8)
    for place, (index, text) in enumerate(words.items()):
        left, top = size // 2 + place % across * (columns + size), size // 4 + place // across * line
        box = [left, top + size // 4, left + size, top + size // 4 + size]
        draw.rectangle(box, fill=tuple(shown[index].tolist()), outline=_INK)
        draw.text((left + round(1.5 * size), top + size // 4 + size // 2), text, fill=_INK, font=font, anchor="lm")
    return strip


def _tints(target: Target) -> NDArray[np.uint8]:
    """What the classes' colours, made lighter, give to a mixture, K 3."""
    colours = np.array(target.palette, np.float64)
    lighter = 255 * (colours / max(1.0, colours.max())) ** _GAMMA
    return np.array(_COLOUR * lighter, np.uint8)


def _borders(label: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """The pixels where another class begins, H W; in large pictures with some more."""
    found = np.zeros(label.shape, bool)
    found[1:] |= label[1:] != label[:-1]
    found[:, 1:] |= label[:, 1:] != label[:, :-1]
    for _ in range(max(label.shape) // 700):
        found[1:] |= found[:-1]
        found[:, 1:] |= found[:, :-1]
    return found
