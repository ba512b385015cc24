"""The README's block of results, from results that were committed."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from fcn import tables
from fcn.errors import InputError
from fcn.tables import Json

START, END = "<!-- results -->", "<!-- /results -->"
# What the papers found, as runs whose mean IU rises where it holds.
_CLAIMS = (
    ("Finer strides win", {"32s": "voc-fcn32s-vgg16", "16s": "voc-fcn16s-vgg16", "8s": "voc-fcn8s-vgg16"}),
    ("A pretrained start wins", {"from scratch": "voc-fcn32s-vgg16-scratch", "pretrained": "voc-fcn32s-vgg16"}),
    ("Training every layer wins", {"score layer alone": "voc-fcn32s-vgg16-fixed", "every layer": "voc-fcn32s-vgg16"}),
    ("The deeper trunk wins", {"AlexNet": "voc-fcn32s-alexnet", "VGG16": "voc-fcn32s-vgg16"}),
    (
        "Depth wins",
        {"RGB": "nyud-fcn32s-vgg16-rgb", "RGB-D": "nyud-fcn32s-vgg16-rgbd", "RGB-HHA": "nyud-fcn32s-vgg16-rgb-hha"},
    ),
    (
        "Finer strides win on SIFT Flow",
        {"32s": "siftflow-fcn32s-vgg16", "16s": "siftflow-fcn16s-vgg16", "8s": "siftflow-fcn8s-vgg16"},
    ),
    (
        "Finer strides win on PASCAL-Context",
        {"32s": "context-fcn32s-vgg16", "16s": "context-fcn16s-vgg16", "8s": "context-fcn8s-vgg16"},
    ),
)

# Points of mean IU. One training a run can tell no less: of the sample's runs none stays as close to itself over three
# seeds (docs/results/sample-seeds.md).
_TELLS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """A folder of committed results: its address as seen from the README, tables/scores.json, the papers' tables.

    `title` is the profile in words, `picture` the file of a figure below the folder with its description, if any.
    """

    folder: str
    title: str
    scores: Json
    tables: Sequence[Json]
    picture: tuple[str, str] | None


def block(found: Sequence[Results]) -> str:
    """What stands between the marks: the first profile's claims and scores, and all else folded away."""
    pages = []
    for number, results in enumerate(found):
        scores, more = _scores(results), _more(results)
        if number == 0:
            folded = _folded("Beside the printed numbers, and in pictures", more)
            pages.append(f"### {results.title}\n\n{scores}\n{folded}")
        else:
            pages.append(_folded(results.title, f"{scores}\n{more}"))
    return "\n".join(pages)


def with_block(readme: str, text: str) -> str:
    """The README with its block replaced.

    Raises InputError where it has not both marks, in their order.
    """
    before, start, rest = readme.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise InputError(f"the README has no {START} with a {END} after it; write both where the results belong")
    lines = f"{text.strip()}\n" if text.strip() else ""
    return f"{before}{START}\n{lines}{END}{after}"


def _scores(results: Results) -> str:
    rows = results.scores["scores"]
    on = f"Percent, on {', '.join(tables.on_lists(rows))}.\n"
    return "\n".join(("".join(claims(rows, results.scores["departures"])), tables.score_grid(rows).markdown(), on))


def _more(results: Results) -> str:
    folder, filled = results.folder, [table for table in results.tables if tables.is_filled(table)]
    links = ", ".join(f"[{tables.name(table)}]({folder}/{table['key']}.md)" for table in filled)
    whole = f"The [whole report]({folder}/report.md) has the figures, the departures from the papers and the costs."
    text = f"Beside the printed numbers: {links}. {whole}\n"
    if results.picture is not None:
        file, alt = results.picture
        text += f"\n![{alt}]({folder}/{file})\n"
    return text


def claims(rows: Sequence[Json], departures: Mapping[str, Sequence[Json]]) -> Iterator[str]:
    """A line a finding of the papers whose runs there are, and whether it holds, as far as one training tells.

    Widths are told where they aren't the same, for then they may be why; `departures` are by run.
    """
    width = {run: item["ours"] for run, items in departures.items() for item in items if item["name"] == "width"}
    mean_iu = {row["run"]: row["numbers"]["mean_iu"] for row in rows}
    for claim, runs in _CLAIMS:
        numbers = (mean_iu.get(run) for run in runs.values())
        found = [number for number in numbers if number is not None and math.isfinite(number)]
        if len(found) == len(runs):
            least = min(better - worse for worse, better in pairwise(found))
            against = " in the papers, not here" if least <= -_TELLS else " in the papers, too close to call here"
            verdict = "" if least >= _TELLS else against
            shown = ", ".join(f"{label} {number:.1f}" for label, number in zip(runs, found, strict=True))
            widths = [width.get(run, "1") for run in runs.values()]
            narrow = f", at {' and '.join(widths)} of the published widths" if len(set(widths)) > 1 else ""
            yield f"- {claim}{verdict}: {shown} mean IU{narrow}.\n"


def _folded(title: str, text: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{text}\n</details>\n"
