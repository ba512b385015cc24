"""PASCAL-Context's 59 classes; a pixel of none of them is background, and trained as such: the FCN release's way."""

from functools import partial

from fcn.datasets import context
from fcn.datasets.facts import Target

CLASSES = (
    *context.OBJECTS,
    *("bag", "bed", "bench", "book", "building", "cabinet", "ceiling", "cloth", "computer", "cup", "door"),
    *("fence", "floor", "flower", "food", "grass", "ground", "keyboard", "light", "mountain", "mouse"),
    *("curtain", "platform", "sign", "plate", "road", "rock", "shelves", "sidewalk", "sky", "snow"),
    *("bedclothes", "track", "tree", "truck", "wall", "water", "window", "wood"),
)

INPUTS = context.INPUTS
TARGETS = {"semantic": Target(classes=("background", *CLASSES), background=0, average="seen")}

root, wanted, lists, ids = context.root, context.wanted, context.lists, context.ids
read = partial(context.read, target=TARGETS["semantic"])
