"""The papers' tables in the report: those with a number of ours open, the others folded."""

from collections.abc import Mapping
from typing import Any

from fcn import tables
from fcn.paper.table import METRICS
from fcn.report.document import Fold, Grid, Item, Section, Text
from fcn.report.material import Json, Material

_PAPERS = ("cvpr_", "pami_")


def section(material: Material) -> Section:
    """The printed tables, ours and the difference beside; others' reproductions and what nobody ran here folded."""
    papers = {key: table for key, table in material.tables.items() if key.startswith(_PAPERS)}
    filled = {key: table for key, table in papers.items() if is_filled(table)}
    items: list[Item] = [
        Text(
            text="Printed, ours, and ours less the printed number. “not run”: the profile has no such run; "
            "“-”: nothing here could fill it."
        )
    ]
    for table in filled.values():
        items.append(grid(table))
        if table["others"]:
            items.append(Fold(title=f"{_name(table)}: what others got", items=[_others(table)]))
    empty = [table for key, table in papers.items() if key not in filled]
    if empty:
        items.append(
            Fold(title=f"{len(empty)} printed tables of which nothing was run", items=[_plain(t) for t in empty])
        )
    rest = [table for key, table in material.tables.items() if key not in papers]
    if rest:
        title = f"{len(rest)} tables of others, with ours beside where we have the run"
        items.append(Fold(title=title, items=[grid(table) if is_filled(table) else _plain(table) for table in rest]))
    return Section(key="papers", title="The papers’ tables", items=items)


def is_filled(table: Json) -> bool:
    """Whether some cell has a number of ours."""
    return any(cell["ours"] is not None for row in table["rows"] for cell in row["cells"].values())


def grid(table: Json) -> Grid:
    """A printed table with ours beside, and the run that fills each row."""
    rows, columns = _rows(table), _columns(table)
    _, lines = tables.paper_texts(rows, columns)
    head = ["row", "our run"]
    under = ["", ""]
    for metric in columns:
        head += [METRICS[metric], "ours", "difference"]
        under += ["printed", "ours", "diff."]
    return Grid(
        title=f"{_name(table)}: {table['title']}",
        head=head,
        lines=[[line[0], row.run or "", *line[1:]] for row, line in zip(rows, lines, strict=True)],
        left=["our run"],
        note=_note(table),
        over=[("", 2), *((METRICS[metric], 3) for metric in columns)],
        under=["row", "our run", *under[2:]],
    )


def _plain(table: Json) -> Grid:
    """A printed table alone."""
    rows, columns = _rows(table), _columns(table)
    _, lines = tables.paper_texts(rows, columns)
    absent = {True: "not run", False: "-"}
    return Grid(
        title=f"{_name(table)}: {table['title']}",
        head=["row", *(METRICS[metric] for metric in columns), "ours"],
        lines=[[line[0], *line[1::3], absent[row.possible]] for row, line in zip(rows, lines, strict=True)],
        note=_note(table),
    )


def _others(table: Json) -> Grid:
    head, lines = tables.other_texts([tables.Other(**item) for item in table["others"]])
    return Grid(title=f"{_name(table)}: others, on the same rows", head=head, lines=lines)


def _name(table: Json) -> str:
    return f"{table['paper']}, {table['number']}"


def _note(table: Json) -> str:
    """Where the numbers are from."""
    parts = [f"Printed: {table['dataset']}, {table['split']}.", table["note"]]
    if any(row["run"] for row in table["rows"]):
        parts.append(f"Departures of ours: {', '.join(table['departures']) or 'none'}.")
    if any(not cell["confirmed"] for row in table["rows"] for cell in row["cells"].values()):
        parts.append(f"{tables.UNCONFIRMED} as reported; found in no text.")
    return " ".join(part for part in parts if part)


def _columns(table: Json) -> list[str]:
    return [metric for metric in METRICS if any(metric in row["cells"] for row in table["rows"])]


def _rows(table: Json) -> list[tables.Filled]:
    return [
        tables.Filled(
            label=row["row"],
            run=row["run"],
            possible=row["not_run"] or row["run"] is not None,
            cells={metric: _cell(cell) for metric, cell in row["cells"].items()},
        )
        for row in table["rows"]
    ]


def _cell(cell: Mapping[str, Any]) -> tables.Cell:
    return tables.Cell(paper=cell["paper"], confirmed=cell["confirmed"], source=cell["source"], ours=cell["ours"])
