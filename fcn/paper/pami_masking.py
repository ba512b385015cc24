"""PAMI 2016: what is left when foreground or background is masked."""

from fcn.paper.table import REPORTED, Row, Table, printed

ROWS = (
    ("Reference", 84.8),
    ("Reference-FG (test BG masked)", 81.0),
    ("Reference-BG (test FG masked)", 19.8),
    ("FG-only", 76.1),
    ("BG-only", 37.8),
    ("Shape", 29.1),
)

TABLES = (
    Table(
        key="pami_masking",
        paper="PAMI 2016",
        number="Masking table",
        title="Foreground, background and shape as the only cue",
        dataset="VOC",
        split="not known",
        note="84.8 can't be FCN-32s's 63.6 under the same protocol: the images or the average are others.",
        rows=tuple(
            Row(label=label, cells=printed(REPORTED, confirmed=False, mean_iu_excl_background=value))
            for label, value in ROWS
        ),
    ),
)
