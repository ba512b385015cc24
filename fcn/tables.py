"""From the runs' scores to tables: ours alone, and the papers' with ours beside."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch

from fcn.config import Config
from fcn.departures import Departure
from fcn.nets import backbones
from fcn.nets.fcn import FCN
from fcn.nets.geometry import geometry
from fcn.paper.table import METRICS, Table, every
from fcn.shape import Backbone

SCORES = ("pixel_acc", "mean_acc", "mean_iu", "fw_iu")
STRUCTURE = ("conv_layers", "parameters_M", "rf_size", "max_stride")
_NOT_PERCENT = ("forward_ms", "backward_ms", "inference_s", "speedup_convnet_only", "speedup_overall", *STRUCTURE)
_WHOLE = ("conv_layers", "rf_size", "max_stride")
UNCONFIRMED = "†"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A printed number and ours. `ours` is None where no run of the profile gives it."""

    paper: float
    confirmed: bool
    source: str
    ours: float | None

    @property
    def difference(self) -> float | None:
        """Ours less the paper's."""
        return None if self.ours is None else self.ours - self.paper


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A printed row with ours beside it. `run` is who fills it, None where the profile lacks it or nobody could."""

    label: str
    run: str | None
    possible: bool
    cells: Mapping[str, Cell]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """What is known of one run. `numbers` are metrics in percent, and `forward_ms`; None is what is missing."""

    run: str
    val: str
    images: int
    parameters: int | None
    numbers: Mapping[str, float | None]


def scored(config: Config, *, scores: Mapping[str, Mapping[str, float]], timing: Mapping[str, Any]) -> list[Scored]:
    """One entry a run, in the profile's order.

    `scores` are fractions by run and metric, `timing` is what the stage of that name writes; both may lack runs.
    """
    rows = []
    for name, run in config.runs.items():
        found, timed = scores.get(name, {}), timing["runs"].get(name, {})
        numbers = {metric: _times(100, found.get(metric)) for metric in (*SCORES, "background_mean_iu")}
        numbers["forward_ms"] = _times(1000, timed.get("seconds_per_image"))
        rows.append(
            Scored(
                run=name,
                val=run.val.list,
                images=int(found.get("images", 0)),
                parameters=timed.get("parameters"),
                numbers=numbers,
            )
        )
    return rows


def _times(factor: float, value: float | None) -> float | None:
    """The product; None for what is missing or was never defined, such as a mean over no class."""
    return None if value is None or math.isnan(value) else factor * value


def scores_frame(rows: Sequence[Scored]) -> pd.DataFrame:
    """The scores as a frame, one row a run."""
    lines = [
        {"run": row.run, "val": row.val, "images": row.images, **row.numbers, "parameters": row.parameters}
        for row in rows
    ]
    return pd.DataFrame(lines).astype({"parameters": "Int64"})


def filled(table: Table, rows: Sequence[Scored]) -> list[Filled]:
    """The rows of a printed table with ours beside: scores and times of runs, structure of the full-size networks."""
    ours = {row.run: row.numbers for row in rows if row.images}
    made = []
    for row in table.rows:
        run = next((name for name in row.runs if name in ours), None)
        built = structure(row.architecture) if row.architecture else {}
        known = {**(ours[run] if run is not None else {}), **built}
        cells = {
            metric: Cell(
                paper=printed.value, confirmed=printed.confirmed, source=printed.source, ours=known.get(metric)
            )
            for metric, printed in row.cells.items()
        }
        made.append(Filled(label=row.label, run=run, possible=bool(row.runs), cells=cells))
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """The mean IU that somebody else got for a row of the papers."""

    row: str
    who: str
    label: str
    mean_iu: float
    source: str


def others(table: Table) -> list[Other]:
    """What others got for the rows of a printed table: the released weights re-scored, earlier reproductions.

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
            who = f"{theirs.paper.lower()}: {theirs.number}"
            found.append(Other(row=row.label, who=who, label=their_row.label, mean_iu=cell.value, source=cell.source))
    return found


def other_texts(found: Sequence[Other]) -> tuple[list[str], list[list[str]]]:
    """Others' mean IU as texts, a line each of them, a column each row of the paper."""
    labels = list(dict.fromkeys(item.row for item in found))
    lines = []
    for who in dict.fromkeys(item.who for item in found):
        of_row = {label: [f"{x.mean_iu:.2f}" for x in found if (x.who, x.row) == (who, label)] for label in labels}
        lines.append([who, *(", ".join(of_row[label]) for label in labels)])
    return ["mean IU", *labels], lines


def structure(architecture: str) -> dict[str, float]:
    """Depth, parameters in millions, receptive field and stride of the full-size FCN-32s, derived from its layers.

    The receptive field reaches through what the classifier does after the trunk: GoogLeNet's 907 px hold its last
    average pool, which the FCN itself leaves out.
    """
    module = backbones.load(architecture)
    with torch.device("meta"):
        classifier = module.classifier(width=1.0, fc=4096, input_px=224, classes=21)
        whole = module.trunk(classifier, dropout=0.5).geometry(32).then(geometry(module.head(classifier)))
        backbone = Backbone(architecture=architecture, width=1.0, fc=4096, input_px=224, dropout=0.5)
        net = FCN(backbone, classes=21, stride=32, skips="none", pad=100, upsampling="fixed")
    return {
        "conv_layers": float(whole.depth),
        "parameters_M": sum(parameter.numel() for parameter in net.parameters()) / 1e6,
        "rf_size": float(whole.receptive_field_px),
        "max_stride": float(whole.stride_px),
    }


