"""Stage: the scores of all runs as tables: ours with the departures, and the papers' with ours beside."""

from dataclasses import asdict
from pathlib import Path

from fcn import tables
from fcn.config import Config
from fcn.departures import Departure, check, departures
from fcn.errors import InputError
from fcn.paper.table import Table, every
from fcn.stages.places import Places, existing, read_json, whole_folder, write_json
from fcn.tables import Scored


def run(config: Config, name: str | None) -> None:
    """Write tables/scores.* and, for each printed table, tables/<key>.{csv,json,md,tex}; print the scores."""
    if name is not None:
        raise InputError(f"tables takes no name, found {name!r}; write `python -m fcn tables`")
    check(config)
    places = Places(config)
    timing = read_json(places.timing)
    scores = {run: read_json(places.scores(run)) for run in config.runs if places.scores(run).exists()}
    if not scores:
        existing(places.scores(next(iter(config.runs))))
    scored = tables.scored(config, scores=scores, timing=timing)
    by_run = {run: departures(config, run) for run in config.runs}
    text = _scores_page(config, scored, by_run, device=timing["device"])
    with whole_folder(places.tables) as folder:
        tables.scores_frame(scored).to_csv(folder / "scores.csv", index=False)
        (folder / "scores.md").write_text(text, encoding="utf-8")
        write_json(
            folder / "scores.json",
            {
                "profile": config.profile,
                "device": timing["device"],
                "scores": [asdict(row) for row in scored],
                "departures": {run: [asdict(item) for item in found] for run, found in by_run.items()},
            },
        )
        for table in every().values():
            _write(folder, table, scored, config=config, by_run=by_run, device=timing["device"])
    print(text)
    print(f"The papers' tables with these numbers beside are in {places.tables}: CSV, JSON, Markdown and LaTeX.")


def _scores_page(config: Config, scored: list[Scored], by_run: dict[str, list[Departure]], *, device: str) -> str:
    head, lines = tables.departure_texts(by_run)
    page = [
        f"# Scores, profile {config.profile}\n",
        tables.markdown(*tables.score_texts(scored), left=("val list",)),
        "Percent. *All background* is the mean IU of answering background everywhere. "
        f"Forward time: one image of 500x500 px on {device}.\n",
        "## Departures from the papers\n",
        tables.markdown(head, lines, left=head) if lines else "None.\n",
    ]
    return "\n".join(page)


def _write(
    folder: Path,
    table: Table,
    scored: list[Scored],
    *,
    config: Config,
    by_run: dict[str, list[Departure]],
    device: str,
) -> None:
    """One printed table in four formats."""
    rows = tables.filled(table, scored)
    used = {row.run for row in rows if row.run is not None}
    departing = sorted({item.name for run in used for item in by_run[run]})
    remarks = [f"Printed: {table.dataset}, {table.split}.", table.note]
    if used:
        settings = [config.runs[run] for run in sorted(used)]
        lists = dict.fromkeys(f"{item.val.list}, trained on {item.train.list}" for item in settings)
        counted = {row.val: row.images for row in scored if row.run in used}
        counts = ", ".join(f"{count} images in {name}" for name, count in counted.items())
        remarks.append(f"Ours: profile {config.profile}: {'; '.join(lists)}; {counts}.")
        remarks.append(f"Departures: {', '.join(departing) or 'none'}.")
        remarks.append(f"Our forward times: {device}." if "forward_ms" in table.columns else "")
    if any(row.architecture for row in table.rows):
        remarks.append("Layers, parameters, receptive field and stride of ours are the full-size networks' everywhere.")
    if any(not cell.confirmed for row in rows for cell in row.cells.values()):
        remarks.append(f"{tables.UNCONFIRMED} as reported; found in no text.")
    title = f"{table.paper}, {table.number}: {table.title}"
    head, lines = tables.paper_texts(rows, table.columns)
    page = [f"# {title}\n", tables.markdown(head, lines), " ".join(filter(None, remarks)) + "\n"]
    beside = tables.others(table)
    if beside:
        page += ["Others, on the same rows:\n", tables.markdown(*tables.other_texts(beside))]
    (folder / f"{table.key}.md").write_text("\n".join(page), encoding="utf-8")
    caption = " ".join([f"{title}.", *filter(None, remarks)])
    latex = tables.latex(head, lines, caption=caption, label=table.key)
    (folder / f"{table.key}.tex").write_text(latex, encoding="utf-8")
    tables.paper_frame(rows, table.columns).to_csv(folder / f"{table.key}.csv", index=False)
    write_json(
        folder / f"{table.key}.json",
        {
            "key": table.key,
            "paper": table.paper,
            "number": table.number,
            "title": table.title,
            "dataset": table.dataset,
            "split": table.split,
            "note": table.note,
            "profile": config.profile,
            "departures": departing,
            "others": [asdict(item) for item in beside],
            "rows": [
                {
                    "row": row.label,
                    "run": row.run,
                    "not_run": row.possible and row.run is None,
                    "cells": {
                        metric: {**asdict(cell), "difference": cell.difference} for metric, cell in row.cells.items()
                    },
                }
                for row in rows
            ],
        },
    )
