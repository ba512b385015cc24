"""arXiv 1411.4038v2, appendices A and B: upper bounds of coarse prediction, PASCAL-Context (Table 6)."""

from fcn.paper.table import Row, Table, printed, scores

APPENDIX_A = "arXiv 1411.4038v2, appendix A"
TABLE_6 = "arXiv 1411.4038v2, appendix B, Table 6"
BOUNDS = ((128, 50.9), (64, 73.3), (32, 86.1), (16, 92.8), (8, 96.4), (4, 98.5))

TABLES = (
    Table(
        key="cvpr_appendix_a",
        paper="CVPR 2015",
        number="Appendix A",
        title="The truth, downsampled and upsampled again: the most that a stride allows",
        dataset="VOC2011",
        split="a subset of val; which one is not stated",
        rows=tuple(
            Row(label=f"downsample factor {factor}", cells=printed(APPENDIX_A, mean_iu_upper_bound=bound))
            for factor, bound in BOUNDS
        ),
    ),
    Table(
        key="cvpr_table6_59",
        paper="CVPR 2015",
        number="Table 6, 59 classes",
        title="PASCAL-Context, 59 classes",
        dataset="PASCAL-Context",
        split="val, 5,105 images",
        rows=(
            Row(label="O2P", cells=printed(TABLE_6, mean_iu=18.1)),
            Row(label="CFM", cells=printed(TABLE_6, mean_iu=31.5)),
            Row(label="FCN-32s", cells=scores(TABLE_6, 63.8, 42.7, 31.8, 48.3), runs=("context-fcn32s-vgg16-cvpr",)),
            Row(label="FCN-16s", cells=scores(TABLE_6, 65.7, 46.2, 34.8, 50.7), runs=("context-fcn16s-vgg16-cvpr",)),
            Row(label="FCN-8s", cells=scores(TABLE_6, 65.9, 46.5, 35.1, 51.0), runs=("context-fcn8s-vgg16-cvpr",)),
        ),
    ),
    Table(
        key="cvpr_table6_33",
        paper="CVPR 2015",
        number="Table 6, 33 classes",
        title="PASCAL-Context, 33 classes",
        dataset="PASCAL-Context",
        split="val, 5,105 images",
        rows=(
            Row(label="O2P", cells=printed(TABLE_6, mean_iu=29.2)),
            Row(label="CFM", cells=printed(TABLE_6, mean_iu=46.1)),
            Row(label="FCN-32s", cells=scores(TABLE_6, 69.8, 65.1, 50.4, 54.9)),
            Row(label="FCN-16s", cells=scores(TABLE_6, 71.8, 68.0, 53.4, 57.5)),
            Row(label="FCN-8s", cells=scores(TABLE_6, 71.8, 67.6, 53.5, 57.7)),
        ),
    ),
)
