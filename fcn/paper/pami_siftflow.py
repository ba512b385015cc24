"""PAMI 2016: the SIFT Flow table."""

from fcn.paper.table import REPORTED, Row, Table, printed

TABLES = (
    Table(
        key="pami_siftflow",
        paper="PAMI 2016",
        number="SIFT Flow table",
        title="SIFT Flow, 33 semantic and 3 geometric classes",
        dataset="SIFT Flow",
        split="test, 200 images",
        note="The other rows are those of CVPR Table 5.",
        rows=(
            Row(
                label="FCN-8s",
                cells=printed(
                    REPORTED,
                    confirmed=False,
                    pixel_acc=85.9,
                    mean_acc=53.9,
                    mean_iu=41.2,
                    fw_iu=77.2,
                    geometric_pixel_acc=94.6,
                ),
                runs=("siftflow-fcn8s-vgg16",),
            ),
        ),
    ),
)
