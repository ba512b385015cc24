"""From a profile's files to the report's sections."""

from collections.abc import Sequence

from fcn import tables
from fcn.entries import Run
from fcn.report import costs, data, papers, texts
from fcn.report.document import (
    Commands,
    Document,
    Fold,
    Grid,
    Item,
    Layered,
    Links,
    Picture,
    Section,
    Switch,
    Text,
)
from fcn.report.material import Json, Material

TITLE = "Fully Convolutional Networks for Semantic Segmentation, reproduced"


def document(material: Material) -> Document:
    """The whole report."""
    sections = [
        _results(material),
        papers.section(material),
        _pictures(material),
        _figures(material, ("score maps",), key="score-maps", title="Score maps"),
        _figures(material, ("curves",), key="curves", title="Losses"),
        _classes(material),
        _departures(material),
        costs.section(material),
        data.section(material),
        _mlflow(material),
        _rebuild(material),
    ]
    return Document(
        title=f"{TITLE}: profile {material.config.profile}",
        summary=_summary(material),
        facts=_facts(material),
        sections=[section for section in sections if section.items],
    )


def _summary(material: Material) -> str:
    """What it comes to, in words around the files' numbers."""
    scored = {row.run: row for row in material.scored if row.numbers["mean_iu"] is not None}
    best = max(scored.values(), key=lambda row: row.numbers["mean_iu"] or 0)
    parts = [
        f"{len(scored)} of {len(material.config.runs)} runs are trained and scored. The best, {best.run}, has a mean "
        f"IU of {best.numbers['mean_iu']:.1f} on {best.images} images of {best.val}; answering background everywhere "
        f"has {best.numbers['background_mean_iu']:.1f}."
    ]
    for switch in material.figures["switches"]:
        if switch["gain"]:
            steps = [
                f"{scored[run].numbers['mean_iu']:.1f} ({head})"
                for head, run in zip(switch["heads"][1:-1], switch["runs"], strict=True)
            ]
            parts.append(f"Along the chain to {switch['runs'][-1]} mean IU is {', '.join(steps)}.")
    kinds = {material.config.sources[run.val.source].kind for run in material.config.runs.values()}
    if "sample" in kinds:
        parts.append(
            "The pictures are generated and the networks narrow: what can be compared with the papers is the order of "
            "the networks, never a number."
        )
    elif "local" in kinds:
        parts.append(
            "The pictures are those that a local folder holds, which may be part of the datasets: the section on data "
            "has the counts, and numbers from part of the data are never the papers’."
        )
    return " ".join(parts)


def _facts(material: Material) -> list[tuple[str, str]]:
    scored = [row.numbers["mean_iu"] for row in material.scored]
    found = [value for value in scored if value is not None]
    seconds = sum(cost["seconds"] for cost in material.cost.values())
    size = sum(item.bytes for item in material.disk)
    return [
        ("best mean IU", f"{max(found):.1f}"),
        ("runs", str(len(found))),
        ("training", texts.duration(seconds)),
        ("on disk", texts.size(size)),
    ]


def _results(material: Material) -> Section:
    head, lines = tables.score_texts(material.scored)
    where = list(dict.fromkeys((row.val, row.images) for row in material.scored if row.images))
    on = ""
    if len(where) == 1:  # else a column says it of each run
        head, lines = [head[0], *head[3:]], [[line[0], *line[3:]] for line in lines]
        on = f"On the {where[0][1]:,} images of {where[0][0]}. "
    side = material.timing["side_px"]
    note = on + (
        "Percent. “all background” is the mean IU of answering background everywhere. Forward time: one image of "
        f"{side}x{side} px on {material.scores['device']}."
    )
    scores = Grid(title="Scores of all runs", head=head, lines=lines, left=["val list"], note=note)
    return Section(
        key="results",
        title="Scores",
        items=[scores, *_of(material, ("scores",)), Fold(title="Settings of the runs", items=[_runs(material)])],
    )


def _runs(material: Material) -> Grid:
    head = ["run", "regime", "backbone", "stride", "skips", "starts from", "trained on", "images a step", "steps"]
    words = [*head[1:3], *head[4:7]]
    return Grid(
        title="Settings of the runs",
        head=[*head, "rate", "momentum", "loss"],
        lines=[_settings(material, name, run) for name, run in material.config.runs.items()],
        left=[*words, "loss"],
    )


