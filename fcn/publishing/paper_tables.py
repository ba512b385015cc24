"""The papers' tables as experiments: one run a printed row, ours, the paper's and the difference as metrics."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fcn.paper.table import METRICS, Table
from fcn.publishing.experiment import Entry, Experiment, about, columns, place, rounded
from fcn.publishing.redirects import REPORT, short_name


def experiment(
    table: Table, found: Mapping[str, Any], *, origins: Mapping[str, Mapping[str, str]], profile: str
) -> Experiment:
    """A printed table's experiment, from its file. `origins` are tags by run, "" for rows without one."""
    entries = [
        Entry(
            name=row["row"],
            note=_row_note(row, found, table=table),
            metrics=_metrics(row),
            tags=_tags(row),
            origin={**place(index), **origins[row["run"] or ""]},
        )
        for index, row in enumerate(found["rows"])
    ]
    unconfirmed = ["unconfirmed"] if any("unconfirmed" in entry.tags for entry in entries) else []
    return Experiment(
        name=f"{profile} / {short_name(table)}",
        title=f"{table.paper}, {table.number}: {table.title}",
        note=_note(table, found, profile=profile),
        columns=columns("metrics", *(name for item in table.columns for name in _names(item)))
        + columns("tags", "run", *unconfirmed),
        entries=entries,
    )


def report(files: Mapping[str, Path], *, origin: Mapping[str, str], profile: str) -> Experiment:
    """One run with what belongs to all others: the report, the whole tables, the figures; `files` are by artifact."""
    return Experiment(
        name=f"{profile} / {REPORT}",
        title="The report, and whole tables as artifacts",
        note=about(profile),
        columns=columns("tags", "what"),
        entries=[
            Entry(
                name="report",
                note="The report, the whole tables and the figures that belong to no single run, as artifacts.",
                tags={"what": "report, tables and figures"},
                origin=origin,
                files=files,
            )
        ],
    )


def _names(item: str) -> tuple[str, str, str]:
    """The metrics of one of the table's columns: ours, the paper's, the difference."""
    return item, f"paper.{item}", f"delta.{item}"


def _metrics(row: Mapping[str, Any]) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for item, cell in row["cells"].items():
        ours, paper, difference = _names(item)
        if cell["ours"] is not None:
            metrics[ours] = rounded(cell["ours"])
        metrics[paper] = cell["paper"]
        if cell["ours"] is not None:
            metrics[difference] = rounded(cell["difference"])
    return metrics


def _tags(row: Mapping[str, Any]) -> dict[str, str]:
    tags = {"run": row["run"] or ("not run" if row["not_run"] else "-")}
    unconfirmed = [METRICS[item] for item, cell in row["cells"].items() if not cell["confirmed"]]
    if unconfirmed:
        tags["unconfirmed"] = "all" if len(unconfirmed) == len(row["cells"]) else ", ".join(unconfirmed)
    return tags


def _row_note(row: Mapping[str, Any], found: Mapping[str, Any], *, table: Table) -> str:
    what = f"The row `{row['row']}` of {table.paper}, {table.number}"
    if row["run"]:
        what += f"; ours is the training `{row['run']}`, `paper.` what is printed, `delta.` ours less that."
    else:
        what += " as it is printed, with `paper.` before each number; no training of ours stands beside it."
    sources = dict.fromkeys(cell["source"] for cell in row["cells"].values())
    others = [item for item in found["others"] if item["row"] == row["row"]]
    lines = [f"- mean IU {item['mean_iu']:.2f}: {item['who']}, {item['label']} ({item['source']})" for item in others]
    return "\n".join([f"{what}\n\nPrinted: {'; '.join(sources)}.", *lines])


def _note(table: Table, found: Mapping[str, Any], *, profile: str) -> str:
    lines = [
        about(profile),
        f"Printed: {table.dataset}, {table.split}. {table.note}".strip(),
        "`mean_iu` and its like are ours, `paper.` is what is printed, `delta.` ours less that: percent, except for "
        "times and the networks' structure. A row without ours was not run here, or is somebody else's.",
        f"Departures of ours: {', '.join(found['departures']) or 'none'}.",
    ]
    if any(not cell["confirmed"] for row in found["rows"] for cell in row["cells"].values()):
        lines.append(
            "Numbers named under `unconfirmed` are as reported; they were found in no text, and are no targets."
        )
    return "\n\n".join(lines)
