"""What the data are, and what is proven of them."""

from fcn.report import texts
from fcn.report.document import Fold, Grid, Section
from fcn.report.material import Material


def section(material: Material) -> Section:
    """Audits of the labels, image lists with their proofs, and the share of each class."""
    sides = ("width_min", "width_max", "height_min", "height_max")
    audits = Grid(
        title="Audit of the labels",
        head=["source", "labels", "width (px)", "height (px)", "void"],
        lines=[
            [name, f"{found['labels']:,}", "{}-{}".format(*(found[side] for side in sides[:2])),
             "{}-{}".format(*(found[side] for side in sides[2:])), texts.percent(found["void_share"])]
            for name, found in material.audit.items()
        ],
        note="Every label has the size of its image, and only class indices and void. Void in percent of all pixels.",
    )  # fmt: skip
    lists = Grid(
        title="Image lists",
        head=["list", "images", "SHA-256 of its ids"],
        lines=[
            [name, f"{found['count']:,}", found["sha256"]]
            for name, found in material.splits.items()
            if name != "disjoint"
        ],
        left=["SHA-256 of its ids"],
    )
    proofs = Grid(
        title="Lists proven to share no image",
        head=["lists", "proven"],
        lines=[[pair, "yes" if held else "no"] for pair, held in material.splits["disjoint"].items()],
        left=["proven"],
    )
    names = list(dict.fromkeys(name for found in material.audit.values() for name in found["class_share"]))
    shares = Grid(
        title="Share of each class",
        head=["class", *material.audit],
        lines=[
            [name, *(texts.percent(found["class_share"].get(name)) for found in material.audit.values())]
            for name in names
        ],
        note="Percent of the pixels that are not void.",
    )
    return Section(
        key="data", title="Data", items=[audits, lists, proofs, Fold(title="Share of each class", items=[shares])]
    )
