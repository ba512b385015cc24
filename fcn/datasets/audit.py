"""Proof that a label belongs to its picture and holds classes or void only, and the counts of all of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn.datasets import modes, tree
from fcn.datasets.facts import Target
from fcn.datasets.labels import VOID
from fcn.datasets.runs import counts, runs
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
            f"{picture}: no such image; every label needs its image, as {', '.join(tree.PICTURES)}: "
            + (f"save {other} as one of these" if (other := _other(picture)) else "the archive or folder is not whole")
        ) from None


def _other(picture: Path) -> str | None:
    """A file of the picture's name, but of a kind that isn't read."""
    return next((file.name for file in sorted(picture.parent.glob(f"{escape(picture.stem)}.*"))), None)


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
    (values,), times = runs(label)
    pixels = counts(values, times, most=256)
    wrong = [value for value in np.flatnonzero(pixels).tolist() if value >= classes and value != VOID]
    if count := int(pixels[wrong].sum()):
        raise InputError(
            f"{name}: the label has the value {', '.join(map(str, wrong[:5]))} in {count} pixel{'s' * (count > 1)}; "
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
        seen = [title for index, title in enumerate(target.classes) if total[index]]
        ends = f"0 is {target.classes[0]}, {len(target.classes) - 1} is {target.classes[-1]}"
        numbers = f"in a label {ends}, and {VOID} is void, which never counts"
        if len(seen) < 2:
            held = " and ".join([*seen, *(["void"] if total[VOID] else [])])
            raise InputError(
                f"{whose}all {len(pixels)} labels together hold nothing but {held}, from which nothing can be learned "
                f"or scored; {numbers}: write the pixels of an object as the number of its class, or, with format "
                "folder, write under `classes` which number they have"
            )
        doubts += [f"{whose}{doubt}; {numbers}" for doubt in _doubts(pixels, total=total, background=target.background)]
    return doubts


def _doubts(
    pixels: Mapping[str, NDArray[np.int64]], *, total: NDArray[np.int64], background: int | None
) -> Iterator[str]:
    if background is not None and not total[background]:
        yield "no pixel is background"
    if (share := total[VOID] / total.sum()) > _MUCH_VOID:
        yield f"{share:.0%} of all pixels are void, in VOC 6 %"
    kinds = {"void": {VOID}} | ({} if background is None else {"background and void": {VOID, background}})
    for what, values in kinds.items():
        alone = [image_id for image_id, each in pixels.items() if set(np.flatnonzero(each)) == values]
        if alone:
            yield f"nothing but {what} is in {len(alone)} of {len(pixels)} labels, such as {alone[0]}"


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
