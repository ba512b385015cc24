"""Segmentations beside the photo and the truth, as one figure and as layers of one size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray
from PIL import Image

from fcn.figures.drawing import PALE, Palette, Picture, rows_of_pictures, style

_CELL_IN, _GAP_IN, _LEGEND_IN = 1.75, 0.09, 0.19
_LEGEND_COLUMNS = 7
_JPEG_QUALITY = 85

Label = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Segmented:
    """An image H W 3 with its labels H W by who gives them: the runs, as they are called in heads, and the truth."""

    id: str
    place: str
    value: float
    image: NDArray[np.uint8]
    labels: Mapping[str, Label]


def segmentations(rows: Sequence[Segmented], *, palette: Palette, gain: bool) -> Figure:
    """A row an image: the photo, each run's answer under its name, the truth; a legend of the classes in sight."""
    heads, seen = ["image", *rows[0].labels], present(rows)
    columns = min(_LEGEND_COLUMNS, max(2, int((_CELL_IN * len(heads) + 0.55) / 1.35)))
    shown = []
    for row in rows:
        maps = [Picture(pixels=palette.colours[label]) for label in row.labels.values()]
        caption = f"{row.place}\n{row.id}\n{row.value:{'+' if gain else ''}.1f}"
        shown.append((caption, [Picture(pixels=row.image, photo=True), *maps]))
    legend_in = _LEGEND_IN * -(-len(seen) // columns) + 0.22
    figure = rows_of_pictures(shown, heads=heads, cell_in=_CELL_IN, gap_in=_GAP_IN, foot_in=legend_in)
    with style():
        patches = [
            Patch(facecolor=palette.hex(label), edgecolor=PALE, linewidth=0.6, label=palette.name(label))
            for label in seen
        ]
        figure.legend(
            handles=patches, loc="lower center", ncols=columns, fontsize=8.5, handlelength=1.3, handleheight=1.1,
            columnspacing=1.4, borderaxespad=0.2,
        )  # fmt: skip
    return figure


def present(rows: Sequence[Segmented]) -> list[int]:
    """The classes, and void, that some map of the rows shows."""
    return sorted({int(value) for row in rows for label in row.labels.values() for value in np.unique(label)})


def layers(
    row: Segmented, folder: Path, *, prefix: str, names: Sequence[str], palette: Palette
) -> list[dict[str, str]]:
    """Write the photo as a small JPEG and each label as a PNG in the palette's colours; file and words of each.

    `names` tell the files of the labels apart, `prefix` those of datasets.
    """
    photo = folder / f"{prefix}{row.id}.jpg"
    Image.fromarray(row.image).save(photo, "JPEG", quality=_JPEG_QUALITY, optimize=True)
    found = [{"file": f"{folder.name}/{photo.name}", "alt": f"photo {row.id}"}]
    for name, (who, label) in zip(names, row.labels.items(), strict=True):
        file = folder / f"{prefix}{row.id}-{name}.png"
        image = Image.fromarray(label)
        image.putpalette(palette.colours.tobytes())
        image.save(file, "PNG", optimize=True)
        there = ", ".join(palette.name(int(value)) for value in np.unique(label))
        found.append({"file": f"{folder.name}/{file.name}", "alt": f"{who} of {row.id}: {there}"})
    return found
