"""The authors' released weights, scored by others and by themselves: what exact weights give."""

from fcn.paper.table import Row, Table, printed, scores

CHAINER = "wkentaro/fcn, README"
MATCONVNET = "vlfeat/matconvnet-fcn, README (its titles of the two accuracies are swapped)"
CLOCKWORK = "shelhamer/clockwork-fcn, notebooks"
ZOO = "Caffe model zoo, gist 91eece041c19ff8968ee; copy in developmentseed/caffe-fcn"

TABLES = (
    Table(
        key="released_pami",
        paper="Released weights",
        number="wkentaro/fcn",
        title="The journal paper's weights, re-scored",
        dataset="VOC2011",
        split="seg11valid, 736 images",
        beside="pami_table3",
        rows=(
            Row(
                label="voc-fcn32s released",
                cells=scores(CHAINER, 90.481, 76.4824, 63.6261, 83.458),
                runs=("voc-fcn32s-vgg16-released",),
            ),
            Row(
                label="voc-fcn16s released",
                cells=scores(CHAINER, 90.9971, 78.071, 65.005, 84.2614),
                runs=("voc-fcn16s-vgg16-released",),
            ),
            Row(
                label="voc-fcn8s released",
                cells=scores(CHAINER, 91.2212, 77.6146, 65.5126, 84.5445),
                runs=("voc-fcn8s-vgg16-released",),
            ),
            Row(
                label="voc-fcn8s-atonce released",
                cells=scores(CHAINER, 91.1288, 78.4979, 65.3998, 84.4326),
                runs=("voc-fcn8s-vgg16-atonce-released",),
            ),
        ),
    ),
    Table(
        key="released_cvpr",
        paper="Released weights",
        number="vlfeat/matconvnet-fcn",
        title="The conference paper's weights, re-scored",
        dataset="VOC2011",
        split="seg11valid, 736 images",
        beside="cvpr_table2",
        rows=(
            Row(
                label="CVPR FCN-32s weights",
                cells=printed(MATCONVNET, pixel_acc=89.12, mean_acc=73.28, mean_iu=59.43),
                runs=("voc-fcn32s-vgg16-cvpr-released",),
            ),
            Row(
                label="CVPR FCN-16s weights",
                cells=printed(MATCONVNET, pixel_acc=90.02, mean_acc=75.74, mean_iu=62.35),
                runs=("voc-fcn16s-vgg16-cvpr-released",),
            ),
            Row(
                label="CVPR FCN-8s weights",
                cells=printed(MATCONVNET, pixel_acc=90.33, mean_acc=75.86, mean_iu=62.69),
                runs=("voc-fcn8s-vgg16-cvpr-released",),
            ),
        ),
    ),
    Table(
        key="released_context",
        paper="Released weights",
        number="Caffe model zoo, 2015",
        title="PASCAL-Context, 59 classes, between the two papers",
        dataset="PASCAL-Context",
        split="val",
        rows=(Row(label="FCN-8s PASCAL-Context", cells=printed(ZOO, mean_iu=37.8)),),
    ),
    Table(
        key="released_nyud",
        paper="Released weights",
        number="shelhamer/clockwork-fcn, data-nyud",
        title="NYUDv2 from colour alone, trained as in the journal paper",
        dataset="NYUDv2",
        split="test, 654 images",
        rows=(Row(label="FCN-8s RGB heavy", cells=scores(CLOCKWORK, 62.422263, 45.213691, 31.972306, 46.873424)),),
    ),
    Table(
        key="released_shifted",
        paper="Released weights",
        number="shelhamer/clockwork-fcn, pascal-translate-exp",
        title="Whole and cut networks on crops that move by 16 px",
        dataset="VOC2011",
        split="seg11valid, translated crops",
        rows=(
            Row(label="pool3 net, shift 16", cells=scores(CLOCKWORK, 68.854711, 13.860394, 9.271018, 54.765414)),
            Row(label="pool4 net, shift 16", cells=scores(CLOCKWORK, 77.187313, 31.455888, 22.528362, 64.713989)),
            Row(label="FCN-8s, shift 16", cells=scores(CLOCKWORK, 90.687921, 77.251232, 65.906854, 83.567673)),
        ),
    ),
)
