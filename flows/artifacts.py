"""The results of a profile as artifacts in Prefect: tables, pictures and the report, read from its files."""

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image
from prefect import task
from prefect.artifacts import create_image_artifact, create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.utilities.slugify import slugify

_WIDTH_PX = 1200  # of a preview; the server keeps a picture as text in its database


@task(name="artifacts", task_run_name="artifacts", cache_policy=NO_CACHE)
def show_results(profile: str) -> None:
    """Make an artifact of each result that is there; files that aren't there are left out.

    Each says which numbers it shows, by the digest that the tables stage gave them.
    """
    data = Path("data") / profile
    digest = data / "tables" / "numbers.txt"
    numbers = f"numbers {digest.read_text(encoding='utf-8').strip()}" if digest.exists() else "numbers unknown"
    for path in _filled_tables(data / "tables"):
        text = path.read_text(encoding="utf-8")
        create_markdown_artifact(text, key=slugify(f"{profile}-{path.stem}"), description=f"{numbers}; `{path}`")
    captions = _captions(data / "figures")
    for path in sorted(data.glob("figures/charts/*.png")):
        about = f"{captions.get(path.name, '')}{numbers}; `{path}`"
        create_image_artifact(_preview(path), key=slugify(f"{profile}-figure-{path.stem}"), description=about)
    report = data / "report" / "report.html"
    if report.exists():
        text = f"The report of profile {profile}, one page that is whole in itself, on the machine that ran this flow:"
        about = f"{numbers}; `{report}`"
        create_markdown_artifact(f"{text}\n\n`{report.resolve()}`", key=slugify(f"{profile}-report"), description=about)


def _filled_tables(folder: Path) -> Iterator[Path]:
    """The scores, and the papers' tables of which a run fills a row."""
    for path in sorted(folder.glob("*.json")):
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if path.stem == "scores" or any(row["run"] for row in found.get("rows", [])):
            yield path.with_suffix(".md")


def _captions(folder: Path) -> dict[str, str]:
    index = folder / "index.json"
    figures = json.loads(index.read_text(encoding="utf-8"))["figures"] if index.exists() else []
    return {Path(figure["file"]).name: f"**{figure['title']}**. {figure['caption']} " for figure in figures}


def _preview(path: Path) -> str:
    """The picture in itself, as an address: the UI's browser reaches the server, not this machine's files."""
    with Image.open(path) as image:
        picture = image.convert("RGB")
    picture.thumbnail((_WIDTH_PX, _WIDTH_PX * 4))
    file = io.BytesIO()
    picture.save(file, "WEBP", quality=85)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
