"""The results of a profile as artifacts in Prefect: tables, pictures, and a page that leads to them."""

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image
from prefect import get_run_logger, task
from prefect.artifacts import Artifact, ImageArtifact, MarkdownArtifact
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, PREFECT_UI_URL
from prefect.utilities.slugify import slugify

from flows.plan import RunOptions

_WIDTH_PX = 1200  # of a preview; the server keeps a picture as text in its database


@task(name="artifacts", task_run_name="artifacts", cache_policy=NO_CACHE)
def show_results(profile: str) -> None:
    """Make an artifact of each result that is there, and this run's page, which has the tables and leads to all.

    Each says which numbers it shows, by the digest that the tables stage gave them. The log ends with the page's link.
    """
    data = Path("data") / profile
    digest = data / "tables" / "numbers.txt"
    found = digest.read_text(encoding="utf-8").strip() if digest.exists() else "unknown"
    numbers = f"version of the numbers: {found}"
    links = []
    tables = {path: path.read_text(encoding="utf-8") for path in _filled_tables(data / "tables")}
    for path, text in tables.items():
        about = f"{numbers}; `{path}`"
        shown = _shown(MarkdownArtifact(markdown=text, key=slugify(f"{profile}-{path.stem}"), description=about))
        links.append(f"- [{text.partition('# ')[2].partition(chr(10))[0]}]({shown})")
    captions = _captions(data / "figures")
    for path in sorted(data.glob("figures/charts/*.png")):
        about = f"{captions.get(path.name, '')}{numbers}; `{path}`"
        key = slugify(f"{profile}-figure-{path.stem}")
        links.append(f"- [{path.stem}]({_shown(ImageArtifact(image_url=_preview(path), key=key, description=about))})")
    if (report := _report_of(profile)).exists():
        links.append(f"- the report, one page, on the machine that ran this flow: `{report.resolve()}`")
    if links:
        text = "\n".join(["The results as this flow left them:", "", *links, "", *tables.values()])
        page = MarkdownArtifact(markdown=text, key=slugify(f"{profile}-report"), description=f"{numbers}; `{report}`")
        made: Any = page.create()  # to its types also a coroutine, which it is in an asynchronous flow
        get_run_logger().info("tables, pictures and report of %s: %s", profile, _address(made.id))


def _report_of(profile: str) -> Path:
    """Where the report of a profile lies, once it is made."""
    return Path("data") / profile / "report" / "report.html"


def last_word(options: RunOptions) -> str | None:
    """What a run that went well ends with: where the report lies, if it was asked for and is there."""
    report = _report_of(options.profile)
    return f"the report: {report}" if options.wants_report and report.exists() else None


def _shown(artifact: Artifact) -> str:
    """The address of its page; made where the newest of its key has other content, so that what stays is said once.

    It is no flow run's, and no event: who watches a run would hear of a hundred, and a later run's list lack them.
    """
    found: Any = Artifact.get(artifact.key)  # as above
    data, description = artifact.format(), artifact.description
    if found is not None and (found.data, found.description) == (data, description):
        return _address(found.id)
    content = {"key": artifact.key, "type": artifact.type, "data": data, "description": description}
    with get_client(sync_client=True) as client:
        return _address(client.request("POST", "/artifacts/", json=content).json()["id"])


def _address(artifact: object) -> str:
    """Where a browser finds it. Prefect knows its UI's own address only where the environment names the server."""
    pages = PREFECT_UI_URL.value() or str(PREFECT_API_URL.value()).removesuffix("/api")
    return f"{pages}/artifacts/artifact/{artifact}"


def _filled_tables(folder: Path) -> Iterator[Path]:
    """The scores, and the papers' tables of which a run fills a row."""
    for path in sorted(folder.glob("*.json"), key=lambda path: (path.stem != "scores", path)):
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
