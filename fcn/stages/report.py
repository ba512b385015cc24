"""Stage: tables, figures, departures, costs and proofs as one page, in HTML and in Markdown."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fcn.config import Config
from fcn.errors import InputError
from fcn.publishing import redirects
from fcn.report.html import html
from fcn.report.markdown import markdown
from fcn.report.material import Disk, Material
from fcn.report.pages import document
from fcn.stages.places import Places, existing, read_json, whole_folder

# Folders and files whose size the page has, in the graph's order; what lies in folders of one file a source or a run
# is counted by source or run where it is large.
_BY_NAME = ("archives", "raw", "labels", "weights", "nets")


def run(config: Config, name: str | None) -> None:
    """Write report/report.html, report/report.md and report/figures/; print where the page is."""
    if name is not None:
        raise InputError(f"report takes no name, found {name!r}; write `python -m fcn report`")
    places = Places(config)
    content = document(material(config))
    images = {file.relative_to(places.figures).as_posix(): file.read_bytes() for file in _pictures(places)}
    with whole_folder(places.report) as folder:
        (folder / "report.html").write_text(html(content, images=images), encoding="utf-8")
        (folder / "report.md").write_text(markdown(content, figures="figures"), encoding="utf-8")
        (folder / "figures").mkdir()
        for picture in content.pictures():
            shutil.copyfile(places.figures / picture.file, folder / "figures" / picture.name)
    print(f"The report is {places.report / 'report.html'}; the same in Markdown is beside it.")


def material(config: Config) -> Material:
    """Read what the report of a profile is made of."""
    places = Places(config)
    tables = {file.stem: _json(file) for file in sorted(existing(places.tables).glob("*.json"))}
    return Material(
        config=config,
        scores=tables.pop("scores"),
        tables=tables,
        figures=read_json(places.figures / "index.json"),
        classes={run: _json(file) for run in config.runs if (file := places.classes(run)).exists()},
        cost={run: _json(file) for run in config.runs if (file := places.cost(run)).exists()},
        stages=_stages(config, places),
        timing=read_json(places.timing),
        audit={source: read_json(places.audit(source)) for source in config.sources},
        splits=read_json(places.audit("splits")),
        disk=_disk(places),
        views=_views(tables),
    )


def _views(tables: Mapping[str, Any]) -> dict[str, str]:
    """What `publish` makes of these tables, by title: pages that it writes, for MLflow's own addresses come last."""
    return {title: f"../views/{file}" for title, file in redirects.pages(tables).items()}


def _stages(config: Config, places: Places) -> dict[str, Any]:
    """What the stages before the report took, trainings excepted, in the graph's order."""
    named = [
        *((stage, source) for stage in ("archives", "raw", "labels") for source in config.sources),
        ("splits", None),
        *(("weights", entry) for entry in config.weights),
        *(("evaluate", run) for run in config.runs),
        *((stage, None) for stage in ("timing", "tables", "figures")),
    ]
    files = [places.stage_cost(stage, name) for stage, name in named]
    return {file.stem: _json(file) for file in files if file.exists()}


def _json(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


def _pictures(places: Places) -> list[Path]:
    return sorted(file for file in places.figures.rglob("*") if file.suffix in (".png", ".jpg"))


def _disk(places: Places) -> list[Disk]:
    """What each part of the profile's data takes."""
    found = []
    for room in _BY_NAME:
        for path in sorted((places.data / room).iterdir()):
            if not path.name.startswith("."):
                found.append(_measured(path, places.data))
    return found


def _measured(path: Path, data: Path) -> Disk:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    size = sum(file.stat().st_size for file in files)
    return Disk(path=path.relative_to(data).as_posix(), files=len(files), bytes=size)
