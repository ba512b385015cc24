"""The report as Markdown, with its figures in files beside it."""

from collections.abc import Sequence

from fcn import tables
from fcn.report.document import Commands, Document, Fold, Grid, Item, Links, Picture, Section, Switch, Text


def markdown(document: Document, *, figures: str) -> str:
    """The page; `figures` is the folder of the figures, as seen from it. Switches are left out: it can't switch."""
    parts = [f"# {document.title}", document.summary]
    parts.append(tables.markdown([label for label, _ in document.facts], [[value for _, value in document.facts]]))
    for section in document.sections:
        parts += _section(section, figures=figures)
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _section(section: Section, *, figures: str) -> list[str]:
    return [f"## {section.title}", *_items(section.items, figures=figures, level=3)]


def _items(items: Sequence[Item], *, figures: str, level: int) -> list[str]:
    return [text for item in items for text in _item(item, figures=figures, level=level)]


def _item(item: Item, *, figures: str, level: int) -> list[str]:
    mark = "#" * level
    match item:
        case Grid():
            note = [item.note] if item.note else []
            return [f"{mark} {item.title}", tables.markdown(item.head, item.lines, left=item.left), *note]
        case Picture():
            return [f"{mark} {item.title}", f"![{item.alt}]({figures}/{item.name})", item.caption]
        case Fold():
            inner = _items(item.items, figures=figures, level=level + 1)
            return [f"<details><summary>{item.title}</summary>", *inner, "</details>"]
        case Commands():
            return ["\n".join(f"- `{command}`: {what}" for command, what in item.lines)]
        case Links():
            return ["\n".join(f"- [{words}]({address})" for words, address in item.links)]
        case Text():
            return [item.text]
        case Switch():
            return []
