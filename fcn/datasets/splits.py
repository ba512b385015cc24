"""Image lists from a dataset's own lists, and the proofs that they are what they should be."""

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from fcn.datasets import lists as list_files
from fcn.entries import ImageList
from fcn.errors import InputError, near

_VOC2011 = (
    "the lists of VOC 2011 come with VOCtrainval_25-May-2011.tar: give it as a dataset of its own, such as "
    "`voc2011: {format: voc, from: PATH}`"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """What a dataset has: its own lists, and the ids of its labels."""

    format: str
    lists: Mapping[str, Sequence[str]]
    ids: Sequence[str]


def derive(
    lists: Mapping[str, ImageList], *, holdings: Mapping[str, Holdings], published: Mapping[str, Sequence[str]]
) -> dict[str, list[str]]:
    """The ids of every image list, in the order of the dataset's own list.

    `published` are the lists that a paper's authors published, by name.
    Raises InputError for a list that can't be derived from what the datasets have, that has an id twice or none
    at all, that has not the expected count, or that differs from its published list.
    """
    check_published(lists, published)
    done: dict[str, list[str]] = {}
    for name in lists:
        _derive(name, lists=lists, holdings=holdings, published=published, done=done, above=())
    return {name: done[name] for name in lists}


def check_published(lists: Mapping[str, ImageList], published: Collection[str]) -> None:
    """Raise InputError for a list whose `published` is none of these names."""
    for name, entry in lists.items():
        if entry.published is not None and entry.published not in published:
            known = near(entry.published, published) + f"known are: {', '.join(sorted(published)) or 'none'}"
            raise InputError(f"lists.{name}.published: unknown list {entry.published!r}; {known}")


def prove_disjoint(lists: Mapping[str, Sequence[str]], *, pairs: Sequence[tuple[str, str]]) -> None:
    """Raise InputError if the two lists of a pair share an image: training on what is scored."""
    for first, second in pairs:
        both = sorted(set(lists[first]) & set(lists[second]))
        if both:
            raise InputError(
                f"disjoint: lists {first!r} and {second!r} share {len(both)} images ({_some(both)}); "
                f"score on a list with `minus: {first}`, or, where two datasets call other pictures so, take the pair "
                "out of `disjoint`"
            )


def sha256(ids: Sequence[str]) -> str:
    """The hash of a list's file."""
    return hashlib.sha256(list_files.text(ids).encode()).hexdigest()


def _derive(
    name: str,
    *,
    lists: Mapping[str, ImageList],
    holdings: Mapping[str, Holdings],
    published: Mapping[str, Sequence[str]],
    done: dict[str, list[str]],
    above: tuple[str, ...],
) -> list[str]:
    if name in done:
        return done[name]
    if name in above:
        raise InputError(f"lists.{name}.minus goes in a circle: {' -> '.join([*above[above.index(name) :], name])}")
    entry = lists[name]
    dataset = holdings[entry.dataset]
    ids = _own(name, entry, dataset)
    if entry.minus is not None:
        without = _derive(
            entry.minus, lists=lists, holdings=holdings, published=published, done=done, above=(*above, name)
        )
        left_out = set(without)
        ids = [image_id for image_id in ids if image_id not in left_out]
    if entry.share is not None:
        ids = [image_id for image_id in ids if _draw(image_id, entry.seed) < entry.share]
    if entry.published is not None:
        ids = _against_published(name, entry, ids, dataset=dataset, published=published)
    if not ids:
        given = [f"`{word}`" for word in ("list", "minus", "published") if getattr(entry, word) is not None]
        advice = [f"check {', '.join(given)}"] if given else []
        if entry.share is not None:
            beyond = "" if entry.minus is None else ", with `minus` larger than that list's"
            advice.append(f"take a larger `share`{beyond}")
        raise InputError(f"lists.{name}: no image is left in it; {'; or '.join(advice)}")
    if entry.expect is not None and len(ids) != entry.expect:
        raise InputError(_count_message(name, entry, ids, published=published))
    done[name] = ids
    return ids


def _draw(image_id: str, seed: int) -> float:
    """A number in 0..1 that is always an image's own, whatever other images there are."""
    return int.from_bytes(hashlib.sha256(f"{seed} {image_id}".encode()).digest()[:8], "big") / 2**64


def _own(name: str, entry: ImageList, dataset: Holdings) -> list[str]:
    """The dataset's own list that an entry starts from, or all images that have a label."""
    if entry.list is None:
        return sorted(dataset.ids)
    if entry.list not in dataset.lists:
        whole = dataset.format == "voc" and {"train", "val", "trainval"} <= dataset.lists.keys()  # VOC's own archive
        own = f"or put {entry.list.removesuffix('.txt')}.txt to the lists in datasets.{entry.dataset}.from"
        own += ", in its folder lists or the one that is named as its `lists`" if dataset.format == "folder" else ""
        there = f"{near(entry.list, dataset.lists)}it has {', '.join(sorted(dataset.lists)) or 'none'}"
        raise InputError(
            f"lists.{name}: dataset {entry.dataset!r} has no list {entry.list!r}; {there}; without `list` it is all "
            f"images that have a label; {_VOC2011 if whole else own}"
        )
    ids = list(dataset.lists[entry.list])
    twice = [image_id for image_id, times in Counter(ids).items() if times > 1]
    if twice:
        raise InputError(
            f"lists.{name}: {len(twice)} ids stand more than once in list {entry.list!r} of {entry.dataset!r} "
            f"({_some(twice)}); each image may count once"
        )
    if without := list_files.without_label(ids, ids=dataset.ids):
        raise InputError(
            f"lists.{name}: list {entry.list!r} of {entry.dataset!r}: {without}; a line is the id of a label: mend "
            "the list, or the archive or folder, which may not be whole"
        )
    return ids


def _against_published(
    name: str, entry: ImageList, ids: list[str], *, dataset: Holdings, published: Mapping[str, Sequence[str]]
) -> list[str]:
    """Without `minus`: the published ids among `ids`. With it: `ids`, proven to be the published ones that are here."""
    assert entry.published is not None
    official = set(published[entry.published])
    if entry.minus is None:
        return [image_id for image_id in ids if image_id in official]
    extra = [image_id for image_id in ids if image_id not in official]
    lacking = sorted((official & set(dataset.ids)) - set(ids))
    if extra or lacking:
        differences = [
            f"{len(some)} {what} ({_some(some)})"
            for what, some in (("are not in it", extra), ("of it are missing, though their labels are here", lacking))
            if some
        ]
        hint = (
            f"; {_VOC2011}; from VOC 2012, `list: trainval, published: {entry.published}` without `minus` takes the "
            "published ids"
            if dataset.format == "voc"
            else ""
        )
        raise InputError(
            f"lists.{name}: {entry.list!r} minus {entry.minus!r} gives {len(ids)} images, which is not the published "
            f"list {entry.published!r} of {len(official)}: {' and '.join(differences)}{hint}"
        )
    return ids


def _count_message(name: str, entry: ImageList, ids: Sequence[str], *, published: Mapping[str, Sequence[str]]) -> str:
    message = f"lists.{name}: {len(ids)} images, expected {entry.expect}"
    if entry.published is None:
        return f"{message}; the data are others, or not whole: check datasets.{entry.dataset}, or correct `expect`"
    missing = sorted(set(published[entry.published]) - set(ids))
    return (
        f"{message}; list {entry.list!r} of {entry.dataset!r} lacks {len(missing)} of the "
        f"{len(published[entry.published])} published ids of {entry.published!r} ({_some(missing)}); {_VOC2011}"
    )


def _some(ids: Sequence[str]) -> str:
    return ", ".join(ids[:3]) + (", ..." if len(ids) > 3 else "")
