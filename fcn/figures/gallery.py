"""The folder of the figures, and what each of them shows in words."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from fcn.figures import drawing, segmentations
from fcn.figures.drawing import Palette
from fcn.figures.groups import Group, Truth
from fcn.figures.segmentations import Segmented
from fcn.scoring.metrics import METRICS


class Gallery:
    """The folder of the figures of a profile, and what the index says of them; `palettes` are those of all truths."""

    def __init__(self, folder: Path, *, profile: str, palettes: Mapping[Truth, Palette]) -> None:
        self.folder, self.profile, self.palettes = folder, profile, palettes
        self.figures: list[dict[str, object]] = []
        self.switches: list[dict[str, object]] = []
        # DVC wants each of them, also where it stays empty.
        for room in ("charts", "curves", "layers", *(f"validation/{metric}" for metric in METRICS)):
            (folder / room).mkdir(parents=True)

    def add(self, figure: Figure, *, key: str, section: str, title: str, caption: str, alt: str) -> None:
        """Write one figure."""
        file = f"charts/{key}.png"
        width, height = drawing.write(figure, self.folder / file)
        entry: dict[str, object] = {"key": key, "file": file, "section": section, "title": title}
        self.figures.append({**entry, "caption": caption, "alt": alt, "width": width, "height": height})

    def add_layers(self, group: Group, *, rows: Sequence[Segmented], gain: bool) -> None:
        """Write each picture of a group as a file of its own, all of one image in one size.

        `gain` says that the values of the images are differences.
        """
        shown, names, palette = [], [*group.runs, "truth"], self.palettes[group.truth]
        prefix = "" if len(self.palettes) == 1 else "-".join([*group.truth, ""])  # datasets may share ids
        for row in rows:
            layers = segmentations.layers(row, self.folder / "layers", prefix=prefix, names=names, palette=palette)
            size = {"width": row.image.shape[1], "height": row.image.shape[0]}
            shown.append({"id": row.id, "place": row.place, "value": row.value, **size, "layers": layers})
        legend = [{"name": palette.name(label), "colour": palette.hex(label)} for label in segmentations.present(rows)]
        about = {"key": group.key, "title": group.title, "gain": gain, "runs": group.runs}
        heads = ["image", *group.labels.values(), "truth"]
        self.switches.append({**about, "heads": heads, "legend": legend, "pictures": shown})

    @property
    def index(self) -> dict[str, object]:
        """What the files show, and every colour that some dataset's classes, or void, have in them."""
        found = (
            palette.hex(label)
            for palette in self.palettes.values()
            for label in [*range(len(palette.names)), palette.void]
        )
        colours = list(dict.fromkeys(found))
        return {"profile": self.profile, "colours": colours, "figures": self.figures, "switches": self.switches}
