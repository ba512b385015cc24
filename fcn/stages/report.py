"""Stage: tables, figures, departures, costs and proofs as one page, in HTML and in Markdown."""

import shutil
from typing import Any

from fcn import tables
from fcn.config import Config
from fcn.errors import InputError
from fcn.files import existing, read_json, whole_folder
from fcn.publishing import redirects
from fcn.report import render
from fcn.report.material import Material
from fcn.stages.places import Places

# The stages before this one but the trainings, in the graph's order.
_STAGES = (
    "archives",
    "datasets",
    "splits",
    "classifiers",
    "weights",
    "fusions",
    "evaluate",
    "timing",
    "tables",
    "figures",
)


def run(config: Config, name: str | None) -> None:
    """Write report/report.html, report/report.md and report/figures/; print where the page is."""
    if name is not None:
        raise InputError(f"report takes no name, found {name!r}; write `python -m fcn report`")
    places = Places(config)
    content = material(config)
    files = [*places.figures.rglob("*.png"), *places.figures.rglob("*.jpg")]
    images = {file.relative_to(places.figures).as_posix(): file.read_bytes() for file in files}
    page, text = render.html(content, images=images), render.markdown(content)
    with whole_folder(places.report) as folder:
        (folder / "report.html").write_text(page, encoding="utf-8")
        (folder / "report.md").write_text(text, encoding="utf-8")
        (folder / "figures").mkdir()
        for figure in content.figures["figures"]:
            if figure["section"] in render.SHOWN:
                shutil.copy(places.figures / figure["file"], folder / "figures")
    print(f"The report is {places.report / 'report.html'}; the same in Markdown is beside it.")


def material(config: Config) -> Material:
    """Read what the report of a profile is made of."""
    places = Places(config)
    papers = {file.stem: read_json(file) for file in sorted(existing(places.tables).glob("*.json"))}
    scores = papers.pop("scores")
    return Material(
        config=config,
        numbers=tables.numbers_digest(places.tables),
        scores=scores,
        tables=papers,
        figures=read_json(places.figures / "index.json"),
        classes={run: read_json(file) for run in config.runs if (file := places.classes(run)).exists()},
        cost={run: read_json(file) for run in config.runs if (file := places.cost(run)).exists()},
        stages=_stages(config, places),
        timing={net: read_json(places.timing(net)) for net in config.nets},
        audit={name: read_json(places.audit(name)) for name in config.datasets},
        splits=read_json(places.audit("splits")),
        views={title: f"../views/{file}" for title, file in redirects.pages(papers).items()},
    )


def _stages(config: Config, places: Places) -> dict[str, Any]:
    """What the stages before the report took, trainings excepted, in the graph's order."""
    files = sorted(places.cost("").parent.glob("*.json"))
    named = [(file.stem.partition("@")[0], file) for file in files if file.stem not in config.runs]
    return {file.stem: read_json(file) for stage in _STAGES for of, file in named if of == stage}
