"""A dvc.lock without some of its entries, every other line as it was."""

import re
from collections.abc import Collection
from pathlib import Path

import yaml

from fcn.errors import InputError


def without(path: Path, gone: Collection[str]) -> str:
    """The file's text without the entries of these stages.

    Raises InputError where that can't be had without changing what else the file says.
    """
    text = path.read_bytes().decode()  # with its line ends as they are
    parts = re.split(r"(?m)^(?= {0,2}[^\s#-])", text)  # at what stands as far left as a stage, or further
    shorter = "".join(part for part in parts if not (part.startswith("  ") and _name(part) in gone))
    wanted = yaml.safe_load(text)
    wanted["stages"] = {name: entry for name, entry in wanted["stages"].items() if name not in gone}
    try:
        same = yaml.safe_load(shorter) == wanted
    except yaml.YAMLError:
        same = False
    if not same:
        raise InputError(
            f"{path} isn't laid out as DVC does it, so that the entries of {', '.join(sorted(gone))} can't be cut out "
            "without touching others; nothing was changed: take them out by hand, or restore the file with git"
        )
    return shorter


def _name(entry: str) -> str:
    try:
        return str(next(iter(yaml.safe_load(entry))))
    except yaml.YAMLError:
        return ""
