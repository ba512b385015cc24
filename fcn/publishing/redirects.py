"""A small page for every experiment that leads on to its view: its name is known before MLflow gives out ids."""

import re
from collections.abc import Mapping
from html import escape
from typing import Any

from fcn.paper.table import Table, every

TRAININGS, REPORT = "trainings", "report"


def filled(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, Table]:
    """The papers' tables of which a run fills at least one row; `tables` is what the stage of tables wrote, by key."""
    return {
        key: table
        for key, table in every().items()
        if not table.beside and key in tables and any(row["run"] is not None for row in tables[key]["rows"])
    }


def short_name(table: Table) -> str:
    """`CVPR Table 2`."""
    return f"{table.paper.split()[0]} {table.number}"


def pages(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The pages that `publish` makes of these tables: file names by title."""
    shown = {f"{table.paper}, {table.number}: {table.title}": short_name(table) for table in filled(tables).values()}
    shown |= {"Every training": TRAININGS, "The report, and whole tables": REPORT}
    return {title: file_name(name) for title, name in shown.items()}


def file_name(experiment: str) -> str:
    """`sample / CVPR Table 2` -> `cvpr-table-2.html`; the profile is the folder's business."""
    return re.sub(r"[^a-z0-9]+", "-", experiment.rpartition(" / ")[2].lower()).strip("-") + ".html"


def page(title: str, *, address: str) -> str:
    """HTML that leads a browser to `address`, so late that one can read what to do where nothing answers there."""
    target, words = escape(address), escape(title)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="refresh" content="3; url={target}">\n<title>{words}</title>\n</head>\n'
        f'<body>\n<p><a href="{target}">{words}</a>, in MLflow, in three seconds. <code>make ui</code> starts it;\n'
        "where it was given another <code>PORT</code>, its first page has the same link.</p>\n</body>\n</html>\n"
    )
