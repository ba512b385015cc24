"""The tables of a report as they stand on the page, HTML or Markdown: titles, heads and cells as texts."""

from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass(slots=True)
class Shown:
    """A table: its head, and its rows by their first cell."""

    head: list[str] = field(default_factory=list)
    rows: dict[str, list[str]] = field(default_factory=dict)

    def cell(self, row: str, column: str, *, beyond: int = 0) -> str | None:
        """The text under `column`, or that many places to the right of it; None where there is no such cell."""
        if row not in self.rows or column not in self.head:
            return None
        index = self.head.index(column) + beyond
        cells = self.rows[row]
        return cells[index] if index < len(cells) else None


def in_markdown(text: str) -> dict[str, Shown]:
    """Tables by the heading above them."""
    found: dict[str, Shown] = {}
    title, lines = "", [line.strip() for line in text.splitlines()]
    for index, line in enumerate(lines):
        if line.startswith("#"):
            title = line.lstrip("# ")
        elif line.startswith("| ---") and index:
            found[title] = Shown(head=_cells(lines[index - 1]))
        elif line.startswith("|") and title in found:
            cells = _cells(line)
            found[title].rows.setdefault(cells[0], cells)
    return found


def _cells(line: str) -> list[str]:
    plain = line.replace("\\|", "\0").strip("|")
    return [cell.strip().replace("\0", "|") for cell in plain.split("|")]


def in_html(text: str) -> dict[str, Shown]:
    """Tables by their caption."""
    reader = _Tables()
    reader.feed(text)
    reader.close()
    return reader.found


class _Tables(HTMLParser):
    """Gathers cells; a cell of the head that stands above several columns gives its name to the first of them."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: dict[str, Shown] = {}
        self._table: Shown | None = None
        self._words: list[str] | None = None
        self._row: list[tuple[str, int]] = []
        self._span, self._in_head = 1, False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a table, a row, or a text."""
        if tag == "table":
            self._table = Shown()
        elif tag == "thead":
            self._in_head = True
        elif tag == "tr":
            self._row = []
        elif tag in ("th", "td", "caption"):
            self._words = []
            span = dict(attrs).get("colspan") or "1"
            self._span = int(span) if span.isdecimal() else 1

    def handle_data(self, data: str) -> None:
        """A piece of the text."""
        if self._words is not None:
            self._words.append(data)

    def handle_endtag(self, tag: str) -> None:
        """Put away what has ended."""
        if tag == "thead":
            self._in_head = False
        if self._table is None:
            return
        if tag == "caption" and self._words is not None:
            self.found.setdefault(" ".join("".join(self._words).split()), self._table)
            self._words = None
        elif tag in ("th", "td") and self._words is not None:
            self._row.append(("".join(self._words).strip(), self._span))
            self._words = None
        elif tag == "tr" and self._row:
            self._end_row(self._table)

    def _end_row(self, table: Shown) -> None:
        if not self._in_head:
            table.rows.setdefault(self._row[0][0], [text for text, _ in self._row])
        elif not table.head:
            table.head = [name for text, span in self._row for name in [text] + [""] * (span - 1)]
        else:  # the second line of a head: names of those columns that the first leaves without
            under = [text for text, _ in self._row]
            table.head = [over or below for over, below in zip(table.head, under, strict=False)]
