"""What the report is made of: the files of a profile, read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fcn.config import Config
from fcn.departures import Departure
from fcn.tables import Scored

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """What a folder or file below data/<profile> takes."""

    path: str
    files: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """The JSON files below data/<profile>, by run, table or source.

    `scores` is tables/scores.json, `tables` the papers' tables by key, `figures` the index of the figures, `cost` what
    the trainings took, `stages` what DVC's other stages did, by their names there. `views` are addresses by title.
    """

    config: Config
    scores: Json
    tables: Mapping[str, Json]
    figures: Json
    classes: Mapping[str, Json]
    cost: Mapping[str, Json]
    stages: Mapping[str, Json]
    timing: Json
    audit: Mapping[str, Json]
    splits: Json
    disk: Sequence[Disk]
    views: Mapping[str, str]

    @property
    def scored(self) -> list[Scored]:
        """The scores of every run, in the profile's order."""
        return [Scored(**row) for row in self.scores["scores"]]

    @property
    def departures(self) -> dict[str, list[Departure]]:
        """What each run does otherwise than the papers."""
        return {run: [Departure(**item) for item in found] for run, found in self.scores["departures"].items()}
