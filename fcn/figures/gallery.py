"""The folder of the figures, and what each of them shows in words."""

import importlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from fcn.config import Config
from fcn.figures import drawing, pictures
from fcn.figures.choice import Chosen
from fcn.figures.groups import Group


class Gallery:
    """The folder of the figures, and what the index says of them."""

    def __init__(self, config: Config, folder: Path) -> None:
        self.config, self.folder = config, folder
        self.figures: list[dict[str, object]] = []
        self.switches: list[dict[str, object]] = []
        datasets = {config.source(run.val.source).dataset for run in config.runs.values()}
        names: Sequence[str] = importlib.import_module(f"fcn.datasets.{min(datasets)}").CLASSES
        self.classes = names[: config.classes]

    def add(self, figure: Figure, *, key: str, section: str, title: str, caption: str, alt: str) -> None:
        """Write one figure."""
        file = f"charts/{key}.png"
        (self.folder / file).parent.mkdir(exist_ok=True)
        width, height = drawing.write(figure, self.folder / file)
        entry: dict[str, object] = {"key": key, "file": file, "section": section, "title": title}
        self.figures.append({**entry, "caption": caption, "alt": alt, "width": width, "height": height})

    def add_layers(self, group: Group, *, rows: Sequence[pictures.Shown], chosen: Sequence[Chosen], gain: bool) -> None:
        """Write each picture of a group as a file of its own, all of one image in one size.

        `gain` says that the values of the chosen images are differences.
        """
        folder = self.folder / "layers"
        folder.mkdir(exist_ok=True)
        shown = []
        for row, item in zip(rows, chosen, strict=True):
            photo = folder / f"{item.id}.jpg"
            pictures.write_photo(row.image, photo)
            layers = [{"file": f"layers/{photo.name}", "alt": f"photo {item.id}"}]
            answered = [
                (label, group.labels[run], f"{item.id}-{run}.png")
                for label, run in zip(row.answers, group.runs, strict=True)
            ]
            for label, title, file in [*answered, (row.truth, "truth", f"{item.id}-truth.png")]:
                pictures.write_label(label, folder / file)
                there = [pictures.name_of(index, classes=self.classes) for index in np.unique(label)]
                layers.append({"file": f"layers/{file}", "alt": f"{title} of {item.id}: {', '.join(there)}"})
            size = {"width": row.image.shape[1], "height": row.image.shape[0]}
            shown.append({"id": item.id, "place": item.place, "value": item.value, **size, "layers": layers})
        legend = [
            {"name": pictures.name_of(index, classes=self.classes), "colour": pictures.hex_colour(index)}
            for index in pictures.present(rows)
        ]
        heads = ["image", *group.labels.values(), "truth"]
        switch: dict[str, object] = {
            "key": group.key,
            "title": group.title,
            "gain": gain,
            "runs": group.runs,
        }
        self.switches.append({**switch, "heads": heads, "legend": legend, "pictures": shown})

    @property
    def index(self) -> dict[str, object]:
        """What the files show."""
        return {"profile": self.config.profile, "figures": self.figures, "switches": self.switches}
