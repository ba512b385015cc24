"""Which images the figures show: by a rule, never by hand."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

CANDIDATES = 100  # scoring a whole list again for the sake of five pictures would take minutes at full size
# What is shown, as the place in the order from the lowest value to the highest.
PLACES = (("best", 1.0), ("upper quartile", 0.75), ("median", 0.5), ("lower quartile", 0.25), ("worst", 0.0))
SHARE = 0.2  # of an image's pixels: a class is seen whole, and something else as well
ALWAYS = ("horse", "person")  # the two classes of the papers' readers' own score maps


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """An image, and the place of the rule that it takes."""

    id: str
    place: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The images that the groups of one list show, and the rule in words; `gain`: their values are differences."""

    images: Sequence[Chosen]
    rule: str
    gain: bool


def by_rule(values: Mapping[str, float], *, measure: str, gain: bool, of: int, val: str) -> Choice:
    """The images at PLACES in the order of their `measure`, `values` by id; NaN takes an image out.

    `of` is the number of all images in the list `val`, from which the candidates are.
    """
    chosen = at_places({image_id: value for image_id, value in values.items() if not math.isnan(value)})
    among = f"all {of} images of {val}" if len(values) == of else f"{len(values)} of the {of} images of {val} (those "
    among += "" if len(values) == of else "whose hash comes first)"
    places = ", ".join(item.place for item in chosen)
    rule = (
        f"Images are chosen by rule: those with the {places} {measure}, among {among}; equal ones by their id. "
        "The number beside an id is that value, in points of 100."
    )
    return Choice(images=chosen, rule=rule, gain=gain)


def candidates(ids: Sequence[str]) -> list[str]:
    """All ids, or where there are more than CANDIDATES those whose SHA-256 comes first, in the order of the hashes."""
    return sorted(ids, key=lambda image_id: hashlib.sha256(image_id.encode()).hexdigest())[:CANDIDATES]


def at_places(values: Mapping[str, float]) -> list[Chosen]:
    """One image for each of PLACES by its value; equal values are ordered by id, and no image is taken twice."""
    ordered = sorted(values, key=lambda image_id: (values[image_id], image_id))
    chosen: dict[str, Chosen] = {}
    for place, quantile in PLACES:
        image_id = ordered[int(quantile * (len(ordered) - 1) + 0.5)] if ordered else ""
        if image_id and image_id not in chosen:
            chosen[image_id] = Chosen(id=image_id, place=place, value=values[image_id])
    return list(chosen.values())


def classes_to_map(pixels: Sequence[int], *, names: Sequence[str], background: int | None = 0) -> list[int]:
    """Two classes: horse and person where the truth has them, and else those with the most pixels; never background."""
    present = [index for index in range(len(names)) if pixels[index] > 0 and index != background]
    ordered = sorted(present, key=lambda index: (names[index] not in ALWAYS, -pixels[index], index))
    return sorted(ordered[:2])


def image_of(shares: Mapping[str, float]) -> str | None:
    """The image in which the class takes the share nearest to SHARE; ties by id, None where none has it."""
    present = {image_id: share for image_id, share in shares.items() if share > 0}
    return min(present, key=lambda image_id: (abs(present[image_id] - SHARE), image_id), default=None)
