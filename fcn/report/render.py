"""The report as one HTML file that is whole in itself, and as Markdown with its figures beside it."""

import base64
import re
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from fcn import tables
from fcn.report import summary
from fcn.report.grids import grids
from fcn.report.material import Material

_TYPES = {"png": "image/png", "jpg": "image/jpeg"}
_SECTIONS = {
    "pictures": "Segmentations",
    "curves": "Learning curves",
    "results": "Scores",
    "papers": "The papers’ tables",
    "score-maps": "Score maps",
    "classes": "Classes",
    "departures": "Departures from the papers",
    "cost": "Environment, time, memory, disk",
    "data": "Data",
    "mlflow": "In MLflow",
    "rebuild": "How to make it again",
}
_OF_PAPERS = ("papers", "departures")  # sections that say nothing where no run follows one
_OF_FIGURES = {"score-maps": "score maps", "curves": "curves"}  # sections that are nothing else
SHOWN = ("scores", "segmentations", "score maps", "curves", "classes")  # of the sections that figures are of


def html(material: Material, *, images: Mapping[str, bytes]) -> str:
    """The page; `images` are the bytes of every file of the figures' index."""
    return _rendered(material, layout="html.jinja", images=images).lstrip()


def markdown(material: Material) -> str:
    """The page, which shows the figures of a folder `figures` beside it."""
    return re.sub(r"\n{3,}", "\n\n", _rendered(material, layout="markdown.jinja", images={})).strip() + "\n"


def _rendered(material: Material, *, layout: str, images: Mapping[str, bytes]) -> str:
    environment = Environment(
        loader=PackageLoader("fcn.report", package_path="."),
        autoescape=layout == "html.jinja",  # noqa: S701 -- in Markdown an escaped & would stand as &amp;
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["inline"] = lambda file: _inline(file, images[file])
    environment.filters["slug"] = lambda text: re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    figures, switches = material.figures["figures"], material.figures["switches"]
    there = {figure["section"] for figure in figures}
    return environment.get_template("report.jinja").render(
        layout=layout,
        numbers=material.numbers,
        title=summary.title(material),
        summary=summary.words(material),
        facts=summary.facts(material),
        sections={
            key: title
            for key, title in _SECTIONS.items()
            if _OF_FIGURES.get(key) in (None, *there) and (material.follows or key not in _OF_PAPERS)
        },
        grids=grids(material),
        printed=_printed(material),
        figures=figures,
        switches=switches,
        layers=max((len(switch["heads"]) for switch in switches), default=0),
        views=material.views,
        commands=summary.commands(material),
    )


def _printed(material: Material) -> dict[str, Any]:
    """The printed tables: those with a number of ours, each with what others got, those without, and others' own."""
    papers = {key: table for key, table in material.tables.items() if key.startswith(("cvpr_", "pami_"))}
    filled = [table for table in papers.values() if tables.is_filled(table)]
    return {
        "filled": [(tables.paper_grid(t), tables.others_grid(t) if t["others"] else None) for t in filled],
        "empty": [tables.paper_grid(table) for table in papers.values() if not tables.is_filled(table)],
        "others": [tables.paper_grid(table) for key, table in material.tables.items() if key not in papers],
    }


def _inline(file: str, content: bytes) -> str:
    """A file as a data address."""
    kind = _TYPES[file.rpartition(".")[2]]
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
