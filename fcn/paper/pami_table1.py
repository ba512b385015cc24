"""PAMI 2016, Table 1: three classifiers made fully convolutional, timed on a newer GPU."""

from fcn.paper.table import REPORTED, Row, Table, printed

TABLES = (
    Table(
        key="pami_table1",
        paper="PAMI 2016",
        number="Table 1",
        title="Classifiers made fully convolutional",
        dataset="VOC2011",
        split="val, 1,111 images; trained on train, 1,112",
        note="Forward time on a Titan X.",
        rows=(
            Row(
                label="FCN-AlexNet",
                cells=printed(REPORTED, confirmed=False, mean_iu=39.8, forward_ms=16),
                runs=("voc2011-fcn32s-alexnet", "voc-fcn32s-alexnet"),
            ),
            Row(
                label="FCN-VGG16",
                cells=printed(REPORTED, confirmed=False, mean_iu=56.0, forward_ms=100),
                runs=("voc2011-fcn32s-vgg16", "voc-fcn32s-vgg16"),
            ),
            Row(
                label="FCN-GoogLeNet",
                cells=printed(REPORTED, confirmed=False, mean_iu=42.5, forward_ms=20),
                runs=("voc2011-fcn32s-googlenet", "voc-fcn32s-googlenet"),
            ),
        ),
    ),
)
