"""From the runs' scores to tables: ours alone, and the papers' with ours beside, as plain data and as texts."""

import hashlib
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from fcn.config import Config
from fcn.grid import UNCONFIRMED, Grid
from fcn.paper.table import METRICS, Row, Table, every
from fcn.scoring.metrics import METRICS as SCORES

Json = Mapping[str, Any]

_WHOLE = ("conv_layers", "rf_size", "max_stride")
_STRUCTURE = (*_WHOLE, "parameters_M")
_TIMES = ("forward_ms", "backward_ms", "inference_s", "speedup_convnet_only", "speedup_overall")
GENERATED = "generated pictures"


def scored(
    config: Config, *, scores: Mapping[str, Mapping[str, float]], timing: Mapping[str, Json]
) -> list[dict[str, Any]]:
    """One entry a run, in the profile's order: `numbers` are metrics in percent, and `forward_ms`; None is missing.

    What not every dataset has, as the accuracy of a second target, only the runs have that have it.
    `scores` are fractions by run and metric, `timing` is what the stage of that name writes by net; both may lack some.
    """
    rows = []
    for name, run in config.runs.items():
        found, timed = scores.get(name, {}), timing.get(run.net, {})
        numbers = {metric: _times(100, found.get(metric)) for metric in (*SCORES, "background_mean_iu")}
        numbers["forward_ms"] = _times(1000, timed.get("seconds_per_image"))
        numbers |= {metric: _times(100, found[metric]) for metric in METRICS if metric in found.keys() - numbers.keys()}
        about = {"run": name, "val": run.val.list, "images": int(found.get("images", 0))}
        rows.append({**about, "parameters": timed.get("parameters"), "numbers": numbers})
    return rows


def _times(factor: float, value: float | None) -> float | None:
    """The product; None for what is missing or was never defined, such as a mean over no class."""
    return None if value is None or math.isnan(value) else factor * value


def scores_frame(rows: Sequence[Json]) -> pd.DataFrame:
    """The scores as a frame, one row a run."""
    lines = [
        {
            "run": row["run"],
            "val": row["val"],
            "images": row["images"],
            **row["numbers"],
            "parameters": row["parameters"],
        }
        for row in rows
    ]
    return pd.DataFrame(lines).astype({"parameters": "Int64"})


def score_grid(rows: Sequence[Json], *, note: str = "") -> Grid:
    """The scores as texts: percent with one decimal, `-` for what is missing; a column for lists if they differ."""
    usual = (*SCORES, "background_mean_iu", "forward_ms")
    more = [metric for metric in METRICS if metric not in usual and any(metric in row["numbers"] for row in rows)]
    lines = []
    for row in rows:
        found = [row["numbers"].get(metric) for metric in (*SCORES, *more, *usual[-2:])]
        numbers = ["-" if number is None else f"{number:.1f}" for number in found]
        parameters = "-" if row["parameters"] is None else f"{row['parameters']:,}"
        lines.append([row["run"], row["val"], str(row["images"] or "-"), *numbers, parameters])
    head = ["run", "val list", "images", *(METRICS[metric] for metric in (*SCORES, *more))]
    head += ["all background", "forward (ms)", "parameters"]
    if len(on_lists(rows)) == 1:
        head, lines = [head[0], *head[3:]], [[line[0], *line[3:]] for line in lines]
    return Grid(title="Scores of all runs", head=head, lines=lines, left=["val list"], note=note)


def score_note(rows: Sequence[Json], timing: Mapping[str, Json]) -> str:
    """What the scores are of, to be put below them."""
    where, timed = on_lists(rows), timing.values()
    some = any(row["numbers"]["background_mean_iu"] is not None for row in rows)
    seen = " “all seen” counts classes that no label has but the net answers, as the reference release does."
    seen = seen if any("mean_iu_seen" in row["numbers"] for row in rows) else ""
    background = " “all background” is the mean IU of answering background everywhere." if some else ""
    on = f"On {where[0]}. " if len(where) == 1 else ""
    sides = ", ".join(dict.fromkeys(f"{net['side_px']}x{net['side_px']} px" for net in timed))
    unsteady = [name for name, net in timing.items() if was_busy(net) or not net.get("steady", True)]
    busy = f" The machine was busy while it timed {', '.join(unsteady)}: a quiet one is quicker." if unsteady else ""
    return f"{on}Percent.{background}{seen} Forward time: one image of {sides} on {devices(timing)}.{busy}"


