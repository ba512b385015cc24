"""A table of texts, as Markdown and as LaTeX."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

UNCONFIRMED = "†"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A table of texts: the first column names the row, columns whose head is in `left` are words, others numbers.

    `over` are titles that stand above several columns, as (title, number of columns).
    """

    title: str
    head: Sequence[str]
    lines: Sequence[Sequence[str]]
    left: Sequence[str] = ()
    note: str = ""
    over: Sequence[tuple[str, int]] = ()

    def __post_init__(self) -> None:
        assert all(len(line) == len(self.head) for line in self.lines), self.title
        assert not self.over or len(self.head) == sum(span for _, span in self.over), self.title

    def _over(self) -> list[str]:
        """What stands above each column."""
        return [title for title, span in self.over for _ in range(span)] or [""] * len(self.head)

    def markdown(self) -> str:
        """As Markdown, which has one line of heads: the first column of several under one title has that."""
        over = self._over()
        head = [
            above if above and above not in over[:index] else text
            for index, (text, above) in enumerate(zip(self.head, over, strict=True))
        ]
        rule = ["---" if index == 0 or text in self.left else "---:" for index, text in enumerate(self.head)]
        cells = [head, rule, *self.lines]
        return "".join("| " + " | ".join(map(_in_markdown, line)) + " |\n" for line in cells)

    def latex(self, *, label: str) -> str:
        """As LaTeX that needs the package booktabs; title and note are its caption."""
        heads: list[Any] = [tuple(map(_escaped, pair)) for pair in zip(self._over(), self.head, strict=True)]
        frame = pd.DataFrame([[_escaped(text) for text in line] for line in self.lines])
        frame.columns = pd.MultiIndex.from_tuples(heads) if self.over else pd.Index([text for _, text in heads])
        places = "".join("l" if index == 0 or text in self.left else "r" for index, text in enumerate(self.head))
        caption = _escaped(" ".join(filter(None, (f"{self.title}.", self.note))))
        text: str = frame.to_latex(
            index=False, column_format=places, multicolumn_format="c", caption=caption, label=f"tab:{label}"
        )
        return text


def _in_markdown(text: str) -> str:
    """A cell, which holds what a person wrote: on one line, without what would end it or be taken for HTML."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


_LATEX = {"&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "$": r"\$", "->": r"$\to$", UNCONFIRMED: r"$^\dagger$"}


def _escaped(text: str) -> str:
    for plain, escaped in _LATEX.items():
        text = text.replace(plain, escaped)
    return text
