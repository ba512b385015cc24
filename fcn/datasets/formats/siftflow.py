"""SIFT Flow (Liu et al., PAMI 2011): outdoor scenes, labelled twice, with 33 classes and with 3 of their geometry."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from fcn.datasets import lists as list_files
from fcn.datasets import mat, tree
from fcn.datasets.facts import Target
from fcn.datasets.formats import Original
from fcn.datasets.labels import VOID
from fcn.datasets.renumber import renumber
from fcn.errors import InputError

CLASSES = (
    *("awning", "balcony", "bird", "boat", "bridge", "building", "bus", "car", "cow", "crosswalk", "desert"),
    *("door", "fence", "field", "grass", "moon", "mountain", "person", "plant", "pole", "river", "road"),
    *("rock", "sand", "sea", "sidewalk", "sign", "sky", "staircase", "streetlight", "sun", "tree", "window"),
)

INPUTS = {"rgb": 3}
# Cow, desert and moon are in no test picture: the papers' mean is over the 30 classes that are.
TARGETS = {
    "semantic": Target(classes=CLASSES, background=None, average="truth"),
    "geometric": Target(classes=("sky", "horizontal", "vertical"), background=None, average="truth"),
}

SCENES = "spatial_envelope_256x256_static_8outdoorcategories"
PICTURES = f"Images/{SCENES}"
LABELS = {"semantic": f"SemanticLabels/{SCENES}", "geometric": f"GeoLabels/{SCENES}"}
# The first number in a label, and what becomes of it and of those after it: 0 is no class, nor is -1 of the geometry.
_NUMBERS = {"semantic": (0, (VOID, *range(33))), "geometric": (-1, (VOID, VOID, 0, 1, 2))}
TEST = "TestSet1.txt"

LAYOUT = f"{TEST}, {PICTURES}/*.jpg, {' and '.join(f'{folder}/*.mat' for folder in LABELS.values())}"

_LABEL = re.compile(rf"(?P<root>.*/)?{LABELS['semantic']}/[^./][^/]*\.mat")


def root(members: Sequence[str]) -> str:
    """What stands before SIFT Flow's own layout in member names: `SiftFlowDataset/`, or nothing.

    Raises InputError where there is no SIFT Flow tree, or more than one.
    """
    return tree.root(members, sign=_LABEL, dataset="SIFT Flow", layout=LAYOUT)


def wanted(members: Sequence[str]) -> list[str]:
    """The test list, and of each picture that has both labels these and itself.

    Raises InputError where one of them is missing altogether.
    """
    start = root(members)
    inside = [member for member in members if member.startswith(start)]
    if f"{start}{TEST}" not in inside:
        raise InputError(f"{start}{TEST} missing; a SIFT Flow tree has {LAYOUT}")
    semantic, geometric = (tree.by_id(inside, f"{start}{folder}/", suffixes=[".mat"]) for folder in LABELS.values())
    both = semantic.keys() & geometric.keys()
    images = tree.by_id(inside, f"{start}{PICTURES}/", suffixes=tree.PICTURES, among=both)
    for folder, found in (
        (f"{LABELS['geometric']}/*.mat of the semantic labels", both),
        (f"{PICTURES}/*.jpg of the labels", images),
    ):
        if not found:
            raise InputError(f"no {start}{folder}; a SIFT Flow tree has {LAYOUT}")
    labels = (found[image_id] for found in (semantic, geometric) for image_id in sorted(both))
    return [f"{start}{TEST}", *labels, *images.values()]


def lists(folders: Mapping[str, Path]) -> Mapping[str, Path | Sequence[str]]:
    """`test`, SIFT Flow's own 200, and `trainval`, all others that have both labels.

    The paper counts 2,488 of these, the FCN release 2,486: highway_bost181 and street_urb506 lack a label, so that
    nothing can be learned from them.
    """
    (folder,) = folders.values()
    test = set(list_files.read(folder / TEST))
    return {"test": folder / TEST, "trainval": [image_id for image_id in ids(folders) if image_id not in test]}


def ids(folders: Mapping[str, Path]) -> list[str]:
    """The images that have both labels."""
    (folder,) = folders.values()
    semantic, geometric = (
        tree.by_id((path.name for path in (folder / labels).iterdir()), "", suffixes=[".mat"])
        for labels in LABELS.values()
    )
    return sorted(semantic.keys() & geometric.keys())


def read(folders: Mapping[str, Path], image_id: str) -> Original:
    """The picture, and the class indices of both targets, 255 for void.

    Raises InputError for a label that is no whole .mat, holds no `S`, or numbers that are no classes.
    """
    (folder,) = folders.values()
    labels = {}
    for target, (first, table) in _NUMBERS.items():
        path = tree.file(folder / LABELS[target], image_id, suffixes=[".mat"])
        labels[target] = renumber(mat.label(path, "S", dataset="SIFT Flow"), table, first=first, path=path)
    return Original(inputs={"rgb": tree.file(folder / PICTURES, image_id, suffixes=tree.PICTURES)}, labels=labels)
