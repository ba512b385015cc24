"""The report read back: tables out of the HTML, which is well-formed XML, and out of the Markdown."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

Table = list[list[str]]


def parsed(page: Path) -> ET.Element:
    """The page as a tree; it must be well-formed."""
    return ET.fromstring(page.read_text(encoding="utf-8"))


def words(element: ET.Element) -> str:
    """The text of an element, as it is read."""
    return " ".join("".join(element.itertext()).split())


def html_tables(page: Path) -> dict[str, Table]:
    """The cells of every table by its caption; the last line of the head first."""
    found: dict[str, Table] = {}
    for table in parsed(page).iter("table"):
        caption = table.find("caption")
        assert caption is not None
        assert words(caption) not in found, f"two tables are called {words(caption)!r}"
        lines = [[words(cell) for cell in line] for line in table.iterfind("tbody/tr")]
        head = table.findall("thead/tr")[-1]
        found[words(caption)] = [[words(cell) for cell in head], *lines]
    return found


def markdown_tables(page: Path) -> dict[str, Table]:
    """The cells of every table by the heading above it; the head first, without the rule below it."""
    found: dict[str, Table] = {}
    title = ""
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            title = line.lstrip("# ")
        elif line.startswith("| ") and not re.fullmatch(r"[|\-: ]+", line):
            found.setdefault(title, []).append([cell.strip() for cell in line[1:-1].split(" | ")])
    return found
