"""From a dataset's own files to the one layout that everything else reads."""

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcn.datasets import audit, labels
from fcn.datasets import lists as list_files
from fcn.datasets.audit import Audited
from fcn.datasets.facts import Target
from fcn.datasets.formats import Format, Original
from fcn.errors import InputError
from fcn.files import sha256

_NAMED = 3  # offenders that a message names

Folders = Mapping[str, Path]
Targets = Mapping[str, Target]
Place = Callable[[Path, Path], object]  # brings a picture's file from where it is to where it shall be


def convert(
    reader: Format, folders: Folders, out: Path, *, targets: Targets, place: Place, step: Callable[[], object]
) -> list[Audited]:
    """Write <input>/<id>.* and <target>/<id>.png below `out`; return what the audit of each gave.

    `targets` has the classes that labels may hold; `step` is called after each picture. Raises InputError where labels
    or pictures are refused; the message names up to three of them.
    """
    ids = reader.ids(folders)
    if not ids:
        raise InputError("there is no label in it")
    for name in (*reader.INPUTS, *targets):
        (out / name).mkdir()
    audited: list[Audited] = []
    offenders: list[str] = []
    with ThreadPoolExecutor(2) as pool:  # PNG and JPEG are coded outside of Python's lock
        for result in pool.map(partial(_one, reader, folders, out, place, targets), ids):
            if isinstance(result, InputError):
                offenders.append(str(result))
            else:
                audited.append(result)
            step()
    if offenders:
        are = "are" if len(offenders) > 1 else "is"
        raise InputError(f"{len(offenders)} of {len(ids)} labels {are} refused: {_in_short(offenders)}")
    return audited


def _in_short(messages: Sequence[str]) -> str:
    """The first few, each once, for one file may spoil them all; and once what all of these end with."""
    named = [*dict.fromkeys(messages)][:_NAMED]
    backwards = [message[::-1] for message in named]
    alike = os.path.commonprefix(backwards)[::-1] if len(named) > 1 else ""  # noqa: RUF071 -- these are no paths
    begins = re.search("[:;] ", alike)
    end = alike[begins.start() :] if begins else ""
    return "; ".join(message.removesuffix(end) for message in named) + end


def write_lists(lists: Mapping[str, Path | Sequence[str]], *, ids: Sequence[str], out: Path) -> list[str]:
    """Write <list>.txt below `out`, and return what is wrong with some, in sentences.

    No run may want these: whoever does is told again, and stopped (fcn/datasets/splits.py).
    """
    doubts, known = [], set(ids)
    for name, given in lists.items():
        path = out / f"{name}.txt"
        try:
            listed = list_files.read(given, ids=known) if isinstance(given, Path) else given
        except InputError as error:
            assert isinstance(given, Path)
            if given.is_file():
                shutil.copyfile(given, path)
            doubts.append(f"{error}; until then no run can use it")
            continue
        path.write_text(list_files.text(listed), encoding="utf-8")
        if without := list_files.without_label(listed, ids=ids):
            doubts.append(f"list {name!r}: {without}; no run can use it")
    return doubts


def digest(folder: Path) -> str:
    """One hash of all paths and contents below a folder."""
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        total.update(f"{path.relative_to(folder).as_posix()}\0{sha256(path)}\n".encode())
    return total.hexdigest()


def _one(
    reader: Format, folders: Folders, out: Path, place: Place, targets: Targets, image_id: str
) -> Audited | InputError:
    """Convert one picture, if nothing is wrong with it."""
    try:
        original = reader.read(folders, image_id)
        audited = _audited(original, image_id, inputs=reader.INPUTS, targets=targets)
    except InputError as error:
        return error
    for name, picture in original.inputs.items():
        if isinstance(picture, Path):
            place(picture, out / name / f"{image_id}{picture.suffix.lower()}")
        else:
            _write_input(picture, out / name / image_id)
    for name, label in original.labels.items():
        labels.write(label, path=out / name / f"{image_id}.png", colours=targets[name].palette)
    return audited


def _audited(original: Original, image_id: str, *, inputs: Mapping[str, int], targets: Targets) -> Audited:
    given = list(original.inputs), list(original.labels)
    assert given == (list(inputs), list(targets)), f"the format reads {given}, but INPUTS, TARGETS name others"
    assert "/" not in image_id, f"{image_id!r}: an id is the name of a file, without its folder"
    sizes = {name: audit.size(picture) for name, picture in original.inputs.items()}
    pixels = {}
    for target, label in original.labels.items():
        for name, size in sizes.items():
            picture = original.inputs[name]
            pixels[target] = audit.check(
                label,
                name=image_id if len(targets) == 1 else f"{image_id}, {target}",
                size=size,
                picture=str(picture) if isinstance(picture, Path) else name,
                classes=len(targets[target].classes),
            )
    return Audited(height=size[0], width=size[1], pixels=pixels)


def _write_input(values: NDArray[Any], path: Path) -> None:
    """Write an array H W C: bytes of one or three channels as PNG, everything else as it is."""
    if values.dtype == np.uint8 and values.shape[2] in (1, 3):
        Image.fromarray(values if values.shape[2] == 3 else values[:, :, 0]).save(path.with_name(f"{path.name}.png"))
    else:
        np.save(path.with_name(f"{path.name}.npy"), values, allow_pickle=False)
