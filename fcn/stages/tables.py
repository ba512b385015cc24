"""Stage: the scores of all runs as tables: ours with the departures, and the papers' with ours beside."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from fcn import tables
from fcn.config import Config
from fcn.departures import check, departures
from fcn.errors import InputError
from fcn.files import existing, read_json, whole_folder, write_json
from fcn.grid import Grid
from fcn.nets.structure import structure
from fcn.paper.table import every
from fcn.stages.places import Places


def run(config: Config, name: str | None) -> None:
    """Write tables/scores.* and, for each printed table, tables/<key>.{csv,json,md,tex}; print the scores.

    tables/numbers.txt has the digest of these numbers, which every page that shows them carries.
    """
    if name is not None:
        raise InputError(f"tables takes no name, found {name!r}; write `python -m fcn tables`")
    check(config)
    places = Places(config)
    timing = {net: read_json(places.timing(net)) for net in config.nets}
    scores = {run: read_json(places.scores(run)) for run in config.runs if places.scores(run).exists()}
    if not scores:
        existing(places.scores(next(iter(config.runs))))
    scored = tables.scored(config, scores=scores, timing=timing)
    by_run = {run: [asdict(item) for item in departures(config, run)] for run in config.runs}
    departing = {run: [item["name"] for item in found] for run, found in by_run.items()}
    grid = tables.score_grid(scored, note=tables.score_note(scored, timing))
    every_name = {name for names in departing.values() for name in names}
    pictures = tables.other_pictures(config, config.runs, departing=every_name)
    device, text = tables.devices(timing), _scores_page(config, grid, pictures=pictures)
    departed = tables.departure_grid(by_run)
    below = "\n## Departures from the papers\n\n" + (departed.markdown() if departed.lines else "None.\n")
    printed = every()
    architectures = {row.architecture for table in printed.values() for row in table.rows if row.architecture}
    structures = {architecture: structure(architecture) for architecture in architectures}
    with whole_folder(places.tables) as folder:
        tables.scores_frame(scored).to_csv(folder / "scores.csv", index=False)
        (folder / "scores.md").write_text(text + below, encoding="utf-8")
        about = {"profile": config.profile, "device": device, "pictures": pictures}
        write_json(folder / "scores.json", {**about, "scores": scored, "departures": by_run})
        for table in printed.values():
            filled = tables.paper_table(
                table, scored, config=config, structures=structures, departing=departing, device=device
            )
            _write(folder, filled)
        (folder / "numbers.txt").write_text(tables.numbers_digest(folder) + "\n", encoding="utf-8")
    print(text)
    if departed.lines:
        print(f"{tables.departures_in_short(by_run)} The list is in report.html, and in {places.tables / 'scores.md'}.")
    print(f"All tables of these numbers are in {places.tables}: CSV, JSON, Markdown and LaTeX.")


def _scores_page(config: Config, scores: Grid, *, pictures: str) -> str:
    title = f"# Scores, profile {config.profile}{f': {pictures}' if pictures else ''}\n"
    return "\n".join([title, scores.markdown(), f"{scores.note}\n"])


def _write(folder: Path, table: dict[str, Any]) -> None:
    """One printed table in four formats."""
    base, grid = folder / table["key"], tables.paper_grid(table)
    page = [f"# {grid.title}\n", grid.markdown(), f"{grid.note}\n"]
    if table["others"]:
        page += ["Others, on the same rows:\n", tables.others_grid(table).markdown()]
    base.with_suffix(".md").write_text("\n".join(page), encoding="utf-8")
    base.with_suffix(".tex").write_text(grid.latex(label=table["key"]), encoding="utf-8")
    tables.paper_frame(table).to_csv(base.with_suffix(".csv"), index=False)
    write_json(base.with_suffix(".json"), table)
