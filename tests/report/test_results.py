"""What is committed of the results, and the README's block that is made of it."""

import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.export_results import MOST_BYTES, export
from benchmarks.readme_results import ROOT, committed
from fcn.errors import InputError
from fcn.report.readme import END, START, block, claims, with_block
from tests.report.reading import markdown_tables


@pytest.mark.slow
def test_an_export_is_small_and_whole(data: Path, tmp_path: Path) -> None:
    """An export holds scores, filled tables and the report with its figures; a second one leaves the same bytes."""
    target = tmp_path / "results/sample"
    size = export(data, target)
    files = {path.relative_to(target): path.read_bytes() for path in target.rglob("*") if path.is_file()}
    assert size == sum(len(content) for content in files.values()) <= MOST_BYTES
    assert (target / "scores.json").read_bytes() == (data / "tables/scores.json").read_bytes()
    report = (target / "report.md").read_text(encoding="utf-8")
    whole = (data / "report/report.md").read_text(encoding="utf-8")
    assert "](../" not in report  # links into the data folder
    assert [line for line in whole.splitlines() if line.startswith("## ") and line not in report] == ["## In MLflow"]
    assert {path.name for path in (target / "figures").iterdir()} == {
        path.name for path in (data / "report/figures").iterdir()
    }
    assert (target / "cvpr_table2.md").exists()
    assert not (target / "cvpr_table3.md").exists()
    assert export(data, target) == size
    assert files == {path.relative_to(target): path.read_bytes() for path in target.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_an_export_keeps_the_colours_of_classes(data: Path, tmp_path: Path) -> None:
    """With 256 colours, every pixel that had a class's colour still has it."""
    export(data, tmp_path / "sample")
    name = "figures/segmentations-voc-fcn8s-vgg16.png"
    before, after = (
        np.array(Image.open(folder / name).convert("RGB")) for folder in (data / "report", tmp_path / "sample")
    )
    colours = json.loads((data / "figures/index.json").read_text())["colours"]
    assert len(colours) == 22
    for colour in colours:
        of_class = (before == list(bytes.fromhex(colour[1:]))).all(2)
        assert (after[of_class] == before[of_class]).all()


@pytest.mark.slow
def test_the_block_has_the_files_numbers(data: Path, tmp_path: Path) -> None:
    """The README's table is the scores of the export, and what it links to is there."""
    export(data, tmp_path / "docs/results/sample")
    (found,) = committed(tmp_path / "docs/results")
    readme = tmp_path / "README.md"
    readme.write_text(with_block(f"# A\n\n{START}\nold\n{END}\n\nrest\n", block([found])))
    (lines,) = markdown_tables(readme).values()
    scores = json.loads((data / "tables/scores.json").read_text())["scores"]
    assert [line[0] for line in lines[1:]] == [row["run"] for row in scores]
    mean_iu = lines[0].index("mean IU")
    assert [line[mean_iu] for line in lines[1:]] == [format(row["numbers"]["mean_iu"], ".1f") for row in scores]
    text = readme.read_text()
    assert "old" not in text
    for target in [part.split(")")[0] for part in text.split("](")[1:]]:
        assert (tmp_path / target).exists(), target
    assert with_block(text, block([found])) == text


def test_a_readme_without_marks_is_refused() -> None:
    """Where the marks are missing, the error says which they are."""
    with pytest.raises(InputError, match="<!-- results -->"):
        with_block("# A\n", "x")


def test_claims_are_of_the_numbers() -> None:
    """A finding of the papers is told with the mean IU of its runs, as theirs alone where ours are in another order.

    What is closer than two trainings of one run often are is neither, and NaN is no number to tell it by. Where the
    widths aren't the same, they stand beside.
    """
    scores = {"voc-fcn32s-vgg16": 25.24, "voc-fcn16s-vgg16": 40.9, "voc-fcn8s-vgg16": 59.8, "voc-fcn32s-alexnet": 30.0}

    def told(scores: Mapping[str, float | None], **widths: str) -> list[str]:
        rows = [{"run": run, "numbers": {"mean_iu": number}} for run, number in scores.items()]
        departures = {f"voc-fcn32s-{net}": [{"name": "width", "ours": width}] for net, width in widths.items()}
        return list(claims(rows, departures))

    assert told({**scores, "voc-fcn32s-vgg16-fixed": None}) == [
        "- Finer strides win: 32s 25.2, 16s 40.9, 8s 59.8 mean IU.\n",
        "- The deeper trunk wins in the papers, not here: AlexNet 30.0, VGG16 25.2 mean IU.\n",
    ]
    assert told(scores, alexnet="0.0625")[1].endswith(" mean IU, at 0.0625 and 1 of the published widths.\n")
    assert told(scores, alexnet="0.5", vgg16="0.5")[1].endswith(" VGG16 25.2 mean IU.\n")
    for mean_iu in (23.3, 25.21, 25.3, 27.2):
        shown = f"32s 25.2, 16s {mean_iu:.1f}, 8s 59.8 mean IU.\n"
        close = f"- Finer strides win in the papers, too close to call here: {shown}"
        assert told({**scores, "voc-fcn16s-vgg16": mean_iu})[0] == close
    assert told({**scores, "voc-fcn16s-vgg16": 27.3})[0].startswith("- Finer strides win: 32s 25.2, 16s 27.3, 8s")
    assert told({**scores, "voc-fcn16s-vgg16": 23.2})[0].startswith("- Finer strides win in the papers, not here: ")
    assert len(told({**scores, "voc-fcn16s-vgg16": math.nan, "voc-fcn32s-alexnet": math.inf})) == 0


def test_the_readme_is_of_the_committed_results() -> None:
    """README.md has in its block just what `python -m benchmarks.readme_results` writes there now."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert with_block(text, block(committed(ROOT / "docs/results"))) == text
