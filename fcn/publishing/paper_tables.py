"""The papers' tables as experiments: one run a printed row, ours, the paper's and the difference as metrics."""

from collections.abc import Mapping
from dataclasses import replace
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
            note=_row_note(row, found),
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
        columns=columns("metrics", *_names(table)) + columns("tags", "run", *unconfirmed),
        entries=entries,
    )


def whole(
    tables: Mapping[str, tuple[Table, Mapping[str, Any]]],
    *,
    files: Mapping[str, Mapping[str, Path]],
    origin: Mapping[str, str],
    profile: str,
) -> Experiment:
    """One run for the report with what belongs to all runs, then one a filled table.

    `files` are artifacts by the table's key, and by "report".
    """
    rows = [Entry(name="report", tags={"what": "report, figures and scores"}, files=files["report"])]
    rows += [
        Entry(name=short_name(table), tags={"what": table.title}, files=files[key], table=_by_column(table, found))
        for key, (table, found) in tables.items()
    ]
    return Experiment(
        name=f"{profile} / {REPORT}",
        title="The report, and whole tables as artifacts",
        note=about(profile),
        columns=columns("tags", "what"),
        entries=[replace(row, origin={**place(index), **origin}) for index, row in enumerate(rows)],
    )


def names(item: str) -> tuple[str, str, str]:
    """The metrics of one of the table's columns: ours, the paper's, the difference."""
    return item, f"paper.{item}", f"delta.{item}"


def _names(table: Table) -> list[str]:
    return [name for item in table.columns for name in names(item)]


def _metrics(row: Mapping[str, Any]) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for item, cell in row["cells"].items():
        ours, paper, difference = names(item)
        metrics[paper] = cell["paper"]
        if cell["ours"] is not None:
            metrics[ours], metrics[difference] = rounded(cell["ours"]), rounded(cell["difference"])
    return metrics


def _tags(row: Mapping[str, Any]) -> dict[str, str]:
    tags = {"run": row["run"] or ("not run" if row["not_run"] else "-")}
    unconfirmed = [METRICS[item] for item, cell in row["cells"].items() if not cell["confirmed"]]
    if unconfirmed:
        tags["unconfirmed"] = "all" if len(unconfirmed) == len(row["cells"]) else ", ".join(unconfirmed)
    return tags


def _by_column(table: Table, found: Mapping[str, Any]) -> dict[str, list[str | float | None]]:
    """The whole table by column, for MLflow's log_table.

    MLflow's page takes a dot in the name of such a column for a path and shows nothing there: `paper mean_iu`.
    """
    metrics = [_metrics(row) for row in found["rows"]]
    return {
        "row": [row["row"] for row in found["rows"]],
        **{name.replace(".", " "): [row.get(name) for row in metrics] for name in _names(table)},
        "run": [_tags(row)["run"] for row in found["rows"]],
    }


def _row_note(row: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    sources = dict.fromkeys(cell["source"] for cell in row["cells"].values())
    others = [item for item in found["others"] if item["row"] == row["row"]]
    lines = [f"- mean IU {item['mean_iu']:.2f}: {item['who']}, {item['label']} ({item['source']})" for item in others]
    return "\n".join([f"Printed: {'; '.join(sources)}.", *lines])


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
