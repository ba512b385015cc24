"""Whether pages show the numbers that tables/ has now: each carries `numbers` and the digest of those that it shows."""

import re
from pathlib import Path

from fcn.commands.checks.finding import Finding
from fcn.config import Config
from fcn.stages.places import Places

# `numbers 0123456789abcdef`, name="numbers" content="0123456789abcdef", "numbers": "0123456789abcdef"
_MARK = re.compile(r"\bnumbers\W+(?:content\W+)?([0-9a-f]{16})\b")


def check(config: Config) -> list[Finding]:
    """Compare the digests; whether somebody edited a page is for DVC to tell, which knows its bytes."""
    places = Places(config)
    if not places.tables.exists():
        return [Finding("numbers", "skipped", "there are no tables yet")]
    now, report, publish = digest(config), "`dvc repro report`", "`python -m fcn publish`"
    pages = {places.report / "report.html": report, places.report / "report.md": report, places.published: publish}
    return [_page(path, now, do=do) for path, do in pages.items()]


def digest(config: Config) -> str:
    """That of the tables as they are now."""
    from fcn.tables import numbers_digest  # late: it loads torch and pandas

    return numbers_digest(Places(config).tables)


def mark(text: str) -> str | None:
    """The digest that a page carries; None where it carries none."""
    match = _MARK.search(text)
    return match[1] if match else None


def _page(path: Path, now: str, *, do: str) -> Finding:
    name = f"numbers: {path.name}"
    try:
        shown = mark(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return Finding(name, "warning", f"{path} can't be read ({type(error).__name__})", f"{do} makes it")
    if shown == now:
        return Finding(name, "ok", f"those of the tables as they are ({now})")
    message = f"{path} shows other numbers than tables/ has now: its digest is {shown or 'missing'}, theirs {now}"
    return Finding(name, "broken", message, f"{do} makes it again; a table is never edited, its stage is run")
