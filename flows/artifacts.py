"""The results of a profile as artifacts in Prefect: tables, scores, pictures and the report, read from its files."""

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

from PIL import Image
from prefect import task
from prefect.artifacts import create_image_artifact, create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE

_WIDTH_PX = 1200  # of a preview; the server keeps a picture as text in its database


def key(*parts: str) -> str:
    """A key as Prefect wants it, lower case letters, digits and dashes; the same parts always make the same key."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")


@task(name="artifacts", task_run_name="artifacts", cache_policy=NO_CACHE)
def show_results(profile: str) -> list[str]:
    """Make an artifact of each result that is there, and return the keys; files that aren't there are left out."""
    data = Path("data") / profile
    return [*_scores(data, profile), *_tables(data, profile), *_pictures(data, profile), *_report(data, profile)]


def _scores(data: Path, profile: str) -> list[str]:
    path = data / "tables" / "scores.json"
    if not path.exists():
        return []
    found = json.loads(path.read_text(encoding="utf-8"))
    rows = [
        {"run": row["run"], "val list": row["val"], "images": row["images"]}
        | {name: _short(value) for name, value in row["numbers"].items()}
        | {"parameters": row["parameters"]}
        for row in found["scores"]
    ]
    about = (
        f"The scores of all runs of profile {profile}, in percent; forward times in ms on {found['device']}. `{path}`"
    )
    return [_table(key(profile, "scores"), rows, about)]


def _tables(data: Path, profile: str) -> list[str]:
    """The papers' tables of which a run fills a row."""
    made = []
    for path in sorted(data.glob("tables/*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        if not any(row["run"] for row in found.get("rows", [])):
            continue
        departures = ", ".join(found["departures"]) or "none"
        about = (
            f"**{found['paper']}, {found['number']}: {found['title']}**. "
            f"Printed: {found['dataset']}, {found['split']}. {found['note']} Departures: {departures}. `{path}`"
        )
        made.append(_table(key(profile, path.stem), [_row(row) for row in found["rows"]], about))
    return made


def _row(row: dict[str, Any]) -> dict[str, Any]:
    """A row of a filled table: for each metric the printed number, ours and the difference."""
    absent = "not run" if row["not_run"] else ""
    line = {"row": row["row"], "run": row["run"] or absent}
    for metric, cell in row["cells"].items():
        line |= {
            f"{metric} printed": cell["paper"],
            f"{metric} ours": _short(cell["ours"]),
            f"{metric} difference": _short(cell["difference"]),
        }
    return line


def _short(value: float | None) -> float | None:
    """The file's number to two decimals, because Prefect's pages show all that there are."""
    return None if value is None else round(value, 2)


def _table(name: str, rows: list[dict[str, Any]], about: str) -> str:
    heads = dict.fromkeys(head for row in rows for head in row)  # a row may lack a metric that others have
    create_table_artifact([{head: row.get(head) for head in heads} for row in rows], key=name, description=about)
    return name


def _pictures(data: Path, profile: str) -> list[str]:
    index, made = data / "figures" / "index.json", []
    figures = json.loads(index.read_text(encoding="utf-8"))["figures"] if index.exists() else []
    captions = {figure["file"]: f"**{figure['title']}**. {figure['caption']} " for figure in figures}
    for path in sorted(data.glob("figures/charts/*.png")):
        name = key(profile, "figure", path.stem)
        caption = captions.get(path.relative_to(index.parent).as_posix(), "")
        create_image_artifact(_preview(path), key=name, description=f"{caption}`{path}`")
        made.append(name)
    return made


def _preview(path: Path) -> str:
    """The picture in itself, as an address: the UI's browser reaches the server, not this machine's files."""
    with Image.open(path) as image:
        picture = image.convert("RGB")
    picture.thumbnail((_WIDTH_PX, _WIDTH_PX * 4))
    file = io.BytesIO()
    picture.save(file, "WEBP", quality=85)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"


def _report(data: Path, profile: str) -> list[str]:
    path = data / "report" / "report.html"
    if not path.exists():
        return []
    name = key(profile, "report")
    text = f"The report of profile {profile}, one page that is whole in itself, on the machine that ran this flow:\n\n"
    create_markdown_artifact(f"{text}`{path.resolve()}`", key=name, description=f"`{path}`")
    return [name]
