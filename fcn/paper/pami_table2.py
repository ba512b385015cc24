"""PAMI 2016, Table 2: three ways to optimise FCN-32s."""

from fcn.paper.table import REPORTED, Row, Table, scores

HEAVY = "re-scored release in wkentaro/fcn; two copies of the text, as FCN-32s"

TABLES = (
    Table(
        key="pami_table2",
        paper="PAMI 2016",
        number="Table 2",
        title="Optimisation of FCN-32s: 100,000 images in a fixed order, best score during training",
        dataset="VOC2011",
        split="seg11valid, 736 images; trained on SBD train, 8,498",
        note="Row names and protocol are reported only; the last row's numbers are confirmed as FCN-32s.",
        rows=(
            Row(
                label="FCN-accum (batch 20, mom 0.9)",
                cells=scores(REPORTED, 86.0, 66.5, 51.9, 76.5, confirmed=False),
                runs=("voc-fcn32s-vgg16-accum",),
            ),
            Row(
                label="FCN-online (batch 1, mom 0.9)",
                cells=scores(REPORTED, 89.3, 76.2, 60.7, 81.8, confirmed=False),
                runs=("voc-fcn32s-vgg16-online",),
            ),
            Row(
                label="FCN-heavy (batch 1, mom 0.99)",
                cells=scores(HEAVY, 90.5, 76.5, 63.6, 83.5),
                runs=("voc-fcn32s-vgg16",),
            ),
        ),
    ),
)
