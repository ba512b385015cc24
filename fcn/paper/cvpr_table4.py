"""CVPR 2015, Table 4: NYUDv2."""

from fcn.paper.table import Row, Table, printed, scores

SOURCE = "CVPR 2015, Table 4; arXiv 1411.4038v2"

TABLES = (
    Table(
        key="cvpr_table4",
        paper="CVPR 2015",
        number="Table 4",
        title="NYUDv2, 40 classes",
        dataset="NYUDv2",
        split="test, 654 images; trained on 795",
        note="A translation prints 67.3 for the pixel accuracy of RGB-HHA; three other copies have 64.3.",
        rows=(
            Row(label="Gupta et al.", cells=printed(SOURCE, pixel_acc=60.3, mean_iu=28.6, fw_iu=47.0)),
            Row(label="FCN-32s RGB", cells=scores(SOURCE, 60.0, 42.2, 29.2, 43.9), runs=("nyud-fcn32s-vgg16-rgb",)),
            Row(label="FCN-32s RGBD", cells=scores(SOURCE, 61.5, 42.4, 30.5, 45.5), runs=("nyud-fcn32s-vgg16-rgbd",)),
            Row(label="FCN-32s HHA", cells=scores(SOURCE, 57.1, 35.2, 24.2, 40.4), runs=("nyud-fcn32s-vgg16-hha",)),
            Row(
                label="FCN-32s RGB-HHA",
                cells=scores(SOURCE, 64.3, 44.9, 32.8, 48.0),
                runs=("nyud-fcn32s-vgg16-rgb-hha",),
            ),
            Row(
                label="FCN-16s RGB-HHA",
                cells=scores(SOURCE, 65.4, 46.1, 34.0, 49.5),
                runs=("nyud-fcn16s-vgg16-rgb-hha",),
            ),
        ),
    ),
)
