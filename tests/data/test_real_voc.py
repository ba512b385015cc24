"""The real VOC and SBD subset beside the project, read whole."""

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from PIL import Image

import fcn.paper
from fcn.datasets import labels, mat
from fcn.datasets.samples import Samples
from tests.conftest import RunFcn
from tests.data import tiny


def published() -> list[str]:
    """The ids of seg11valid."""
    return (Path(fcn.paper.__file__).parent / "seg11valid.txt").read_text().split()


def test_the_published_list_has_736_images() -> None:
    """The list that both papers are scored on has 736 different ids of VOC's years 2007 to 2011."""
    ids = published()
    assert len(set(ids)) == len(ids) == 736
    assert {image_id[:4] for image_id in ids} <= {str(year) for year in range(2007, 2012)}


def test_the_real_labels_are_what_scipy_reads(shared: Path) -> None:
    """Of every tenth SBD label the numbers, their type and their order are those that scipy's reader gives."""
    files = sorted((shared / "voc/benchmark_RELEASE/dataset/cls").glob("*.mat"))[::10]
    assert len(files) == 358
    for path in files:
        theirs = np.asarray(scipy.io.loadmat(path, variable_names=["GTcls"])["GTcls"]["Segmentation"].item())
        ours = mat.array(path.read_bytes(), "GTcls.Segmentation")
        assert ours.dtype == theirs.dtype
        assert np.array_equal(ours, theirs)


@pytest.mark.slow
def test_the_real_subset_is_read_whole(tmp_path: Path, shared: Path, run_fcn: RunFcn) -> None:
    """All 1,332 VOC pairs and 3,574 SBD labels pass; train has 3,474 ids, val 452 of the 736.

    Labels of val are the true masks, pixel by pixel, and pictures are read as Pillow converts them.
    """
    datasets = {
        name: {"format": format_, "from": str(shared / "voc")} for name, format_ in (("voc2012", "voc"), ("sbd", "sbd"))
    }
    lists = {
        "sbd-train": {"dataset": "sbd", "list": "train", "expect": 3474},
        "val": {"dataset": "voc2012", "list": "val", "minus": "sbd-train", "published": "seg11valid", "expect": 452},
        "picked": {"dataset": "voc2012", "list": "trainval", "published": "seg11valid", "expect": 452},
    }
    tiny.params(tmp_path, datasets=datasets, lists=lists, disjoint=[["sbd-train", "val"]])
    for command in [*(["datasets", name] for name in datasets), ["splits"]]:
        done = run_fcn(command, tmp_path)
        assert done.returncode == 0, done.stderr
    data = tmp_path / "data" / "tiny"
    audits = {name: json.loads((data / "audit" / f"{name}.json").read_text()) for name in datasets}
    assert {name: audit["labels"] for name, audit in audits.items()} == {"voc2012": 1332, "sbd": 3574}
    assert audits["sbd"]["void_share"] == 0
    assert 0.04 < audits["voc2012"]["void_share"] < 0.07
    val = (data / "splits" / "val.txt").read_text().split()
    assert len(val) == 452
    assert set(val) == set((data / "splits" / "picked.txt").read_text().split()) <= set(published())
    samples = Samples(data / "datasets" / "voc2012", val)
    for image_id in val:
        sample = samples.read(image_id)
        truth = labels.read(shared / "voc" / "masks_seg11valid" / f"{image_id}.png")
        assert np.array_equal(sample.labels["semantic"], truth)
        with Image.open(shared / "voc" / "VOCdevkit" / "VOC2012" / "JPEGImages" / f"{image_id}.jpg") as image:
            assert np.array_equal(sample.inputs["rgb"], np.array(image.convert("RGB")))
