"""Files that can be downloaded: where from, how large, and by which hash each is known.

Collected from public code and threads in mid-2026. The Oxford hosts have been unreliable since November 2025.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """One file: its addresses in the order to try, its size where it is known, and at least one hash.

    `sha256_prefix` is for files that carry the first digits of their sha256 in their name.
    """

    file: str
    urls: tuple[str, ...]
    source: str
    bytes: int | None = None
    md5: str | None = None
    sha1: str | None = None
    sha256: str | None = None
    sha256_prefix: str | None = None

    def __post_init__(self) -> None:
        assert self.urls
        assert self.md5 or self.sha1 or self.sha256 or self.sha256_prefix


_OXFORD = "https://thor.robots.ox.ac.uk/pascal/VOC"
_TORCHVISION = "https://download.pytorch.org/models"
_KERAS_VGG16 = "vgg16_weights_tf_dim_ordering_tf_kernels.h5"

# By the name that a source or a weights entry has in params.yaml.
DOWNLOADS: dict[str, Download] = {
    "voc2012": Download(
        file="VOCtrainval_11-May-2012.tar",
        urls=(
            f"{_OXFORD}/voc2012/VOCtrainval_11-May-2012.tar",
            "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
            "https://d2l-data.s3-accelerate.amazonaws.com/VOCtrainval_11-May-2012.tar",
        ),
        source="PASCAL VOC 2012 train and val; the third address is the copy of the book Dive into Deep Learning",
        bytes=1_999_639_040,
        md5="6cd6e144f989b92b3379bac3b3de84fd",
        sha1="4e443f8a2eca6b1dac8a6c57641b67dd40621a49",
        sha256="e14f763270cf193d0b5f74b169f44157a4b0c6efa708f4dd0ff78ee691763bcb",
    ),
    "voc2011": Download(
        file="VOCtrainval_25-May-2011.tar",
        urls=(
            f"{_OXFORD}/voc2011/VOCtrainval_25-May-2011.tar",
            "http://host.robots.ox.ac.uk/pascal/VOC/voc2011/VOCtrainval_25-May-2011.tar",
        ),
        source="PASCAL VOC 2011 train and val, the set that both papers are scored on",
        md5="6c3384ef61512963050cb5d687e5bf1e",
    ),
    "sbd": Download(
        file="benchmark.tgz",
        urls=("https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/benchmark.tgz",),
        source="Semantic Boundaries Dataset, Hariharan et al., ICCV 2011",
        bytes=1_419_539_633,
        md5="82b4d87ceb2ed10f6038a1cba92111cb",
    ),
    "vgg16-torchvision": Download(
        file="vgg16-397923af.pth",
        urls=(f"{_TORCHVISION}/vgg16-397923af.pth",),
        source="torchvision, VGG16_Weights.IMAGENET1K_V1",
        sha256_prefix="397923af",
    ),
    "alexnet-torchvision": Download(
        file="alexnet-owt-7be5be79.pth",
        urls=(f"{_TORCHVISION}/alexnet-owt-7be5be79.pth",),
        source="torchvision, AlexNet_Weights.IMAGENET1K_V1",
        sha256_prefix="7be5be79",
    ),
    "googlenet-torchvision": Download(
        file="googlenet-1378be20.pth",
        urls=(f"{_TORCHVISION}/googlenet-1378be20.pth",),
        source="torchvision, GoogLeNet_Weights.IMAGENET1K_V1",
        sha256_prefix="1378be20",
    ),
    "vgg16-oxford": Download(
        file=_KERAS_VGG16,
        urls=(
            f"https://storage.googleapis.com/tensorflow/keras-applications/vgg16/{_KERAS_VGG16}",
            f"https://github.com/fchollet/deep-learning-models/releases/download/v0.1/{_KERAS_VGG16}",
        ),
        source="The VGG16 of Simonyan and Zisserman with fc6 to fc8, converted from Caffe for Keras",
        md5="64373286793e3c8b2b4e3219cbf3544b",
    ),
}
