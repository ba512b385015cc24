"""Whether all ledgers tell the same: files = report = MLflow = published.json = Prefect's artifacts."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import requests

from fcn.commands.checks import mlflow_held, numbers, prefect_runs, printed_page
from fcn.commands.checks.finding import Finding, some
from fcn.commands.checks.mlflow_held import Held
from fcn.commands.checks.numbers import Files, is_shown, of_table
from fcn.commands.checks.printed_page import Shown
from fcn.config import Config
from fcn.paper.table import METRICS, every
from fcn.publishing import printed
from fcn.stages.places import Places

_AGAIN = "`dvc repro` makes again what was changed by hand; a table is never edited, its stage is run"
_PUBLISH = (
    "delete the runs that differ in MLflow, then `python -m fcn publish`: it fills what is missing from the files"
)
_SCORES = {"background_mean_iu": "all background", "forward_ms": "forward (ms)"}
_ONE_DECIMAL, _TWO_DECIMALS = 0.05 + 1e-6, 0.005 + 1e-6  # of MLflow and of Prefect


def check(config: Config) -> list[Finding]:
    """Compare every number of the metric files with each other place that has it."""
    if not Places(config).tables.exists():
        return [Finding(name="ledger", state="skipped", said="there are no tables yet")]
    try:
        files = numbers.read(config)
        count = sum(1 for key, table in files.tables.items() for _ in of_table(key, table))
        count += sum(len(line["numbers"]) for line in files.lines.values())
        found = [_finding("files", numbers.among_themselves(files), count=count, do=_AGAIN)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        said = f"the files can't be compared: {type(error).__name__}: {error}"
        return [Finding(name="ledger: files", state="broken", said=said, do=_AGAIN)]
    found += [_page(config, files, "report.html", printed_page.in_html)]
    found += [_page(config, files, "report.md", printed_page.in_markdown)]
    return [*found, _mlflow(config, files), _prefect(config, files)]


def _finding(name: str, wrong: Iterable[str], *, count: int, do: str) -> Finding:
    wrong = list(wrong)
    if wrong:
        said = f"{len(wrong)} differ: {some(wrong, most=3)}"
        return Finding(name=f"ledger: {name}", state="broken", said=said, do=do)
    return Finding(name=f"ledger: {name}", state="ok", said=f"all {count:,} numbers are those of the files")


def _page(config: Config, files: Files, name: str, read: Callable[[str], dict[str, Shown]]) -> Finding:
    path = Places(config).report / name
    try:
        shown = read(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return Finding(name=f"ledger: {name}", state="warning", said=f"can't be read: {error}", do="`dvc repro report`")
    pairs = list(_pairs(files, shown))
    wrong = [
        f"{where}: {text or 'nothing'}, the files have {'nothing' if value is None else f'{value:.6g}'}"
        for where, text, value in pairs
        if not is_shown(text, value)
    ]
    return _finding(name, wrong, count=len(pairs), do=_AGAIN)


def _pairs(files: Files, shown: Mapping[str, Shown]) -> Iterator[tuple[str, str | None, float | None]]:
    """Where a number stands on the page, what stands there, and what the files have."""
    scores = shown.get(numbers.SCORES, Shown())
    for run, line in files.lines.items():
        for metric, value in line["numbers"].items():
            text = scores.cell(run, _SCORES.get(metric) or METRICS[metric])
            yield f"{numbers.SCORES}, {run}, {metric}", text, value
    for key, table in files.tables.items():
        title = f"{table['paper']}, {table['number']}: {table['title']}"
        here = shown.get(" ".join(title.split()), Shown())
        for number in of_table(key, table):
            beyond = ("paper", "ours", "difference").index(number.kind)
            text = here.cell(number.row, METRICS[number.metric], beyond=beyond)
            yield f"{title}, {number.row}, {number.metric} ({number.kind})", text, number.value


def _mlflow(config: Config, files: Files) -> Finding:
    name = "ledger: MLflow"
    try:
        held = mlflow_held.runs()
    except mlflow_held.NothingHereError as error:
        said = f"{error}, so MLflow shows nothing"
        return Finding(name=name, state="warning", said=said, do="`python -m fcn publish` fills it from the files")
    except mlflow_held.UnreadableError:
        return Finding(name=name, state="skipped", said="can't be read, as said above")
    prefix = f"{config.profile} / "
    ours = {(run.experiment.removeprefix(prefix), run.name): run for run in held if _is_published(run, prefix)}
    wrong = list(_published(config, ours))
    count = 0
    for experiment, row, metric, value in _wanted(files):
        count += 1
        run = ours.get((experiment, row))
        text = None if run is None else run.metrics.get(metric)
        if text is None or abs(text - value) > _ONE_DECIMAL:
            what = "nothing" if text is None else f"{text:g}"
            wrong.append(f"{prefix}{experiment}, {row}, {metric}: {what}, the files have {value:.4g}")
    return _finding("MLflow", wrong, count=count, do=_PUBLISH)


def _is_published(run: Held, prefix: str) -> bool:
    return run.experiment.startswith(prefix) and "digest" in run.tags


def _published(config: Config, ours: Mapping[tuple[str, str], Held]) -> Iterator[str]:
    """Where published.json and MLflow have not the same rows with the same digests."""
    path = Places(config).published
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))["experiments"]
    except (OSError, ValueError, KeyError) as error:
        yield f"{path} can't be read ({type(error).__name__})"
        return
    prefix = f"{config.profile} / "
    digests = {(name.removeprefix(prefix), row): mark for name, rows in listed.items() for row, mark in rows.items()}
    for (experiment, row), mark in digests.items():
        run = ours.get((experiment, row))
        if run is None or run.tags["digest"] != mark:
            what = "isn't there" if run is None else f"has the digest {run.tags['digest']}"
            yield f"{prefix}{experiment}, {row} {what}, published.json says {mark}"
    yield from (f"{prefix}{experiment}, {row} isn't in published.json" for experiment, row in ours.keys() - digests)


def _wanted(files: Files) -> Iterator[tuple[str, str, str, float]]:
    """Experiment, run, metric and value of what MLflow should have."""
    for key, table in every().items():
        if table.beside or key not in files.tables or not printed.is_filled(files.tables[key]):
            continue
        for number in of_table(key, files.tables[key]):
            kinds = dict(zip(("ours", "paper", "difference"), printed.names(number.metric), strict=True))
            yield printed.short_name(table), number.row, kinds[number.kind], number.value
    for run, line in files.lines.items():
        for metric, value in line["numbers"].items():
            if value is not None and line["images"]:
                yield "trainings", run, metric, value


def _prefect(config: Config, files: Files) -> Finding:
    """Artifacts are of the last flow run; what was made since by hand is not in them."""
    name = "ledger: Prefect"
    prefect = prefect_runs.server()
    if prefect is None:
        return Finding(name=name, state="skipped", said="no server configured")
    try:
        answer = prefect.ask("artifacts/latest/filter", artifacts={"key": {"like_": _key(config.profile)}}, limit=200)
        shown = {item["key"]: _rows(item["data"]) for item in answer if item["type"] == "table"}
    except (requests.RequestException, AttributeError, KeyError, TypeError, ValueError) as error:
        said = f"its artifacts can't be read ({type(error).__name__})"
        return Finding(name=name, state="skipped", said=said)
    wrong, count = [], 0
    for key, row, column, value in _artifacts(config, files):
        if key not in shown:  # no flow has made it yet
            continue
        count += 1
        found = shown[key].get(row, {}).get(column)
        if found is None or abs(float(found) - value) > _TWO_DECIMALS:
            wrong.append(f"artifact {key}, {row}, {column}: {found}, the files have {value:.4g}")
    if not count:
        said = f"no tables of profile {config.profile} among the artifacts at {prefect.url}"
        return Finding(name=name, state="skipped", said=said)
    return _finding("Prefect", wrong, count=count, do="let the flow `report` run once more: it writes the artifacts")


def _artifacts(config: Config, files: Files) -> Iterator[tuple[str, str, str, float]]:
    """Key, row, column and value of the numbers that flows/artifacts.py shows."""
    for run, line in files.lines.items():
        for metric, value in line["numbers"].items():
            if value is not None:
                yield _key(config.profile, "scores"), run, metric, value
    for name, table in files.tables.items():
        for number in of_table(name, table):
            kind = {"paper": "printed"}.get(number.kind, number.kind)
            yield _key(config.profile, name), number.row, f"{number.metric} {kind}", number.value


def _key(*parts: str) -> str:
    """As Prefect wants a key: lower case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")


def _rows(data: Any) -> dict[str, dict[str, Any]]:
    """A table artifact's rows by the text in their first column."""
    rows = json.loads(data) if isinstance(data, str) else data
    return {str(next(iter(row.values()))): row for row in rows if row}