def paper_frame(rows: Sequence[Filled], columns: Sequence[str]) -> pd.DataFrame:
    """A filled table as a frame: for each metric the paper's number, whether it is confirmed, ours, the difference."""
    lines = []
    for row in rows:
        line: dict[str, object] = {"row": row.label, "run": row.run or _absent(row)}
        for metric in columns:
            cell = row.cells.get(metric)
            line[f"{metric}.paper"] = None if cell is None else cell.paper
            line[f"{metric}.confirmed"] = None if cell is None else cell.confirmed
            line[f"{metric}.ours"] = None if cell is None else cell.ours
            line[f"{metric}.difference"] = None if cell is None else cell.difference
        lines.append(line)
    return pd.DataFrame(lines)


def _absent(row: Filled) -> str:
    return "not run" if row.possible else "-"


def paper_texts(rows: Sequence[Filled], columns: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """A filled table as texts: the head, and each row as label, then printed, ours, difference by metric."""
    head = ["", *(text for metric in columns for text in (METRICS[metric], "ours", "difference"))]
    lines = []
    for row in rows:
        line = [row.label]
        for metric in columns:
            cell = row.cells.get(metric)
            if cell is None:
                line += ["", "", ""]
            elif cell.ours is None:
                line += [_printed(metric, cell), _absent(row), ""]
            else:
                line += [_printed(metric, cell), _ours(metric, cell.ours), _signed(metric, cell.ours - cell.paper)]
        lines.append(line)
    return head, lines


def _printed(metric: str, cell: Cell) -> str:
    text = (
        f"{cell.paper:.1f}" if metric not in _NOT_PERCENT and round(cell.paper, 1) == cell.paper else f"{cell.paper:g}"
    )
    return text if cell.confirmed else text + UNCONFIRMED


def _ours(metric: str, value: float) -> str:
    return f"{value:.0f}" if metric in _WHOLE else f"{value:.1f}"


def _signed(metric: str, value: float) -> str:
    text = f"{value:+.0f}" if metric in _WHOLE else f"{value:+.1f}"
    return text[1:] if float(text) == 0 else text


def score_texts(rows: Sequence[Scored]) -> tuple[list[str], list[list[str]]]:
    """The scores as texts: percent with one decimal, `-` for what is missing."""
    metrics = (*SCORES, "background_mean_iu", "forward_ms")
    head = ["run", "val list", "images", *(METRICS[metric] for metric in SCORES)]
    head += ["all background", "forward (ms)", "parameters"]
    lines = []
    for row in rows:
        numbers = [row.numbers[metric] for metric in metrics]
        shown = ["-" if number is None else f"{number:.1f}" for number in numbers]
        images = str(row.images) if row.images else "-"
        lines.append([row.run, row.val, images, *shown, "-" if row.parameters is None else f"{row.parameters:,}"])
    return head, lines


def departure_texts(by_run: Mapping[str, Sequence[Departure]]) -> tuple[list[str], list[list[str]]]:
    """The departures as texts, one line a name: what was published, what the runs have, why, which runs."""
    found: dict[str, list[tuple[str, Departure]]] = {}
    for run, items in by_run.items():
        for item in items:
            found.setdefault(item.name, []).append((run, item))
    lines = []
    for name, pairs in found.items():
        published = "; ".join(dict.fromkeys(item.published for _, item in pairs))
        ours = "; ".join(dict.fromkeys(item.ours for _, item in pairs))
        lines.append([name, published, ours, pairs[0][1].reason, _which([run for run, _ in pairs], list(by_run))])
    return ["departure", "published", "ours", "reason", "runs"], lines


def _which(runs: Sequence[str], every_run: Sequence[str]) -> str:
    others = [run for run in every_run if run not in runs]
    if not others:
        return "all"
    return f"all but {', '.join(others)}" if len(others) < len(runs) else ", ".join(runs)


def markdown(head: Sequence[str], lines: Sequence[Sequence[str]], *, left: Sequence[str] = ()) -> str:
    """A Markdown table; columns whose head is in `left`, and the first, start at the left, numbers end at the right."""
    rule = ["---" if index == 0 or text in left else "---:" for index, text in enumerate(head)]
    cells = [list(head), rule, *lines]
    return "".join("| " + " | ".join(text.replace("|", "\\|") for text in line) + " |\n" for line in cells)


_LATEX = {"&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "$": r"\$", "->": r"$\to$", UNCONFIRMED: r"$^\dagger$"}


def latex(head: Sequence[str], lines: Sequence[Sequence[str]], *, caption: str, label: str) -> str:
    """A LaTeX table that needs the package booktabs."""
    rows = [" & ".join(_escaped(text) for text in line) + r" \\" for line in lines]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_escaped(caption)}}}",
            rf"\label{{tab:{label}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}",
            r"\toprule",
            " & ".join(_escaped(text) for text in head) + r" \\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _escaped(text: str) -> str:
    for plain, escaped in _LATEX.items():
        text = text.replace(plain, escaped)
    return text
