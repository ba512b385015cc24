"""The papers' tables as experiments: one run a printed row, ours, the paper's and the difference as metrics."""

from collections.abc import Mapping, Sequence
from typing import Any

from fcn.paper.table import METRICS, Table
from fcn.publishing.ledger import Entry, Experiment, View, about, metric, place, rounded, tag


def is_filled(table: Mapping[str, Any]) -> bool:
    """Whether a run of the profile fills at least one row; `table` is what the stage of tables wrote."""
    return any(row["run"] is not None for row in table["rows"])


def short_name(table: Table) -> str:
    """`CVPR Table 2`."""
    return f"{table.paper.split()[0]} {table.number}"


def experiment(
    table: Table, found: Mapping[str, Any], *, origins: Mapping[str, Mapping[str, str]], profile: str
) -> Experiment:
    """A printed table's experiment, from its file. `origins` are tags by run, "" for rows without one."""
    rows = [
        _entry(row, index, note=_row_note(row, found), origin=origins[row["run"] or ""])
        for index, row in enumerate(found["rows"])
    ]
    columns = [metric(name) for item in table.columns for name in names(item)]
    unconfirmed = [tag("unconfirmed")] if any("unconfirmed" in row.tags for row in rows) else []
    return Experiment(
        name=f"{profile} / {short_name(table)}",
        title=f"{table.paper}, {table.number}: {table.title}",
        note=_note(table, found, profile=profile),
        view=View(columns=(*columns, tag("run"), *unconfirmed), order_by=tag("row")),
        entries=rows,
    )


def names(item: str) -> tuple[str, str, str]:
    """The metrics of one of the table's columns: ours, the paper's, the difference."""
    return item, f"paper.{item}", f"delta.{item}"


def columns_of(found: Mapping[str, Any], *, items: Sequence[str]) -> dict[str, list[str | float | None]]:
    """The whole table by column, for MLflow's log_table.

    MLflow's page takes a dot in the name of such a column for a path and shows nothing there: `paper mean_iu`.
    """
    rows = [_entry(row, index, note="", origin={}) for index, row in enumerate(found["rows"])]
    table: dict[str, list[str | float | None]] = {"row": [row.name for row in rows]}
    for item in items:
        for name in names(item):
            table[name.replace(".", " ")] = [row.metrics.get(name) for row in rows]
    return {**table, "run": [row.tags["run"] for row in rows]}


def _entry(row: Mapping[str, Any], index: int, *, note: str, origin: Mapping[str, str]) -> Entry:
    metrics: dict[str, float] = {}
    for item, cell in row["cells"].items():
        ours, paper, difference = names(item)
        metrics[paper] = cell["paper"]
        if cell["ours"] is not None:
            metrics[ours], metrics[difference] = rounded(cell["ours"]), rounded(cell["difference"])
    unconfirmed = [METRICS[item] for item, cell in row["cells"].items() if not cell["confirmed"]]
    tags = {"row": place(index), "run": row["run"] or ("not run" if row["not_run"] else "-")}
    if unconfirmed:
        tags["unconfirmed"] = "all" if len(unconfirmed) == len(row["cells"]) else ", ".join(unconfirmed)
    return Entry(name=row["row"], note=note, metrics=metrics, tags=tags, origin=origin)


def _row_note(row: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    sources = dict.fromkeys(cell["source"] for cell in row["cells"].values())
    lines = [f"Printed: {'; '.join(sources)}."]
    others = [item for item in found["others"] if item["row"] == row["row"]]
    lines += [f"- mean IU {item['mean_iu']:.2f}: {item['who']}, {item['label']} ({item['source']})" for item in others]
    return "\n".join(lines)


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
