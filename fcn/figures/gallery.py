"""The folder of the figures, and what each of them shows in words."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from fcn.figures import drawing, segmentations
from fcn.figures.drawing import Palette
from fcn.figures.groups import Group
from fcn.figures.segmentations import Segmented


class Gallery:
    """The folder of the figures of a profile, and what the index says of them."""

    def __init__(self, folder: Path, *, profile: str, palette: Palette) -> None:
        self.folder, self.profile, self.palette = folder, profile, palette
        self.figures: list[dict[str, object]] = []
        self.switches: list[dict[str, object]] = []
        for room in ("charts", "curves", "layers"):  # DVC wants each of them, also where it stays empty
            (folder / room).mkdir()

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
        shown, names = [], [*group.runs, "truth"]
        for row in rows:
            layers = segmentations.layers(row, self.folder / "layers", names=names, palette=self.palette)
            size = {"width": row.image.shape[1], "height": row.image.shape[0]}
            shown.append({"id": row.id, "place": row.place, "value": row.value, **size, "layers": layers})
        legend = [
            {"name": self.palette.name(label), "colour": self.palette.hex(label)}
            for label in segmentations.present(rows)
        ]
        about = {"key": group.key, "title": group.title, "gain": gain, "runs": group.runs}
        heads = ["image", *group.labels.values(), "truth"]
        self.switches.append({**about, "heads": heads, "legend": legend, "pictures": shown})

    @property
    def index(self) -> dict[str, object]:
        """What the files show, and the colours of the classes and of void."""
        labels = [*range(len(self.palette.names)), self.palette.void]
        colours = [self.palette.hex(label) for label in labels]
        return {"profile": self.profile, "colours": colours, "figures": self.figures, "switches": self.switches}
