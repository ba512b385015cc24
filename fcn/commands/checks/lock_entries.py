"""The entries of a dvc.lock, and the file without some of them, every other byte as it was."""

import re
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import yaml

from fcn.errors import InputError


class _Entry(NamedTuple):
    name: str
    start: int
    """Of the name's line, in characters from the file's start."""
    indent: int


def names(path: Path) -> list[str]:
    """The stages that the file has entries of, in its order; none where there is no file.

    Raises InputError where it is not YAML.
    """
    if not path.exists():
        return []
    return [entry.name for entry in _entries(_parsed(_text(path), path))]


def without(path: Path, gone: Collection[str]) -> str:
    """The file's text without the entries of these stages; a comment between two entries stays.

    Raises InputError where that can't be had without changing what else the file says.
    """
    text = _text(path)
    root = _parsed(text, path)
    entries, stages = _entries(root), _stages(root)
    end = len(text) if stages is None or stages.end_mark.column else stages.end_mark.index
    kept, here = [], 0
    for entry, following in zip(entries, [*(entry.start for entry in entries[1:]), end], strict=True):
        if entry.name in gone:
            kept.append(text[here : entry.start])
            here = entry.start + _own_length(text[entry.start : following], indent=entry.indent)
    shorter = "".join([*kept, text[here:]])
    if all(entry.name in gone for entry in entries):
        shorter = re.sub(r"^stages:", "stages: {}", shorter, count=1, flags=re.MULTILINE)
    try:
        same = _meaning(_parsed(shorter, path)) == _meaning(root, gone=gone)
    except InputError:
        same = False
    if not same:
        raise InputError(
            f"{path} isn't laid out as DVC does it, so that the entries of {', '.join(sorted(gone))} can't be cut out "
            "without touching others; nothing was changed: take them out by hand, or restore the file with git"
        )
    return shorter


def _text(path: Path) -> str:
    """With its line ends as they are."""
    return path.read_bytes().decode("utf-8", errors="surrogateescape")


def _parsed(text: str, path: Path) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        message = f"{path} is not YAML ({' '.join(str(error).split())}); a merge may have left marks in it: mend it"
        raise InputError(message) from None


def _stages(root: yaml.Node | None) -> yaml.MappingNode | None:
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    return next((value for key, value in pairs if key.value == "stages" and isinstance(value, yaml.MappingNode)), None)


def _entries(root: yaml.Node | None) -> list[_Entry]:
    stages = _stages(root)
    marks = [] if stages is None else [(str(key.value), key.start_mark) for key, _ in stages.value]
    return [_Entry(name, mark.index - mark.column, mark.column) for name, mark in marks]


def _own_length(text: str, *, indent: int) -> int:
    """Of the text up to the next entry: blank lines and comments before that one are not this one's."""
    lines = text.splitlines(keepends=True)
    while len(lines) > 1 and _is_between(lines[-1], indent=indent):
        lines.pop()
    return sum(map(len, lines))


def _is_between(line: str, *, indent: int) -> bool:
    words = line.lstrip(" ")
    return not words.strip() or (words.startswith("#") and len(line) - len(words) <= indent)


def _meaning(node: yaml.Node | None, *, gone: Collection[str] = ()) -> object:
    """All that the YAML says, in its order, keys that stand twice included; `gone` are left out of the stages."""
    stages = _stages(node) if gone else None
    if isinstance(node, yaml.MappingNode):
        return node.tag, [(_meaning(key), _meaning(_less(value, gone, of=stages))) for key, value in node.value]
    if isinstance(node, yaml.SequenceNode):
        return node.tag, [_meaning(item) for item in node.value]
    return None if node is None else (node.tag, node.value)


def _less(value: yaml.Node, gone: Collection[str], *, of: yaml.MappingNode | None) -> yaml.Node:
    """`of` without its entries that are gone; any other value as it is."""
    if of is None or value is not of:
        return value
    return yaml.MappingNode(of.tag, [pair for pair in of.value if pair[0].value not in gone])