def _settings(material: Material, name: str, run: Run) -> list[str]:
    solver = material.config.solvers[run.solver]
    images = solver.batch * solver.accumulation
    what = [run.regime, run.backbone, f"{run.stride}", run.skips, run.init, run.train.list]
    return [name, *what, f"{images}", f"{solver.iterations}", f"{solver.rate:g}", f"{solver.momentum:g}", solver.loss]


def _of(material: Material, sections: Sequence[str]) -> list[Item]:
    """The figures of the index that belong to some section."""
    fields = ("title", "file", "caption", "alt", "width", "height")
    return [
        Picture(**{field: figure[field] for field in fields})
        for figure in material.figures["figures"]
        if figure["section"] in sections
    ]


def _figures(material: Material, sections: Sequence[str], *, key: str, title: str) -> Section:
    return Section(key=key, title=title, items=_of(material, sections))


def _pictures(material: Material) -> Section:
    switches = [_switch(switch) for switch in material.figures["switches"]]
    return Section(key="pictures", title="Segmentations", items=[*switches, *_of(material, ("segmentations",))])


def _switch(entry: Json) -> Switch:
    sign = "+" if entry["gain"] else ""
    return Switch(
        key=entry["key"],
        title=entry["title"],
        caption="A button shows one answer in all pictures at once. Side by side, with how they were chosen: below.",
        heads=entry["heads"],
        pictures=[
            Layered(
                caption=f"{picture['place']}: {picture['id']}, {picture['value']:{sign}.1f}",
                width=picture["width"],
                height=picture["height"],
                layers=[(layer["file"], layer["alt"]) for layer in picture["layers"]],
            )
            for picture in entry["pictures"]
        ],
        legend=[(item["name"], item["colour"]) for item in entry["legend"]],
    )


def _classes(material: Material) -> Section:
    names = list(dict.fromkeys(name for found in material.classes.values() for name in found))
    lines = [
        [name, *(texts.percent(found[name]["iu"]) if name in found else "-" for found in material.classes.values())]
        for name in names
    ]
    grid = Grid(
        title="IU by class",
        head=["class", *material.classes],
        lines=lines,
        note="Percent; “-” where a class is in no truth and no answer.",
    )
    return Section(
        key="classes",
        title="Classes",
        items=[*_of(material, ("classes",)), Fold(title="Table of the classes", items=[grid])],
    )


def _departures(material: Material) -> Section:
    by_run = material.departures
    head, lines = tables.departure_texts(by_run)
    reasons = Grid(
        title="What the runs do otherwise than the papers, and why", head=head, lines=lines, left=head, note=""
    )
    listed = Grid(
        title="Departures of each run",
        head=["run", "number", "departures"],
        lines=[
            [run, str(len(found)), ", ".join(item.name for item in found) or "none"] for run, found in by_run.items()
        ],
        left=["departures"],
    )
    items: list[Item] = [reasons] if lines else [Text(text="None.")]
    return Section(
        key="departures", title="Departures from the papers", items=[*items, Fold(title=listed.title, items=[listed])]
    )


def _rebuild(material: Material) -> Section:
    params = material.config.params
    graph = params.replace("params.yaml", "dvc.yaml")
    example = next(iter(material.config.runs))
    whole = "dvc repro" if graph == "dvc.yaml" else f"dvc repro {graph}"
    commands = [
        *([("make reproduce", "makes the environment, and everything on this page")] if graph == "dvc.yaml" else []),
        (whole, "brings everything up to date, this page included; goes on where it was stopped"),
        (
            f"{whole if graph != 'dvc.yaml' else 'dvc repro'}{':' if graph != 'dvc.yaml' else ' '}evaluate@{example}",
            "one run, with all that it needs",
        ),
        (f"python -m fcn report --params {params}", "this page alone, from the files that are there"),
        ("make ui", "opens MLflow, with an experiment for each table and one run a row"),
    ]
    return Section(key="rebuild", title="How to make it again", items=[Commands(lines=commands)])


def _mlflow(material: Material) -> Section:
    words = (
        "Each table is an experiment there, one run a row. “make ui” starts MLflow; the links work on the machine that "
        "published, beside this page."
    )
    return Section(key="mlflow", title="In MLflow", items=[Text(text=words), Links(links=list(material.views.items()))])
