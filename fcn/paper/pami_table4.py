"""PAMI 2016, Table 4: the VOC test servers."""

from fcn.paper.table import REPORTED, Row, Table, printed

ABSTRACT = "arXiv 1605.06211, abstract"

TABLES = (
    Table(
        key="pami_table4",
        paper="PAMI 2016",
        number="Table 4",
        title="VOC test servers",
        dataset="VOC2011, VOC2012",
        split="test; the labels are held by the server",
        note="The other rows are those of CVPR Table 3.",
        rows=(
            Row(
                label="FCN-8s",
                cells={
                    **printed(REPORTED, confirmed=False, mean_iu_voc2011=67.5),
                    **printed(f"{ABSTRACT}; README of the reference release", mean_iu_voc2012=67.2),
                    **printed(f"{ABSTRACT}: a tenth of a second", inference_s=0.1),
                },
            ),
        ),
    ),
)
