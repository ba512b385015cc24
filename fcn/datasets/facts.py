"""What a dataset says of itself in its dataset.json: inputs, targets with their classes and colours, a digest."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypedDict, cast

from fcn.datasets.labels import palette
from fcn.files import read_json

Average = Literal["seen", "truth"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One thing that every pixel is labelled with, such as "semantic": its classes, in the order of their indices.

    `background` is the index of what is none of the others, where there is such a class. `average` says which
    classes a mean of IU is taken over: those seen in truth or answer, or those in the truth. `palette` has a colour
    a class; without one it is the VOC devkit's.
    """

    classes: tuple[str, ...]
    background: int | None
    average: Average
    palette: tuple[tuple[int, int, int], ...] = ()

    def __post_init__(self) -> None:
        if not self.palette:
            colours = tuple((int(red), int(green), int(blue)) for red, green, blue in palette()[: len(self.classes)])
            object.__setattr__(self, "palette", colours)
        assert len(self.palette) == len(self.classes) <= 255
        assert self.background is None or self.background < len(self.classes)

    def facts(self) -> "TargetFacts":
        """As it stands in dataset.json."""
        return cast(TargetFacts, asdict(self))


class TargetFacts(TypedDict):
    """A target in a dataset.json."""

    classes: list[str]
    background: int | None
    average: Average
    palette: list[list[int]]


class Facts(TypedDict):
    """A dataset.json: `inputs` are channels by name, `sha256` is over the paths and contents of all other files."""

    format: str
    generated: bool
    inputs: dict[str, int]
    targets: dict[str, TargetFacts]
    images: int
    sha256: str


def read(folder: Path) -> Facts:
    """The facts of the dataset in `folder`."""
    return cast(Facts, read_json(folder / "dataset.json"))
