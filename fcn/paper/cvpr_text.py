"""CVPR 2015: numbers that stand in the text only."""

from fcn.paper.table import Row, Table, printed

SECTION_31 = "CVPR 2015, section 3.1"
SECTION_41 = "CVPR 2015, section 4.1"
SECTION_5 = "CVPR 2015, section 5"

TABLES = (
    Table(
        key="cvpr_text_sharing",
        paper="CVPR 2015",
        number="Section 3.1",
        title="One pass over an image against a pass for each patch, AlexNet",
        dataset="none",
        split="one 500x500 image, 10x10 outputs without padding, Tesla K40c",
        rows=(
            Row(label="AlexNet classify 227x227 (batched)", cells=printed(SECTION_31, forward_ms=1.2, backward_ms=2.4)),
            Row(label="AlexNet classify 227x227 (unbatched)", cells=printed(SECTION_31, forward_ms=5.4)),
            Row(label="AlexNet fully conv 500x500 -> 10x10", cells=printed(SECTION_31, forward_ms=22, backward_ms=37)),
        ),
    ),
    Table(
        key="cvpr_text_more_data",
        paper="CVPR 2015",
        number="Section 4.1",
        title="The same networks with SBD's labels",
        dataset="VOC2011",
        split="seg11valid, 736 images; trained on SBD train, 8,498",
        rows=(
            Row(
                label="FCN-AlexNet + SBD",
                cells=printed(f"{SECTION_41}; reference release", mean_iu=48.0),
                runs=("voc-fcn32s-alexnet-cvpr", "voc-fcn32s-alexnet"),
            ),
            Row(
                label="FCN-VGG16 + SBD",
                cells=printed(SECTION_41, mean_iu=59.4),
                runs=("voc-fcn32s-vgg16-cvpr", "voc-fcn32s-vgg16"),
            ),
        ),
    ),
    Table(
        key="cvpr_text_speed",
        paper="CVPR 2015",
        number="Section 5",
        title="Speed against the system before it",
        dataset="VOC",
        split="test",
        rows=(Row(label="FCN-8s vs SDS", cells=printed(SECTION_5, speedup_convnet_only=114, speedup_overall=286)),),
    ),
)
