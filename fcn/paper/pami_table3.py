"""PAMI 2016, Table 3: skips, staged and at once, and networks cut short."""

from fcn.paper.table import REPORTED, Row, Table, scores

RESCORED = "re-scored release in wkentaro/fcn; mean IU also in the reference release's README"

TABLES = (
    Table(
        key="pami_table3",
        paper="PAMI 2016",
        number="Table 3",
        title="Skips: from 32s to 8s, staged and at once",
        dataset="VOC2011",
        split="seg11valid, 736 images; trained on SBD train, 8,498",
        rows=(
            Row(label="FCN-32s", cells=scores(RESCORED, 90.5, 76.5, 63.6, 83.5), runs=("voc-fcn32s-vgg16",)),
            Row(label="FCN-16s", cells=scores(RESCORED, 91.0, 78.1, 65.0, 84.3), runs=("voc-fcn16s-vgg16",)),
            Row(
                label="FCN-8s at-once",
                cells=scores(RESCORED, 91.1, 78.5, 65.4, 84.4),
                runs=("voc-fcn8s-vgg16-atonce",),
            ),
            Row(label="FCN-8s staged", cells=scores(RESCORED, 91.2, 77.6, 65.5, 84.5), runs=("voc-fcn8s-vgg16",)),
            Row(
                label="FCN-32s fixed",
                cells=scores(REPORTED, 82.9, 64.6, 46.6, 72.3, confirmed=False),
                runs=("voc-fcn32s-vgg16-fixed",),
            ),
            Row(
                label="FCN-pool5",
                cells=scores(REPORTED, 87.4, 60.5, 50.0, 78.5, confirmed=False),
                runs=("voc-fcn32s-vgg16-pool5",),
            ),
            Row(
                label="FCN-pool4",
                cells=scores(REPORTED, 78.7, 31.7, 22.4, 67.0, confirmed=False),
                runs=("voc-fcn16s-vgg16-pool4",),
            ),
            Row(
                label="FCN-pool3",
                cells=scores(REPORTED, 70.9, 13.7, 9.2, 57.6, confirmed=False),
                runs=("voc-fcn8s-vgg16-pool3",),
            ),
        ),
    ),
)
