"""Proof that a label belongs to its picture and holds classes or void only, and the counts of all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn.datasets import modes
from fcn.datasets.facts import Target
from fcn.datasets.labels import VOID
from fcn.errors import InputError

_MUCH_VOID = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """The size in pixels of a good picture, and its pixels per value, 256, for each target."""

    height: int
    width: int
    pixels: Mapping[str, NDArray[np.int64]]


def size(picture: Path | NDArray[Any]) -> tuple[int, int]:
    """Height and width of a picture.

    Raises InputError for one that can't be read to its end.
    """
    if not isinstance(picture, Path):
        return picture.shape[0], picture.shape[1]
    try:
        with modes.opened(picture, remedy="fetch it again, or leave it out") as opened:
            if modes.frames(opened) > 1:
                raise InputError(f"it has {modes.frames(opened)} frames; save the one that the label belongs to")
            if opened.format not in ("JPEG", "MPO"):
                return modes.rgb(opened).shape[:2]
            size = modes.size(opened)
            # At an eighth of the size a JPEG's bytes are all read, at a quarter of the cost.
            opened.draft("L", (max(opened.size[0] // 8, 1), max(opened.size[1] // 8, 1)))
            opened.load()
            return size
    except FileNotFoundError:
        raise InputError(
            f"{picture}: no such image; every label needs its image: the archive or folder is not whole"
        ) from None


def check(
    label: NDArray[np.uint8], *, name: str, size: tuple[int, int], picture: str, classes: int
) -> NDArray[np.int64]:
    """Check one label, H W, against its picture's (H, W), and return its pixels per value, 256.

    `name` and `picture` say in messages which ones they are. Raises InputError for a value that is neither a class
    nor void, and for a label of another size than its picture.
    """
    if label.shape != size:
        lies = ", nor turned, as a picture is by its EXIF and by viewers" if label.shape == size[::-1] else ""
        raise InputError(
            f"{name}: the label has {label.shape[1]}x{label.shape[0]} pixels, its image {picture} {size[1]}x{size[0]}; "
            f"both must have the same size: labels are never resized{lies}"
        )
    pixels = np.bincount(label.ravel(), minlength=256)
    wrong = [value for value in np.flatnonzero(pixels).tolist() if value >= classes and value != VOID]
    if wrong:
        raise InputError(
            f"{name}: the label has the value {', '.join(map(str, wrong[:5]))} in {int(pixels[wrong].sum())} pixels; "
            f"allowed are 0..{classes - 1}, and {VOID} for void"
        )
    return pixels


def judge(audited: Mapping[str, Audited], *, targets: Mapping[str, Target]) -> list[str]:
    """What is probably wrong with the labels by id, in sentences.

    Raises InputError for what is certainly wrong: labels of which nothing can be learned, and any answer scores 100 %.
    """
    doubts = []
    for name, target in targets.items():
        pixels = {image_id: each.pixels[name] for image_id, each in audited.items()}
        total, whose = np.sum(list(pixels.values()), axis=0), "" if len(targets) == 1 else f"{name}: "
        seen = [f"{index} ({title})" for index, title in enumerate(target.classes) if total[index]]
        numbers = f"0 is {target.classes[0]}, {len(target.classes) - 1} {target.classes[-1]}, and {VOID} void"
        if len(seen) < 2:
            seen += [f"{VOID} (void)"] if total[VOID] else []
            raise InputError(
                f"{whose}all {len(pixels)} labels together hold nothing but {' and '.join(seen)}, "
                f"from which nothing can be learned or scored: {numbers}, which never counts; write the pixels of each "
                "object as the number of its class"
            )
        if target.background is not None and not total[target.background]:
            doubts.append(f"{whose}no pixel is {target.background}, {target.classes[target.background]}: {numbers}")
        if (share := total[VOID] / total.sum()) > _MUCH_VOID:
            doubts.append(f"{whose}{share:.0%} of all pixels are {VOID}, void, which never counts; in VOC it is 6 %")
        for held in [()] if target.background is None else [(), (target.background,)]:
            alone = [key for key, each in pixels.items() if set(np.flatnonzero(each)) == {*held, VOID}]
            if alone:
                what = " and ".join([*(target.classes[index] for index in held), f"{VOID}, void,"])
                doubts.append(f"{whose}{len(alone)} labels hold {what} alone, such as {alone[0]}: {numbers}")
    return doubts


def metric(audited: Sequence[Audited], *, classes: Mapping[str, Sequence[str]]) -> dict[str, object]:
    """Counts, sizes and shares of the classes: of the first target at the top, of others under their names.

    `classes` are the class names by target.
    """
    first, *others = (_shares(audited, target=target, classes=names) for target, names in classes.items())
    return {
        "labels": len(audited),
        "width_min": min(each.width for each in audited),
        "width_max": max(each.width for each in audited),
        "height_min": min(each.height for each in audited),
        "height_max": max(each.height for each in audited),
        **first,
        **dict(zip(list(classes)[1:], others, strict=True)),
    }


def _shares(audited: Sequence[Audited], *, target: str, classes: Sequence[str]) -> dict[str, object]:
    total = np.sum([each.pixels[target] for each in audited], axis=0)
    of_classes = int(total[: len(classes)].sum())
    return {
        "void_share": round(int(total[VOID]) / int(total.sum()), 6),
        "class_share": {name: round(int(total[index]) / of_classes, 6) for index, name in enumerate(classes)},
    }
