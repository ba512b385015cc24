"""Others' reproductions: what the same recipe, or nearly the same, gave them."""

from fcn.paper.table import Row, Table, printed, scores

BRIEF = "an earlier reproduction, its README"
ON = {"paper": "Earlier reproductions", "dataset": "VOC2011", "split": "seg11valid, 736 images"}
LIKE_PAMI = {**ON, "beside": "pami_table3"}
FCN32S, FCN16S, FCN8S = ("voc-fcn32s-vgg16",), ("voc-fcn16s-vgg16",), ("voc-fcn8s-vgg16",)
AT_ONCE = ("voc-fcn8s-vgg16-atonce",)


def _mean_iu(
    key: str, number: str, title: str, source: str, rows: tuple[tuple[str, float, tuple[str, ...]], ...]
) -> Table:
    cells = tuple(Row(label=label, cells=printed(source, mean_iu=value), runs=runs) for label, value, runs in rows)
    return Table(key=key, number=number, title=title, rows=cells, **LIKE_PAMI)


TABLES = (
    Table(
        key="reproduction_a_table1",
        paper="Earlier reproductions",
        number="A, Table 1",
        title="Table 1 with torchvision's classifiers, 200 epochs",
        dataset="VOC2011",
        split="not stated",
        note="Far above the papers and in another order: probably scored on training images, or averaged by image.",
        beside="cvpr_table1",
        rows=(
            Row(label="FCN-AlexNet", cells=printed(BRIEF, mean_iu=76.03), runs=("voc-fcn32s-alexnet",)),
            Row(label="FCN-VGG16", cells=printed(BRIEF, mean_iu=72.61), runs=FCN32S),
            Row(label="FCN-GoogLeNet", cells=printed(BRIEF, mean_iu=46.37), runs=("voc-fcn32s-googlenet",)),
        ),
    ),
    Table(
        key="reproduction_a_table2",
        paper="Earlier reproductions",
        number="A, Table 2",
        title="Table 2 with torchvision's VGG16, 200 epochs, 8s 180",
        dataset="VOC2011",
        split="not stated",
        note="Finer strides score lower here, against the papers.",
        beside="cvpr_table2",
        rows=(
            Row(label="32s", cells=scores(BRIEF, 94.90, 85.82, 72.61, 82.92), runs=FCN32S),
            Row(label="16s", cells=scores(BRIEF, 94.24, 84.55, 71.10, 82.04), runs=FCN16S),
            Row(label="8s", cells=scores(BRIEF, 93.81, 83.65, 70.06, 81.40), runs=FCN8S),
        ),
    ),
    Table(
        key="reproduction_chainer_fcn",
        number="wkentaro/fcn",
        title="Trained in Chainer from Caffe's VGG16",
        rows=(
            Row(label="FCN32s", cells=scores("wkentaro/fcn, README", 90.5668, 76.874, 63.818, 83.5067), runs=FCN32S),
            Row(label="FCN16s", cells=scores("wkentaro/fcn, README", 91.1009, 77.2522, 65.3628, 84.3675), runs=FCN16S),
            Row(label="FCN8s", cells=scores("wkentaro/fcn, README", 91.2608, 78.1484, 65.8444, 84.6447), runs=FCN8S),
            Row(
                label="FCN8sAtOnce",
                cells=scores("wkentaro/fcn, README", 91.0883, 77.3528, 65.3433, 84.4276),
                runs=AT_ONCE,
            ),
        ),
        **LIKE_PAMI,
    ),
    _mean_iu(
        "reproduction_pytorch_fcn",
        "wkentaro/pytorch-fcn",
        "Trained in PyTorch from Caffe's VGG16",
        "wkentaro/pytorch-fcn, README",
        (
            ("FCN32s", 62.84, FCN32S),
            ("FCN16s", 64.91, FCN16S),
            ("FCN8s", 65.49, FCN8S),
            ("FCN8sAtOnce", 64.74, AT_ONCE),
        ),
    ),
    _mean_iu(
        "reproduction_pytorch_fcn_89",
        "wkentaro/pytorch-fcn, pull request 89",
        "Trained again: the spread from run to run",
        "wkentaro/pytorch-fcn, pull request 89",
        (
            ("FCN32s run1", 62.8708, FCN32S),
            ("FCN32s run2", 62.3003, FCN32S),
            ("FCN16s", 65.1225, FCN16S),
            ("FCN8s", 65.4783, FCN8S),
            ("FCN8sAtOnce run1", 64.1524, AT_ONCE),
            ("FCN8sAtOnce run2", 63.9817, AT_ONCE),
        ),
    ),
    _mean_iu(
        "reproduction_pytorch_fcn_84",
        "wkentaro/pytorch-fcn, issue 84",
        "From torchvision's VGG16",
        "wkentaro/pytorch-fcn, issue 84",
        (("FCN8sAtOnce", 59.04, AT_ONCE),),
    ),
    _mean_iu(
        "reproduction_xevolesi",
        "xevolesi/pytorch-fcn",
        "From torchvision's VGG16, batch 20, augmented",
        "xevolesi/pytorch-fcn, README",
        (("FCN32s", 62.457, FCN32S), ("FCN16s", 64.217, FCN16S), ("FCN8s", 64.389, FCN8S)),
    ),
    _mean_iu(
        "reproduction_semseg",
        "AntonioConsiglio/SemSeg",
        "From Caffe's VGG16, trained as in the journal paper",
        "AntonioConsiglio/SemSeg, README",
        (("FCN32s", 63.1, FCN32S), ("FCN16s", 64.62, FCN16S), ("FCN8s", 64.85, FCN8S)),
    ),
    Table(
        key="reproduction_matconvnet",
        number="vlfeat/matconvnet-fcn",
        title="Trained in MatConvNet: batch 20, rate 1e-4, 50 epochs",
        rows=(
            Row(
                label="FCN-32s",
                cells=printed("vlfeat/matconvnet-fcn, README", pixel_acc=89.61, mean_acc=75.49, mean_iu=60.8),
                runs=("voc-fcn32s-vgg16-cvpr", *FCN32S),
            ),
            Row(
                label="FCN-16s",
                cells=printed("vlfeat/matconvnet-fcn, README", pixel_acc=90.08, mean_acc=77.81, mean_iu=62.25),
                runs=("voc-fcn16s-vgg16-cvpr", *FCN16S),
            ),
        ),
        beside="cvpr_table2",
        **ON,
    ),
)
