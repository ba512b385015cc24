"""What a printed table is, and the list of all of them: a TOML file beside this one for each paper."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

FILES = ("cvpr2015.toml", "pami2016.toml", "released.toml", "reproductions.toml")

# Percent unless the unit says otherwise; the order is the order of columns: first what the papers judge by.
METRICS: Mapping[str, str] = MappingProxyType(
    {
        "mean_iu": "mean IU",
        "pixel_acc": "pixel acc.",
        "mean_acc": "mean acc.",
        "fw_iu": "f.w. IU",
        "geometric_pixel_acc": "geom. acc.",
        "mean_iu_seen": "mean IU, all seen",
        "mean_iu_voc2011": "mean IU VOC2011",
        "mean_iu_voc2012": "mean IU VOC2012",
        "mean_iu_upper_bound": "mean IU, upper bound",
        "mean_iu_excl_background": "mean IU without background",
        "percent": "percent",
        "forward_ms": "forward time (ms)",
        "backward_ms": "backward time (ms)",
        "inference_s": "inference (s)",
        "speedup_convnet_only": "times faster, network alone",
        "speedup_overall": "times faster, overall",
        "conv_layers": "conv. layers",
        "parameters_M": "parameters (M)",
        "rf_size": "rf size (px)",
        "max_stride": "max stride (px)",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """A printed number. `confirmed` is False for one that was found in no text and no code: a hint, never a target."""

    value: float
    source: str
    confirmed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A printed row. `runs` may fill it: the first of these names that a profile has.

    `architecture` is the full-size network (fcn/nets/backbones) whose structure the row prints, if it prints that.
    """

    label: str
    cells: Mapping[str, Printed]
    runs: tuple[str, ...] = ()
    architecture: str = ""

    def __post_init__(self) -> None:
        unknown = set(self.cells) - set(METRICS)
        assert not unknown, f"{self.label}: no such metric: {unknown}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A printed table, or numbers of a text. Rows and columns are in the printed order.

    `beside` is the key of the papers' table that this one, of somebody else, did again.
    """

    key: str
    paper: str
    number: str
    title: str
    dataset: str
    split: str
    rows: tuple[Row, ...]
    note: str = ""
    beside: str = ""
    columns: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", tuple(m for m in METRICS if any(m in row.cells for row in self.rows)))


@cache
def every() -> Mapping[str, Table]:
    """All printed tables by key, `cvpr_table1` for one, in the order of the files and of what they hold."""
    found: dict[str, Table] = {}
    for name in FILES:
        tables = read(Path(__file__).with_name(name))
        assert not found.keys() & tables, f"two printed tables are called {found.keys() & tables}"
        found |= tables
    return MappingProxyType(found)


def read(path: Path) -> dict[str, Table]:
    """The tables of one file by key.

    `[defaults]` are fields that tables have where they don't say otherwise, `[sources]` where numbers are from, by a
    short name. An AssertionError or KeyError names what doesn't fit.
    """
    values = tomllib.loads(path.read_text(encoding="utf-8"))
    defaults = values.pop("defaults")
    sources = {name: _source(entry) for name, entry in values.pop("sources").items()}
    return {key: _table(key, {**defaults, **entry}, sources=sources) for key, entry in values.items()}


def _source(entry: str | Mapping[str, Any]) -> tuple[str, bool]:
    """A source in words, and whether its numbers are confirmed."""
    return (entry, True) if isinstance(entry, str) else (entry["text"], entry["confirmed"])


def _table(key: str, entry: dict[str, Any], *, sources: Mapping[str, tuple[str, bool]]) -> Table:
    """A table as its TOML has it: a number a column for each of `rows`, "" for none.

    `sources` names the source of a whole row or of single cells that isn't `source`; `runs` and `architectures` are
    by row.
    """
    columns, rows = entry.pop("columns"), entry.pop("rows")
    usual, special = entry.pop("source"), entry.pop("sources", {})
    runs, architectures = entry.pop("runs", {}), entry.pop("architectures", {})
    astray = {*special, *runs, *architectures} - set(rows)
    assert not astray, f"{key}: no such row: {astray}"
    lacking = [label for label, numbers in rows.items() if len(numbers) != len(columns)]
    assert not lacking, f"{key}: not {len(columns)} numbers, one a column: {lacking}"
    made = []
    for label, numbers in rows.items():
        its = special.get(label, usual)
        cells = {}
        for metric, value in zip(columns, numbers, strict=True):
            if value != "":
                text, confirmed = sources[its if isinstance(its, str) else its.get(metric, usual)]
                cells[metric] = Printed(value=value, source=text, confirmed=confirmed)
        made.append(
            Row(label=label, cells=cells, runs=tuple(runs.get(label, ())), architecture=architectures.get(label, ""))
        )
    return Table(key=key, rows=tuple(made), **entry)
