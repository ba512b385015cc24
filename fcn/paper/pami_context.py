"""PAMI 2016: the PASCAL-Context table."""

from fcn.paper.table import REPORTED, Row, Table, printed, scores

TABLES = (
    Table(
        key="pami_context_59",
        paper="PAMI 2016",
        number="PASCAL-Context table, 59 classes",
        title="PASCAL-Context, 59 classes",
        dataset="PASCAL-Context",
        split="val, 5,105 images",
        rows=(
            Row(label="CFM", cells=printed(REPORTED, confirmed=False, mean_iu=34.4)),
            Row(
                label="FCN-32s",
                cells=scores(REPORTED, 65.5, 49.1, 36.7, 50.9, confirmed=False),
                runs=("context-fcn32s-vgg16",),
            ),
            Row(
                label="FCN-16s",
                cells=scores(REPORTED, 66.9, 51.3, 38.4, 52.3, confirmed=False),
                runs=("context-fcn16s-vgg16",),
            ),
            Row(
                label="FCN-8s",
                cells=scores(REPORTED, 67.5, 52.3, 39.1, 53.0, confirmed=False),
                runs=("context-fcn8s-vgg16",),
            ),
        ),
    ),
)
