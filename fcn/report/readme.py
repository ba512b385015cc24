"""The README's block of results, from results that were committed."""

from collections.abc import Sequence
from dataclasses import dataclass

from fcn import tables
from fcn.errors import InputError
from fcn.tables import Json

START, END = "<!-- results -->", "<!-- /results -->"


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
    """What stands between the marks: for each profile its scores, a picture, and where the rest is."""
    return "\n".join(["\n".join(_profile(results)) for results in found])


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


def _profile(results: Results) -> list[str]:
    folder, rows = results.folder, results.scores["scores"]
    grid = tables.score_grid(rows)
    filled = [table for table in results.tables if tables.is_filled(table)]
    links = ", ".join(f"[{tables.name(table)}]({folder}/{table['key']}.md)" for table in filled)
    page = [f"### {results.title}\n", f"Percent, on {', '.join(tables.on_lists(rows))}.\n", grid.markdown()]
    if results.picture is not None:
        file, alt = results.picture
        page += [f"![{alt}]({folder}/{file})\n"]
    more = f"The [whole report]({folder}/report.md) has the figures, the departures from the papers and the costs."
    return [*page, f"Beside the printed numbers: {links}. {more}\n"]
