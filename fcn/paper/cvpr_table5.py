"""CVPR 2015, Table 5: SIFT Flow."""

from fcn.paper.table import Row, Table, printed

SOURCE = "CVPR 2015, Table 5; arXiv 1411.4038v2"

TABLES = (
    Table(
        key="cvpr_table5",
        paper="CVPR 2015",
        number="Table 5",
        title="SIFT Flow, 33 semantic and 3 geometric classes",
        dataset="SIFT Flow",
        split="test, 200 images; trained on 2,488",
        note="Cow, desert and moon are in no test image: 33 classes are predicted, 30 averaged.",
        rows=(
            Row(label="Liu et al.", cells=printed(SOURCE, pixel_acc=76.7)),
            Row(label="Tighe 2010", cells=printed(SOURCE, geometric_pixel_acc=90.8)),
            Row(label="Tighe 2013 1 (exemplar SVM)", cells=printed(SOURCE, pixel_acc=75.6, mean_acc=41.1)),
            Row(label="Tighe 2013 2 (SVM+MRF)", cells=printed(SOURCE, pixel_acc=78.6, mean_acc=39.2)),
            Row(label="Farabet 1 (balanced)", cells=printed(SOURCE, pixel_acc=72.3, mean_acc=50.8)),
            Row(label="Farabet 2 (natural)", cells=printed(SOURCE, pixel_acc=78.5, mean_acc=29.6)),
            Row(label="Pinheiro RCNN3", cells=printed(SOURCE, pixel_acc=77.7, mean_acc=29.8)),
            Row(
                label="FCN-16s",
                cells=printed(
                    SOURCE, pixel_acc=85.2, mean_acc=51.7, mean_iu=39.5, fw_iu=76.1, geometric_pixel_acc=94.3
                ),
                runs=("siftflow-fcn16s-vgg16",),
            ),
        ),
    ),
)
