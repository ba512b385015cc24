"""One page of all results in a folder: each picture beside its overlay and the shares of its classes."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from fcn.commands.predictions import results


def write(folder: Path) -> Path:
    """Write index.html there, of all results in and below the folder, whichever command made them."""
    page = folder / results.PAGE
    loader = PackageLoader("fcn.commands.predictions", package_path=".")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    found = [entry for path in sorted(_shares_in(folder)) if (entry := _entry(path, folder)) is not None]
    with results.result(page) as part:
        text = environment.get_template("page.jinja").render(found=found, made_by=results.MADE_BY)
        part.write_text(text, encoding="utf-8")
    return page


def _shares_in(folder: Path) -> Iterator[Path]:
    """What predict has written of each picture; not of each picture of a video, nor in what is hidden."""
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and not results.NAME.search(name)]
        shares = [name for name in files if results.NAME.search(name) and "-shares" in name and name.endswith(".json")]
        yield from (path for name in shares if results.is_own(path := Path(root, name)))


def _entry(path: Path, folder: Path) -> dict[str, Any] | None:
    """What the page says of a result, with addresses as a browser takes them; None of what another version wrote."""
    there = path.parent.relative_to(folder)
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        links = {kind: quote(os.fsencode(there / name)) for kind, name in told["files"].items()}
        words = {key: str(told[key]) for key in ("picture", "net", "target")}
        shares = {name: float(share) for name, share in told["shares"].items()}
        moving = links["overlay"].endswith(".mp4")
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    other = not path.name.endswith("-shares.json")
    return {"photo": None, **links, **words, "shares": shares, "other": other, "moving": moving}