def was_busy(work: Json) -> bool:
    """Whether others wanted the machine's cores while something was timed, whose own threads are among the load."""
    return bool(work.get("load_average", 0) > 1.5 * work.get("cores", 1))


def devices(timing: Mapping[str, Json]) -> str:
    """Where nets were timed, and how precisely they computed."""
    found = ([net["device"], *([net["precision"]] if "precision" in net else [])] for net in timing.values())
    return ", ".join(dict.fromkeys(" in ".join(words) for words in found))


def on_lists(rows: Sequence[Json]) -> list[str]:
    """The lists that runs were scored on, each with its number of images."""
    found = dict.fromkeys((row["val"], row["images"]) for row in rows if row["images"])
    return [f"{images:,} images of {val}" for val, images in found]


def paper_table(
    table: Table,
    rows: Sequence[Json],
    *,
    config: Config,
    structures: Mapping[str, Mapping[str, float]],
    departing: Mapping[str, Sequence[str]],
    device: str,
) -> dict[str, Any]:
    """A printed table with ours beside, as its JSON has it: scores and times of runs, structure of full-size networks.

    `rows` are our scores, `structures` of the networks by architecture, `departing` the names of departures by run.
    """
    ours = {row["run"]: row for row in rows if row["images"] and config.run(row["run"]).regime != "none"}
    known = {run: {**row["numbers"], "percent": _percent_of_whole(config, run, ours)} for run, row in ours.items()}
    made = [_paper_row(row, known, structures) for row in table.rows]
    used = sorted({row["run"] for row in made if row["run"] is not None})
    names = sorted({name for run in used for name in departing[run]})
    remarks = [f"Printed: {table.dataset}, {table.split}.", table.note]
    others_data = other_pictures(config, used, departing=names)
    if used:
        settings = [config.runs[run] for run in used]
        lists = dict.fromkeys(f"{item.val.list}, trained on {item.train.list}" for item in settings)
        counts = {ours[run]["val"]: ours[run]["images"] for run in ours if run in used}
        shown = ", ".join(f"{count} images in {name}" for name, count in counts.items())
        remarks.append(f"Ours: profile {config.profile}: {'; '.join(lists)}; {shown}.")
        if others_data:
            remarks.append(f"Ours are of {others_data}: what they differ by is neither a failure nor a success.")
        seen = [f"{x:.1f} for {run}" for run in used if (x := known[run].get("mean_iu_seen")) is not None]
        rule = "Over all classes seen in truth or answer, as the reference release averages, mean IU is"
        remarks.append(f"{rule} {', '.join(seen)}." if seen else "")
        remarks.append(f"Departures: {', '.join(names) or 'none'}.")
        remarks.append(f"Our forward times: {device}." if "forward_ms" in table.columns else "")
    if any(row.architecture for row in table.rows):
        remarks.append(
            "Layers, parameters, receptive field and stride of ours are those of the published networks as built here, "
            "at full size; a run's net may be narrower, or torchvision's."
        )
    if any(not cell["confirmed"] for row in made for cell in row["cells"].values()):
        remarks.append(f"{UNCONFIRMED} as reported; found in no text.")
    return {
        **{name: getattr(table, name) for name in ("key", "paper", "number", "title", "dataset", "split", "note")},
        "profile": config.profile,
        "pictures": others_data,
        "departures": names,
        "remarks": " ".join(filter(None, remarks)),
        "others": others(table),
        "rows": made,
    }


def other_pictures(config: Config, runs: Iterable[str], *, departing: Collection[str]) -> str:
    """What our numbers are of, where these aren't the papers' pictures; `departing` names the runs' departures."""
    generated = {config.generated(config.run(run).val.dataset) for run in runs}
    if True in generated:
        return GENERATED if generated == {True} else f"{GENERATED} in part"
    return "other pictures" if {"val-list", "train-list"} & set(departing) else ""


