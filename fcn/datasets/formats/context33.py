"""PASCAL-Context's 33 classes; a pixel of none of them is background, and trained as such, as in context59."""

from functools import partial

from fcn.datasets import context
from fcn.datasets.facts import Target

CLASSES = (
    *context.OBJECTS,
    *("sky", "grass", "ground", "road", "building", "tree", "water", "mountain", "wall", "floor", "track"),
    *("keyboard", "ceiling"),
)

INPUTS = context.INPUTS
TARGETS = {"semantic": Target(classes=("background", *CLASSES), background=0, average="seen")}

root, wanted, lists, ids = context.root, context.wanted, context.lists, context.ids
read = partial(context.read, target=TARGETS["semantic"])
