"""The numbers that all ledgers must share: those of the metric files, and whether another place has the same."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fcn.config import Config
from fcn.stages.places import Places

SCORES = "Scores of all runs"
_FRACTIONS = ("pixel_acc", "mean_acc", "mean_iu", "fw_iu", "background_mean_iu")
_CLOSE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """What scores/, timing.json and tables/ have: `scores` by run as evaluate wrote them, `timing` seconds by run.

    `lines` is tables/scores.json by run, `tables` the papers' by key.
    """

    scores: Mapping[str, Mapping[str, Any]]
    timing: Mapping[str, Mapping[str, Any]]
    lines: Mapping[str, Mapping[str, Any]]
    tables: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """One number of a papers' table. `kind` is what of a cell it is: paper, ours or difference."""

    table: str
    row: str
    metric: str
    kind: str
    value: float


def read(config: Config) -> Files:
    """Read them; raises OSError or ValueError for what is missing or no JSON."""
    places = Places(config)
    tables = {path.stem: _json(path) for path in sorted(places.tables.glob("*.json"))}
    return Files(
        scores={run: _json(places.scores(run)) for run in config.runs if places.scores(run).exists()},
        timing=_json(places.timing)["runs"],
        lines={line["run"]: line for line in tables.pop("scores", {"scores": []})["scores"]},
        tables=tables,
    )


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from None


def of_table(key: str, table: Mapping[str, Any]) -> Iterator[Number]:
    """The numbers of a table's rows that have one of ours, cell by cell."""
    for row in table["rows"]:
        for metric, cell in row["cells"].items():
            if cell["ours"] is not None:
                for kind in ("paper", "ours", "difference"):
                    yield Number(table=key, row=row["row"], metric=metric, kind=kind, value=cell[kind])


def among_themselves(files: Files) -> list[str]:
    """Where the tables have another number than scores/ and timing.json."""
    found = []
    for run, line in files.lines.items():
        wanted = {metric: _percent(files.scores.get(run, {}).get(metric)) for metric in _FRACTIONS}
        seconds = files.timing.get(run, {}).get("seconds_per_image")
        wanted["forward_ms"] = None if seconds is None else 1000 * seconds
        for metric, value in wanted.items():
            if not _equal(line["numbers"].get(metric), value):
                found.append(f"tables/scores.json, {run}, {metric}: {line['numbers'].get(metric)}, scores/ has {value}")
    found += [f"tables/scores.json has no {run}" for run in files.scores if run not in files.lines]
    for key, table in files.tables.items():
        runs = {row["row"]: row["run"] for row in table["rows"]}
        cells = {(row["row"], metric): cell for row in table["rows"] for metric, cell in row["cells"].items()}
        for number in of_table(key, table):
            wanted_here = files.lines.get(runs[number.row] or "", {}).get("numbers", {}).get(number.metric)
            cell = cells[number.row, number.metric]
            if number.kind == "ours" and wanted_here is not None and not _equal(number.value, wanted_here):
                found.append(f"tables/{key}.json, {number.row}, {number.metric}: {number.value}, not {wanted_here}")
            if number.kind == "difference" and not _equal(number.value, cell["ours"] - cell["paper"]):
                found.append(f"tables/{key}.json, {number.row}, {number.metric}: difference {number.value}")
    return found


def _percent(fraction: float | None) -> float | None:
    return None if fraction is None or math.isnan(fraction) else 100 * fraction


def _equal(one: float | None, other: float | None) -> bool:
    return one is other or (one is not None and other is not None and abs(one - other) < _CLOSE)


def is_shown(text: str | None, value: float | None) -> bool:
    """Whether a text like `59.8`, `+1.3`, `134,346` or `60.0†` is that number, as far as its decimals go."""
    if value is None or text is None:
        return value is None and text in (None, "", "-", "not run")
    match = re.fullmatch(r"([+-]?[\d,]*)(?:\.(\d+))?(e[+-]?\d+)?", text.strip().rstrip("†"))
    if match is None or not any(letter.isdigit() for letter in text):
        return False
    shown = float(match.group().replace(",", ""))
    return abs(shown - value) <= 0.5 * 10.0 ** -len(match[2] or "") + _CLOSE