def _percent_of_whole(config: Config, name: str, ours: Mapping[str, Json]) -> float | None:
    """The mean IU of a net whose score layers alone were trained, in percent of the same net's, trained whole."""
    run = config.run(name)
    if config.recipe(name).trained == "all":
        return None
    for other, row in ours.items():
        theirs = config.run(other)
        same = all(getattr(run, field) == getattr(theirs, field) for field in ("train", "val", "net", "init"))
        if same and config.recipe(other).trained == "all" and (whole := row["numbers"]["mean_iu"]):
            return _times(100 / whole, ours[name]["numbers"]["mean_iu"])
    return None


def _paper_row(row: Row, ours: Mapping[str, Json], structures: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    run = next((name for name in row.runs if name in ours), None)
    known = {**(ours[run] if run is not None else {}), **structures.get(row.architecture, {})}
    cells = {}
    for metric, printed in row.cells.items():
        number = known.get(metric)
        difference = None if number is None else number - printed.value
        about = {"paper": printed.value, "confirmed": printed.confirmed, "source": printed.source}
        cells[metric] = {**about, "ours": number, "difference": difference}
    return {"row": row.label, "run": run, "not_run": bool(row.runs) and run is None, "cells": cells}


def others(table: Table) -> list[dict[str, Any]]:
    """The mean IU that others got for rows of a printed table: the released weights re-scored, earlier reproductions.

    A row of theirs belongs to the row that the same run fills.
    """
    found = []
    for theirs in every().values():
        if theirs.beside != table.key:
            continue
        for their_row in theirs.rows:
            runs = {run.removesuffix("-released") for run in their_row.runs}
            row = next((row for row in table.rows if runs & set(row.runs)), None)
            assert row is not None, f"{theirs.key}, {their_row.label}: no row of {table.key} has one of its runs"
            cell = their_row.cells["mean_iu"]
            about = {"row": row.label, "who": f"{theirs.paper.lower()}: {theirs.number}", "label": their_row.label}
            found.append({**about, "mean_iu": cell.value, "source": cell.source})
    return found


def columns(table: Json) -> list[str]:
    """The metrics of a filled table, in the order of columns."""
    return [metric for metric in METRICS if any(metric in row["cells"] for row in table["rows"])]


def is_filled(table: Json) -> bool:
    """Whether some cell of a filled table has a number of ours."""
    return any(cell["ours"] is not None for row in table["rows"] for cell in row["cells"].values())


def name(table: Json) -> str:
    """`CVPR 2015, Table 1`."""
    return f"{table['paper']}, {table['number']}"


def paper_frame(table: Json) -> pd.DataFrame:
    """A filled table as a frame: for each metric the paper's number, whether it is confirmed, ours, the difference."""
    parts, metrics = ("paper", "confirmed", "ours", "difference"), columns(table)
    lines = []
    for row in table["rows"]:
        line = {"row": row["row"], "run": row["run"] or _absent(row)}
        lines.append(line | {f"{m}.{part}": row["cells"].get(m, {}).get(part) for m in metrics for part in parts})
    return pd.DataFrame(lines)


def _absent(row: Json) -> str:
    return "not run" if row["not_run"] else "-"


def paper_grid(table: Json) -> Grid:
    """A filled table as texts: printed, ours and the difference by metric; without the last two where ours is none.

    A difference between unlike things is called by what is unlike: on other data no number is a failure or a success.
    """
    metrics, title = columns(table), f"{name(table)}: {table['title']}"
    if is_filled(table):
        unlike = {**dict.fromkeys(_TIMES, "other machine"), **dict.fromkeys(_STRUCTURE, "diff.")}
        scores = "other data" if table["pictures"] else "diff."
        title += f" (ours: {table['pictures']})" if table["pictures"] else ""
        lines = [[row["row"], row["run"] or "", *_compared(row, metrics)] for row in table["rows"]]
        head = ["row", "our run"]
        for metric in metrics:
            head += ["printed", "ours", unlike.get(metric, scores)]
        over = [("", 2), *((METRICS[metric] + ", full size" * (metric in _STRUCTURE), 3) for metric in metrics)]
        return Grid(title=title, head=head, lines=lines, left=["our run"], note=table["remarks"], over=over)
    lines = [[row["row"], *(_printed(row, metric) for metric in metrics), _absent(row)] for row in table["rows"]]
    head = ["row", *(METRICS[metric] for metric in metrics), "ours"]
    return Grid(title=title, head=head, lines=lines, note=table["remarks"])


def _compared(row: Json, metrics: Sequence[str]) -> Iterator[str]:
    for metric in metrics:
        cell = row["cells"].get(metric)
        decimals = 0 if metric in _WHOLE else 1
        yield _printed(row, metric)
        if cell is None or cell["ours"] is None:
            yield from ("" if cell is None else _absent(row), "")
        else:
            difference = f"{cell['difference']:+.{decimals}f}"
            yield from (f"{cell['ours']:.{decimals}f}", difference if float(difference) else difference[1:])


def _printed(row: Json, metric: str) -> str:
    cell = row["cells"].get(metric)
    if cell is None:
        return ""
    value = cell["paper"]
    percent = metric not in (*_STRUCTURE, *_TIMES) and round(value, 1) == value
    return (f"{value:.1f}" if percent else f"{value:g}") + ("" if cell["confirmed"] else UNCONFIRMED)


def others_grid(table: Json) -> Grid:
    """Others' mean IU, a line each of them, a column each row of the paper."""
    found = table["others"]
    labels = list(dict.fromkeys(item["row"] for item in found))
    lines = []
    for who in dict.fromkeys(item["who"] for item in found):
        theirs = [[f"{x['mean_iu']:.2f}" for x in found if (x["who"], x["row"]) == (who, label)] for label in labels]
        lines.append([who, *map(", ".join, theirs)])
    return Grid(title=f"{name(table)}: others, on the same rows", head=["mean IU", *labels], lines=lines)


def departure_grid(by_run: Mapping[str, Sequence[Json]]) -> Grid:
    """The departures, one line a name: what was published, what the runs have, why, which runs.

    Those of one reason stand together, and the first of them tells it.
    """
    found: dict[str, dict[str, Json]] = {}
    for run, items in by_run.items():
        for item in items:
            found.setdefault(item["name"], {})[run] = item
    lines = []
    for reason, names in reasons(by_run).items():
        for name in names:
            by = found[name]
            published, ours = ("; ".join(dict.fromkeys(it[of] for it in by.values())) for of in ("published", "ours"))
            several = f"{reason} ({len(names)} settings)" if len(names) > 1 else reason
            why = several if name == names[0] else "the same"
            lines.append([name, published, ours, why, _which(by, by_run)])
    head = ["departure", "published", "ours", "reason", "runs"]
    return Grid(title="What the runs do otherwise than the papers, and why", head=head, lines=lines, left=head)


def reasons(by_run: Mapping[str, Sequence[Json]]) -> dict[str, list[str]]:
    """The names of the departures by their reasons, which are the profile's."""
    found = {item["name"]: item["reason"] for items in by_run.values() for item in items}
    return {reason: [name for name in found if found[name] == reason] for reason in found.values()}


def departures_in_short(by_run: Mapping[str, Sequence[Json]]) -> str:
    """In how many settings runs depart from the papers; and why, where there is one reason for all."""
    by_reason = reasons(by_run)
    why = f", all for one reason: {next(iter(by_reason))}" if len(by_reason) == 1 else ""
    return f"Departures from the papers: {sum(map(len, by_reason.values()))}{why}."


def _which(runs: Mapping[str, Any], every_run: Mapping[str, Any]) -> str:
    rest = [run for run in every_run if run not in runs]
    if not rest:
        return "all"
    return f"all but {', '.join(rest)}" if len(rest) < len(runs) else ", ".join(runs)


def numbers_digest(folder: Path) -> str:
    """What every page carries that shows these tables: 16 hex digits of the JSON files of tables/."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.json")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]
