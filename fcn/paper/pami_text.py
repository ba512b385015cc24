"""PAMI 2016: numbers that stand in the text only."""

from fcn.paper.table import REPORTED, Row, Table, printed

TABLES = (
    Table(
        key="pami_text",
        paper="PAMI 2016",
        number="Text",
        title="Other networks on the same images",
        dataset="VOC2011",
        split="seg11valid, 736 images",
        rows=(
            Row(
                label="FCN-AlexNet + SBD",
                cells=printed("README of the reference release; CVPR 2015, section 4.1", mean_iu=48.0),
                runs=("voc-fcn32s-alexnet",),
            ),
            Row(label="FCN-32s without SBD", cells=printed(REPORTED, confirmed=False, mean_iu=57.7)),
            Row(
                label="classifier-only tuning, percent of full",
                cells=printed("a second copy of the text", percent=73),
            ),
        ),
    ),
)
