"""What benchmarks/gpu does for a borrowed machine: packs data, measures, and brings back results."""

import json
import os
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.gpu import pack, speed
from fcn.config import load
from tests.conftest import ROOT
from tests.data import tiny


def test_parts_hold_what_the_lists_name(tmp_path: Path) -> None:
    """Each part stays below its size, and all together have the lists' pictures and labels, and nothing else's.

    A photograph is smaller, and lies as it lay.
    """
    turned, noise = Image.Exif(), np.random.default_rng(0).integers(0, 256, (9, 12, 3), np.uint8)
    turned[0x0112] = 3
    photo = f"{tiny.VOC}JPEGImages/{tiny.VOC_VAL[0]}.jpg"
    tiny.unpack(tmp_path / "voc", tiny.voc())
    Image.fromarray(noise).save(tmp_path / "voc" / photo, quality=100, exif=turned)
    tiny.unpack(tmp_path / "sbd", tiny.sbd())
    params = tiny.params(
        tmp_path,
        datasets={
            "voc2012": {"format": "voc", "from": str(tmp_path / "voc")},
            "sbd": {"format": "sbd", "from": str(tmp_path / "sbd")},
        },
        lists={"a": {"dataset": "sbd", "list": "train"}, "b": {"dataset": "voc2012", "list": "val", "minus": "a"}},
    )
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/part-99.zip").write_bytes(b"of an earlier, larger set")
    parts = pack.pack(load(params), base=tmp_path, out=tmp_path / "parts", quality=10, part_bytes=3000)
    assert len(parts) > 1
    assert sorted((tmp_path / "parts").iterdir()) == sorted(parts)
    assert all(part.stat().st_size <= 3000 for part in parts)
    for part in parts:
        with zipfile.ZipFile(part) as file:
            file.extractall(tmp_path / "there")
    found = tiny.tree(tmp_path / "there")
    ids = {Path(path).stem for path in found if not path.endswith(".txt")}
    assert ids == {*tiny.SBD_TRAIN, *tiny.VOC_VAL}
    assert f"sbd/{tiny.SBD}val.txt" in found
    small = tmp_path / "there/voc" / photo
    assert small.stat().st_size < (tmp_path / "voc" / photo).stat().st_size
    with Image.open(small) as image:
        assert image.getexif()[0x0112] == 3
    label = f"sbd/{tiny.SBD}cls/{tiny.SBD_TRAIN[0]}.mat"
    assert (tmp_path / "there" / label).read_bytes() == (tmp_path / label).read_bytes()


def test_no_listed_file_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Names with é as two letters, as macOS writes it, are packed, and files not called by ids; a gap is named."""
    for image_id in ("caf\u0065\u0301", "b"):
        tiny.unpack(tmp_path / "mine", {f"pictures/{image_id}.jpg": tiny.jpeg(), f"labels/{image_id}.png": b"x"})
    tiny.unpack(tmp_path / "mine", {"lists/all.txt": "caf\u00e9\nb".encode()})
    entry = {"format": "folder", "from": str(tmp_path / "mine"), "classes": ["a", "b"]}
    by_pattern = {**entry, "pictures": "pictures/ca*.jpg", "labels": "labels/ca*.png"}
    for words, lists, count in ((entry, {"list": "all"}, 5), (by_pattern, {}, 3)):
        params = tiny.params(tmp_path, datasets={"mine": words}, lists={"all": {"dataset": "mine", **lists}})
        assert len(list(pack.files(load(params), 40))) == count
    (tmp_path / "mine/pictures/b.jpg").unlink()
    params = tiny.params(tmp_path, datasets={"mine": entry}, lists={"all": {"dataset": "mine"}})
    with pytest.raises(SystemExit, match=r"error: datasets.mine: of 1 listed images .*, such as b: add it"):
        pack.main(["--params", str(params), "--base", str(tmp_path), "--out", str(tmp_path / "parts")])


@pytest.mark.parametrize(
    ("fails", "step", "said"),
    [
        ("nothing", "train", "train: "),
        ("evaluate voc-fcn32s-vgg16 ", "train", "it failed"),
        ("train voc-fcn16s-vgg16 ", "train", "it failed"),
        ("train voc-fcn32s-alexnet ", "train", "one of the others failed"),
        ("datasets voc2012 ", "prepare", "it failed"),
        ("pytest tests/gpu ", "tests speed", "tests: FAILED"),
        ("pytest tests/gpu ", "tests speed", "speed: "),
        ("a typo", "speed trian", "no step trian; there are unpack"),
    ],
)
def test_a_step_that_fails_is_told(tmp_path: Path, fails: str, step: str, said: str) -> None:
    """Whatever fails in a step, also beside the others, ends the script with an error; behind `tests` others run."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\ncase "$*" in *"{fails}"*) echo "it failed" >&2; exit 3 ;; esac\n', encoding="utf-8")
    python.chmod(0o700)
    ended = subprocess.run(
        ["sh", ROOT / "benchmarks/gpu/run.sh", tmp_path, tmp_path / "out", *step.split()],
        env={**os.environ, "PYTHON": str(python)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode == 0) is (fails == "nothing"), ended
    assert said in ended.stdout + ended.stderr


def test_rates_become_a_page(tmp_path: Path) -> None:
    """A trial of the measurements, on whatever machine this is, has every row, and its page shows each."""
    rows = list(speed.rows(load(speed.QUICK), device=torch.device("cpu"), quick=True))
    assert [row["what"] for row in rows] == ["ceiling", "forward", "scoring", *["training"] * 6]
    assert all(row["seconds_per_step"] > 0 for row in rows[2:])
    assert [row["graphs"] for row in rows[3:]] == [False, True] * 3
    about = {"device": "this machine", "torch": "2", "cudnn": 1, "python": "3"}
    (tmp_path / "speed.json").write_text(json.dumps({**about, "rows": rows}), encoding="utf-8")
    page = speed.page(json.loads((tmp_path / "speed.json").read_text(encoding="utf-8")))
    assert page.count("| fcn32s-vgg16 |") == 8
    assert page.count(", CUDA graphs |") == 3
    assert "# How fast: this machine" in page


def test_the_page_is_of_the_committed_rates() -> None:
    """docs/results/gpu/README.md is what its command prints now."""
    folder = ROOT / "docs/results/gpu"
    found = json.loads((folder / "speed.json").read_text(encoding="utf-8"))
    assert (folder / "README.md").read_text(encoding="utf-8").rstrip() == speed.page(found).rstrip()
