"""CVPR 2015, Table 2: skips."""

from fcn.paper.table import Row, Table, scores

SOURCE = "CVPR 2015, Table 2; arXiv 1411.4038v2"

TABLES = (
    Table(
        key="cvpr_table2",
        paper="CVPR 2015",
        number="Table 2",
        title="Skips: from 32s to 8s",
        dataset="VOC2011",
        split="seg11valid, 736 images; trained on SBD train, 8,498",
        note="Not comparable with Table 1: other training data, other images. The text says that training the score "
        "layer alone gives 70 % of the whole; its table says 45.4 of 59.4, which is 76 %.",
        rows=(
            Row(
                label="FCN-32s-fixed",
                cells=scores(SOURCE, 83.0, 59.7, 45.4, 72.0),
                runs=("voc-fcn32s-vgg16-fixed-cvpr", "voc-fcn32s-vgg16-fixed"),
            ),
            Row(
                label="FCN-32s",
                cells=scores(SOURCE, 89.1, 73.3, 59.4, 81.4),
                runs=("voc-fcn32s-vgg16-cvpr", "voc-fcn32s-vgg16"),
            ),
            Row(
                label="FCN-16s",
                cells=scores(SOURCE, 90.0, 75.7, 62.4, 83.0),
                runs=("voc-fcn16s-vgg16-cvpr", "voc-fcn16s-vgg16"),
            ),
            Row(
                label="FCN-8s",
                cells=scores(SOURCE, 90.3, 75.9, 62.7, 83.2),
                runs=("voc-fcn8s-vgg16-cvpr", "voc-fcn8s-vgg16"),
            ),
        ),
    ),
)
