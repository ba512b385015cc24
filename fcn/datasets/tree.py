"""Where a dataset's own folder begins among the members of an archive."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from fcn.errors import InputError


def root(members: Sequence[str], *, sign: re.Pattern[str], dataset: str, layout: str) -> str:
    """What stands before the dataset's layout in member names, such as `VOCdevkit/VOC2012/`, or nothing.

    `sign` is a pattern of members by which the dataset is known; its group `root` is what is returned.
    Raises InputError where no member fits, or where members of several folders do.
    """
    roots = sorted({found["root"] or "" for member in members if (found := sign.fullmatch(member))})
    if not roots:
        tops = sorted({PurePosixPath(member).parts[0] for member in members})
        more = f" and {len(tops) - 5} more" if len(tops) > 5 else ""
        raise InputError(f"no {dataset} tree in it: found {', '.join(tops[:5]) or 'nothing'}{more}; expected {layout}")
    if len(roots) > 1:
        raise InputError(
            f"{len(roots)} {dataset} trees in it: {', '.join(name or '.' for name in roots)}; "
            "give the one folder that is meant"
        )
    return roots[0]
