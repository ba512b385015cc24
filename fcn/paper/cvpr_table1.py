"""CVPR 2015, Table 1: three classifiers made fully convolutional."""

from fcn.paper.table import Row, Table, printed

SOURCE = "CVPR 2015, Table 1; arXiv 1411.4038v2"

TABLES = (
    Table(
        key="cvpr_table1",
        paper="CVPR 2015",
        number="Table 1",
        title="Classifiers made fully convolutional",
        dataset="VOC2011",
        split="val, 1,111 images; trained on train, 1,112",
        note="Forward time: mean of 20 trials at 500x500 on a Tesla K40c. The receptive field of GoogLeNet counts the "
        "average pool that the text leaves out; without it, it is 715. Ours has the printed kernels, 5x5 among "
        "them, which torchvision's GoogLeNet replaces by 3x3.",
        rows=(
            Row(
                label="FCN-AlexNet",
                cells=printed(
                    SOURCE, mean_iu=39.8, forward_ms=50, conv_layers=8, parameters_M=57, rf_size=355, max_stride=32
                ),
                runs=("voc2011-fcn32s-alexnet", "voc-fcn32s-alexnet"),
                architecture="alexnet",
            ),
            Row(
                label="FCN-VGG16",
                cells=printed(
                    SOURCE, mean_iu=56.0, forward_ms=210, conv_layers=16, parameters_M=134, rf_size=404, max_stride=32
                ),
                runs=("voc2011-fcn32s-vgg16", "voc-fcn32s-vgg16"),
                architecture="vgg16",
            ),
            Row(
                label="FCN-GoogLeNet",
                cells=printed(
                    SOURCE, mean_iu=42.5, forward_ms=59, conv_layers=22, parameters_M=6, rf_size=907, max_stride=32
                ),
                runs=("voc2011-fcn32s-googlenet", "voc-fcn32s-googlenet"),
                architecture="googlenet_published",
            ),
        ),
    ),
)
