"""CVPR 2015, Table 3: the VOC test servers."""

from fcn.paper.table import Row, Table, printed

SOURCE = "CVPR 2015, Table 3; arXiv 1411.4038v2"

TABLES = (
    Table(
        key="cvpr_table3",
        paper="CVPR 2015",
        number="Table 3",
        title="VOC test servers",
        dataset="VOC2011, VOC2012",
        split="test; the labels are held by the server",
        rows=(
            Row(label="R-CNN", cells=printed(SOURCE, mean_iu_voc2011=47.9)),
            Row(label="SDS", cells=printed(SOURCE, mean_iu_voc2011=52.6, mean_iu_voc2012=51.6, inference_s=50.0)),
            Row(label="FCN-8s", cells=printed(SOURCE, mean_iu_voc2011=62.7, mean_iu_voc2012=62.2, inference_s=0.175)),
        ),
    ),
)
