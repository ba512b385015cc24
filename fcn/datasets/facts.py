"""What a dataset says of itself in its dataset.json: inputs, targets with their classes and colours, a digest."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from fcn.datasets.labels import palette
from fcn.errors import InputError
from fcn.files import read_json

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One thing that every pixel is labelled with, such as "semantic": its classes, in the order of their indices.

    `background` is the index of what is none of the others, where there is such a class. `average` says which
    classes a mean of IU is taken over: those seen in truth or answer, or those in the truth. `palette` has a colour
    a class; without one it is the VOC devkit's.
    """

    classes: tuple[str, ...]
    background: int | None
    average: Literal["seen", "truth"]
    palette: tuple[Colour, ...] = ()

    def __post_init__(self) -> None:
        if not self.palette:
            colours = tuple((int(red), int(green), int(blue)) for red, green, blue in palette()[: len(self.classes)])
            object.__setattr__(self, "palette", colours)
        assert len(self.palette) == len(self.classes) <= 255
        assert self.background is None or 0 <= self.background < len(self.classes)
        assert all(0 <= value <= 255 for colour in self.palette for value in colour)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A dataset.json. `inputs` are channels by name, `sha256` is over the paths and contents of all other files."""

    format: str
    generated: bool
    inputs: Mapping[str, int]
    targets: Mapping[str, Target]
    images: int
    sha256: str

    def as_json(self) -> dict[str, Any]:
        """As it stands in the file."""
        return asdict(self)


def of_heads(heads: Mapping[str, int], known: Mapping[str, Target], *, dataset: str, where: str) -> dict[str, Target]:
    """What a net's heads tell apart, as the dataset names it; `heads` are numbers of classes by target.

    Raises InputError for a head that the dataset has no labels for, or another number of classes.
    """
    for target, classes in heads.items():
        if target not in known:
            raise InputError(f"{where} has a head {target!r}, but the labels of {dataset} are: {', '.join(known)}")
        if (count := len(known[target].classes)) != classes:
            raise InputError(
                f"{where} has {classes} classes for {target!r}, but {dataset} has {count}; "
                f"write heads: {{{target}: {count}}}"
            )
    return {target: known[target] for target in heads}


def check_inputs(inputs: Sequence[str], known: Mapping[str, int], *, dataset: str, where: str) -> None:
    """Raise InputError for an input of a net that the dataset hasn't."""
    if lacking := [name for name in inputs if name not in known]:
        raise InputError(f"{where} takes {', '.join(lacking)}, but {dataset} has: {', '.join(known)}")


def read(folder: Path) -> Facts:
    """The facts of the dataset in `folder`."""
    values: dict[str, Any] = read_json(folder / "dataset.json")
    return Facts(**{**values, "targets": {name: _target(found) for name, found in values["targets"].items()}})


def _target(values: Mapping[str, Any]) -> Target:
    colours = tuple((red, green, blue) for red, green, blue in values["palette"])
    return Target(**{**values, "classes": tuple(values["classes"]), "palette": colours})
