"""What a report consists of, before it is HTML or Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A table of texts: the first column names the row, columns whose head is in `left` are words, others numbers.

    `over` are titles that stand above several columns, as (title, number of columns), and `under` is the second line
    of the head there; Markdown has only one line, `head`. Without a title of its own a grid takes its section's.
    """

    title: str
    head: Sequence[str]
    lines: Sequence[Sequence[str]]
    left: Sequence[str] = ()
    note: str = ""
    over: Sequence[tuple[str, int]] = ()
    under: Sequence[str] = ()

    def __post_init__(self) -> None:
        assert all(len(line) == len(self.head) for line in self.lines), self.title
        assert not self.over or len(self.under) == len(self.head) == sum(span for _, span in self.over), self.title


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A figure; `file` is below the figures' folder."""

    title: str
    file: str
    caption: str
    alt: str
    width: int
    height: int

    @property
    def name(self) -> str:
        """The file without its folder."""
        return self.file.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layered:
    """An image and what lies over it, in the order of the switch's heads: files of one size, each with its words."""

    caption: str
    width: int
    height: int
    layers: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """Layered images, between whose layers the reader switches; a legend of names and colours."""

    key: str
    title: str
    caption: str
    heads: Sequence[str]
    pictures: Sequence[Layered]
    legend: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """Lines to type, each with what it does."""

    lines: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Addresses with the words to click on."""

    links: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """What only some readers want: closed until somebody opens it."""

    title: str
    items: Sequence["Item"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A paragraph."""

    text: str


Item = Grid | Picture | Switch | Commands | Links | Fold | Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading and what stands under it."""

    key: str
    title: str
    items: Sequence[Item]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The whole: a title, what it comes to in one paragraph and in a few numbers, the sections."""

    title: str
    summary: str
    facts: Sequence[tuple[str, str]]
    sections: Sequence[Section]

    def pictures(self) -> list[Picture]:
        """Every figure, in the order of the page."""
        items = [item for section in self.sections for item in section.items]
        items += [inner for item in items if isinstance(item, Fold) for inner in item.items]
        return [item for item in items if isinstance(item, Picture)]
