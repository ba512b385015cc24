"""Stage: turn a source's labels into palette PNGs of class indices, and audit every one."""

import importlib
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from fcn.config import Config
from fcn.datasets import labels, splits
from fcn.errors import InputError
from fcn.stages import archives
from fcn.stages.places import Places, existing, whole_folder, write_json

_SHOWN = 3  # offenders that a message names


@dataclass(frozen=True, slots=True, kw_only=True)
class _Audited:
    """A good label's size in pixels, and its pixels per value, 256."""

    height: int
    width: int
    pixels: NDArray[np.int64]


def run(config: Config, name: str | None) -> None:
    """Write data/<profile>/labels/<name> and the metric data/<profile>/audit/<name>.json."""
    name = archives.given(name, config)
    places = Places(config)
    dataset = importlib.import_module(f"fcn.datasets.{config.source(name).dataset}")
    raw = existing(places.raw(name))
    ids: list[str] = dataset.labelled_ids(raw)
    lists: dict[str, list[str]] = dataset.lists(raw)
    _check_lists(lists, ids, raw=raw, dataset=dataset)
    with whole_folder(places.labels(name)) as part:
        audited, offenders = _convert(ids, raw=raw, part=part, dataset=dataset, classes=config.classes)
        if offenders:
            shown = "; ".join(offenders[:_SHOWN])
            raise InputError(f"source {name!r}: {len(offenders)} of {len(ids)} labels are refused: {shown}")
        (part / "lists").mkdir()
        for list_name, list_ids in lists.items():
            (part / "lists" / f"{list_name}.txt").write_text(splits.text(list_ids), encoding="utf-8")
    write_json(places.audit(name), _metric(audited, classes=dataset.CLASSES))
    print(f"labels {name}: {len(ids)} labels, all with values in 0..{config.classes - 1} or 255", file=sys.stderr)


def _check_lists(lists: Mapping[str, Sequence[str]], ids: Sequence[str], *, raw: Path, dataset: ModuleType) -> None:
    """Every listed image must have its label and its JPEG."""
    labelled = set(ids)
    for list_name, list_ids in lists.items():
        missing = [
            image_id
            for image_id in list_ids
            if image_id not in labelled or not dataset.image_path(raw, image_id).is_file()
        ]
        if missing:
            more = ", ..." if len(missing) > _SHOWN else ""
            raise InputError(
                f"{raw}: {len(missing)} of the {len(list_ids)} ids in list {list_name!r} have no label or no image "
                f"({', '.join(missing[:_SHOWN])}{more}); the archive or folder is not whole: fetch it again, "
                "or take these ids out of its list"
            )


def _convert(
    ids: Sequence[str], *, raw: Path, part: Path, dataset: ModuleType, classes: int
) -> tuple[list[_Audited], list[str]]:
    """The audits of the good labels, and what is wrong with the others."""
    audited: list[_Audited] = []
    offenders: list[str] = []
    convert = partial(_convert_one, raw=raw, part=part, dataset=dataset, classes=classes)
    with ThreadPoolExecutor(2) as pool:  # PNG and JPEG are coded outside of Python's lock
        for result in tqdm(pool.map(convert, ids), total=len(ids), desc="labels", disable=None, file=sys.stderr):
            if isinstance(result, InputError):
                offenders.append(str(result))
            else:
                audited.append(result)
    return audited, offenders


def _convert_one(image_id: str, *, raw: Path, part: Path, dataset: ModuleType, classes: int) -> _Audited | InputError:
    try:
        label: NDArray[np.uint8] = dataset.read_label(raw, image_id)
        pixels = labels.audit(label, image=dataset.image_path(raw, image_id), classes=classes, name=image_id)
    except InputError as error:
        return error
    labels.write(label, path=part / f"{image_id}.png")
    return _Audited(height=label.shape[0], width=label.shape[1], pixels=pixels)


def _metric(audited: Sequence[_Audited], *, classes: Sequence[str]) -> dict[str, object]:
    total = np.sum([label.pixels for label in audited], axis=0)
    of_classes = int(total[: len(classes)].sum())
    return {
        "labels": len(audited),
        "width_min": min(label.width for label in audited),
        "width_max": max(label.width for label in audited),
        "height_min": min(label.height for label in audited),
        "height_max": max(label.height for label in audited),
        "void_share": round(int(total[labels.VOID]) / int(total.sum()), 6),
        "class_share": {name: round(int(total[index]) / of_classes, 6) for index, name in enumerate(classes)},
    }
