"""PAMI 2016: the NYUDv2 table."""

from fcn.paper.table import REPORTED, Row, Table, printed, scores

TABLES = (
    Table(
        key="pami_nyud",
        paper="PAMI 2016",
        number="NYUDv2 table",
        title="NYUDv2, 40 classes",
        dataset="NYUDv2",
        split="test, 654 images; trained on 795",
        rows=(
            Row(
                label="FCN-32s RGB",
                cells=scores(REPORTED, 61.8, 44.7, 31.6, 46.0, confirmed=False),
                runs=("nyud-fcn32s-vgg16-rgb",),
            ),
            Row(
                label="FCN-32s RGB-D",
                cells=scores(REPORTED, 62.1, 44.8, 31.7, 46.3, confirmed=False),
                runs=("nyud-fcn32s-vgg16-rgbd",),
            ),
            Row(
                label="FCN-32s HHA",
                cells=scores(REPORTED, 58.3, 35.7, 25.2, 41.7, confirmed=False),
                runs=("nyud-fcn32s-vgg16-hha",),
            ),
            Row(
                label="FCN-32s RGB-HHA",
                cells={
                    **printed(REPORTED, confirmed=False, pixel_acc=65.3, mean_iu=33.3, fw_iu=48.6),
                    **printed("a second copy of the text", mean_acc=44.0),
                },
                runs=("nyud-fcn32s-vgg16-rgb-hha",),
            ),
        ),
    ),
)
