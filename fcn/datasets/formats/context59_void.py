"""PASCAL-Context's 59 classes alone: a pixel of none of them is void, which never counts."""

from functools import partial

from fcn.datasets import context
from fcn.datasets.facts import Target
from fcn.datasets.formats.context59 import CLASSES

INPUTS = context.INPUTS
TARGETS = {"semantic": Target(classes=CLASSES, background=None, average="seen")}

root, wanted, lists, ids = context.root, context.wanted, context.lists, context.ids
read = partial(context.read, target=TARGETS["semantic"])
