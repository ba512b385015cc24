"""The real VOC and SBD subset beside the project, read whole."""

import hashlib
import json
from pathlib import Path

import pytest

import fcn.paper
from fcn.datasets import labels
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


@pytest.mark.slow
def test_the_real_subset_is_read_whole(tmp_path: Path, shared: Path, run_fcn: RunFcn) -> None:
    """All 1,332 VOC pairs and 3,574 SBD labels pass; train has 3,474 ids, val 452 of the 736.

    Labels of val are the true masks, pixel by pixel.
    """
    sources = {
        name: {"dataset": dataset, "kind": "local", "from": str(shared / "voc")}
        for name, dataset in (("voc2012", "voc"), ("sbd", "sbd"))
    }
    lists = {
        "sbd-train": {"source": "sbd", "list": "train", "expect": 3474},
        "val": {"source": "voc2012", "list": "val", "minus": "sbd-train", "published": "seg11valid", "expect": 452},
        "picked": {"source": "voc2012", "list": "trainval", "published": "seg11valid", "expect": 452},
    }
    tiny.params(tmp_path, sources=sources, lists=lists, disjoint=[["sbd-train", "val"]])
    for command in [[stage, name] for stage in ("archives", "raw", "labels") for name in sources] + [["splits"]]:
        done = run_fcn(command, tmp_path)
        assert done.returncode == 0, done.stderr
    data = tmp_path / "data" / "tiny"
    audits = {name: json.loads((data / "audit" / f"{name}.json").read_text()) for name in sources}
    assert {name: audit["labels"] for name, audit in audits.items()} == {"voc2012": 1332, "sbd": 3574}
    assert audits["sbd"]["void_share"] == 0
    assert 0.04 < audits["voc2012"]["void_share"] < 0.07
    val = (data / "splits" / "val.txt").read_text().split()
    assert len(val) == 452
    assert set(val) == set((data / "splits" / "picked.txt").read_text().split()) <= set(published())
    for image_id in val:
        truth = labels.read(shared / "voc" / "masks_seg11valid" / f"{image_id}.png")
        ours = labels.read(data / "labels" / "voc2012" / f"{image_id}.png")
        assert hashlib.sha256(truth.tobytes()).digest() == hashlib.sha256(ours.tobytes()).digest()
