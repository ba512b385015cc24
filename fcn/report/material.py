"""What the report is made of: the files of a profile, read."""

from collections.abc import Mapping
from dataclasses import dataclass

from fcn.config import Config
from fcn.tables import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """The JSON files below data/<profile>, by run, table, net or dataset.

    `numbers` is the digest of tables/, `scores` is tables/scores.json, `tables` the papers' tables by key, `figures`
    the index of the figures, `cost` what the trainings took, `stages` what the other stages did, by their names in DVC.
    `views` are addresses by title.
    """

    config: Config
    numbers: str
    scores: Json
    tables: Mapping[str, Json]
    figures: Json
    classes: Mapping[str, Json]
    cost: Mapping[str, Json]
    stages: Mapping[str, Json]
    timing: Mapping[str, Json]
    audit: Mapping[str, Json]
    splits: Json
    views: Mapping[str, str]

    @property
    def follows(self) -> bool:
        """Whether any run follows a paper, and so is compared with it."""
        return any(run.regime != "none" for run in self.config.runs.values())
