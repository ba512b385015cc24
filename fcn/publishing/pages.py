"""The report, the shared figures and whole tables as an experiment."""

from collections.abc import Mapping, Sequence
from typing import Any

from fcn.paper.table import Table
from fcn.publishing.ledger import Entry, Experiment, Upload, View, about, place, tag
from fcn.publishing.printed import columns_of, short_name


def experiment(
    tables: Mapping[str, tuple[Table, Mapping[str, Any]]],
    *,
    files: Mapping[str, Sequence[Upload]],
    report: Sequence[Upload],
    origin: Mapping[str, str],
    profile: str,
) -> Experiment:
    """One run for the report with what belongs to all runs, then one a filled table; `files` are a table's by key."""
    entries = [
        Entry(
            name="report",
            tags={"row": place(0), "what": "report, figures and scores"},
            origin=origin,
            uploads=report,
        )
    ]
    for index, (key, (table, found)) in enumerate(tables.items(), start=1):
        entries.append(
            Entry(
                name=short_name(table),
                tags={"row": place(index), "what": table.title},
                origin=origin,
                uploads=files.get(key, ()),
                table=columns_of(found, items=table.columns),
            )
        )
    return Experiment(
        name=f"{profile} / report",
        title="The report, and whole tables as artifacts",
        note=about(profile),
        view=View(columns=[tag("what")], order_by=tag("row")),
        entries=entries,
    )
