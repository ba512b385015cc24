"""Where a dataset's own files are among the members of an archive, or in a folder."""

import os
import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path, PurePosixPath

from fcn.datasets.lists import same
from fcn.errors import InputError
from fcn.files import regular

PICTURES = (".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG")
MASKS = (".png", ".PNG")
_LONGEST = 255  # bytes of a name, on every common disk


def root(members: Sequence[str], *, sign: re.Pattern[str], dataset: str, layout: str) -> str:
    """What stands before the dataset's layout in member names, such as `VOCdevkit/VOC2012/`, or nothing.

    `sign` is a pattern of members by which the dataset is known; its group `root` is what is returned.
    Raises InputError where no member fits, or where members of several folders do.
    """
    roots = sorted({found["root"] or "" for member in members if (found := sign.fullmatch(member))})
    if not roots:
        of_folders = {PurePosixPath(member).parent: member for member in sorted(members, reverse=True)}
        first = sorted(of_folders.values())
        more = f" and those of {len(first) - 5} more folders" if len(first) > 5 else ""
        raise InputError(f"no {dataset} tree in it: found {', '.join(first[:5]) or 'nothing'}{more}; expected {layout}")
    if len(roots) > 1:
        raise InputError(
            f"{len(roots)} {dataset} trees in it: {', '.join(name or '.' for name in roots)}; "
            "give the one folder that is meant"
        )
    return roots[0]


def by_id(
    members: Iterable[str], folder: str, *, suffixes: Sequence[str], among: Collection[str] | None = None
) -> dict[str, str]:
    """The members right in `folder` with one of these suffixes, by their id; only the ids `among`, where given.

    Raises InputError where two have one id. A name that begins with a dot is none: macOS adds those to archives, and
    writes é as two letters in names, which are one id.
    """
    found: dict[str, str] = {}
    for member in members:
        name = member.removeprefix(folder)
        suffix = next((suffix for suffix in suffixes if name.endswith(suffix)), None)
        if suffix is None or not member.startswith(folder) or "/" in name or name.startswith("."):
            continue
        image_id = same(name.removesuffix(suffix))
        if among is None or image_id in among:
            if image_id in found:
                raise InputError(f"{found[image_id]} and {member} are both there; keep the one that is meant")
            found[image_id] = member
    return found


def file(folder: Path, image_id: str, *, suffixes: Sequence[str]) -> Path:
    """The file of an id in a folder; where there is none, the one that should be.

    Raises InputError where that is something else than a file.
    """
    forms = (image_id, unicodedata.normalize("NFD", image_id))
    candidates = [folder / f"{form}{suffix}" for form in forms for suffix in suffixes]
    there = (path for path in candidates if os.path.lexists(path))
    return regular(next((path for path in candidates if path.is_file()), next(there, candidates[0])))


def check_names(names: Iterable[str]) -> None:
    """Raise InputError for a name that lists, JSON or another disk couldn't hold."""
    for name in names:
        called = repr(name if len(name) < 80 else f"{name[:80]}...")
        try:
            longest = max(len(part.encode()) for part in name.split("/"))
        except UnicodeEncodeError:
            raise InputError(f"the name {called} is not UTF-8; rename the file") from None
        if longest > _LONGEST or any(ord(letter) < ord(" ") for letter in name):
            raise InputError(f"the name {called} is longer than {_LONGEST} bytes, or has control characters; rename it")
