"""The printed numbers in fcn/paper."""

import json
import math
from pathlib import Path

import pytest

from fcn.paper import table as printed
from fcn.paper.table import METRICS, every, read

FACTS = Path(__file__).resolve().parents[3] / "shared" / "reference" / "paper_tables.json"

# (paper, table) as the fact sheet calls them -> the keys of our tables.
KEYS = {
    ("CVPR2015", "Table 1"): "cvpr_table1",
    ("CVPR2015", "Table 2"): "cvpr_table2",
    ("CVPR2015", "Table 3"): "cvpr_table3",
    ("CVPR2015", "Table 4"): "cvpr_table4",
    ("CVPR2015", "Table 5"): "cvpr_table5",
    ("CVPR2015", "text sec 3.1"): "cvpr_text_sharing",
    ("CVPR2015", "text sec 4.1"): "cvpr_text_more_data",
    ("CVPR2015", "text sec 5"): "cvpr_text_speed",
    ("arXiv 1411.4038v2 appendix", "Appendix A"): "cvpr_appendix_a",
    ("arXiv 1411.4038v2 appendix", "Table 6 (59 class)"): "cvpr_table6_59",
    ("arXiv 1411.4038v2 appendix", "Table 6 (33 class)"): "cvpr_table6_33",
    ("model zoo 2015", "gist 91eece041c19ff8968ee"): "released_context",
    ("PAMI2016", "Table 1"): "pami_table1",
    ("PAMI2016", "Table 2 (optimisation)"): "pami_table2",
    ("PAMI2016", "Table 3"): "pami_table3",
    ("PAMI2016", "Table 4 (VOC test)"): "pami_table4",
    ("PAMI2016", "text"): "pami_text",
    ("PAMI2016", "NYUDv2 table"): "pami_nyud",
    ("PAMI2016", "SIFT Flow table"): "pami_siftflow",
    ("PAMI2016", "PASCAL-Context table (59)"): "pami_context_59",
    ("PAMI2016", "masking analysis"): "pami_masking",
    ("released weights", "wkentaro/fcn README"): "released_pami",
    ("released weights", "matconvnet-fcn README"): "released_cvpr",
    ("clockwork-fcn notebook", "data-nyud"): "released_nyud",
    ("clockwork-fcn notebook", "pascal-translate-exp"): "released_shifted",
    ("prior reproduction A", "Table 1 repro"): "reproduction_a_table1",
    ("prior reproduction A", "Table 2 repro"): "reproduction_a_table2",
    ("reproduction: wkentaro/fcn", "-"): "reproduction_chainer_fcn",
    ("reproduction: wkentaro/pytorch-fcn", "-"): "reproduction_pytorch_fcn",
    ("reproduction: wkentaro/pytorch-fcn PR#89", "-"): "reproduction_pytorch_fcn_89",
    ("reproduction: pytorch-fcn issue 84", "-"): "reproduction_pytorch_fcn_84",
    ("reproduction: xevolesi/pytorch-fcn", "-"): "reproduction_xevolesi",
    ("reproduction: AntonioConsiglio/SemSeg", "-"): "reproduction_semseg",
    ("reproduction: vlfeat/matconvnet-fcn", "-"): "reproduction_matconvnet",
}
RENAMED = {
    "forward_time_ms_K40c_500x500": "forward_ms",
    "forward_time_ms_TitanX": "forward_ms",
    "inference_time_s_approx": "inference_s",
}


def _ours() -> dict[tuple[str, str, str], tuple[float, bool]]:
    return {
        (key, row.label, metric): (cell.value, cell.confirmed)
        for key, table in every().items()
        for row in table.rows
        for metric, cell in row.cells.items()
    }


def _theirs() -> dict[tuple[str, str, str], tuple[float, bool]]:
    if not FACTS.exists():
        pytest.skip("needs the fact sheet ../shared/reference/paper_tables.json, which is not part of the project")
    cells = {}
    for fact in json.loads(FACTS.read_text()):
        key = KEYS[fact["paper"].split(" (")[0], fact["table"]]
        metric = RENAMED.get(fact["metric"], fact["metric"])
        if key in ("cvpr_table3", "pami_table4") and metric == "mean_iu":
            metric = f"mean_iu_{fact['dataset'].lower()}"
        where = (key, fact["row"], metric)
        assert where not in cells, f"{where} stands twice in the fact sheet"
        cells[where] = (float(fact["value"]), bool(fact["confirmed"]))
    return cells


def test_every_number_of_the_fact_sheet_is_here() -> None:
    """Each number of the fact sheet is in fcn/paper, in its row and column, confirmed or not as there."""
    ours = _ours()
    wrong = {where: (cell, ours.get(where)) for where, cell in _theirs().items() if ours.get(where) != cell}
    assert not wrong


def test_no_number_is_here_that_the_fact_sheet_lacks() -> None:
    """fcn/paper prints no number that is not on the fact sheet."""
    assert set(_ours()) == set(_theirs())


def test_every_cell_has_a_source() -> None:
    """Each printed number names its source, and an unconfirmed one says so in words too."""
    for table in every().values():
        for row in table.rows:
            for metric, cell in row.cells.items():
                where = f"{table.key}, {row.label}, {metric}"
                assert len(cell.source) > 10, where
                assert math.isfinite(cell.value), where
                assert cell.confirmed != ("as reported" in cell.source), where


def test_columns_are_those_that_rows_have() -> None:
    """A table has a column for each metric of its rows, and none that is empty."""
    for table in every().values():
        assert set(table.columns) == {metric for row in table.rows for metric in row.cells}, table.key
        assert list(table.columns) == [metric for metric in METRICS if metric in table.columns], table.key


@pytest.mark.parametrize(
    ("key", "label", "run"),
    [
        ("pami_table3", "FCN-8s staged", "voc-fcn8s-vgg16"),
        ("pami_table3", "FCN-8s at-once", "voc-fcn8s-vgg16-atonce"),
        ("pami_table3", "FCN-32s fixed", "voc-fcn32s-vgg16-fixed"),
        ("cvpr_table1", "FCN-AlexNet", "voc2011-fcn32s-caffenet"),
        ("cvpr_table2", "FCN-32s", "voc-fcn32s-vgg16-cvpr"),
    ],
)
def test_rows_name_the_run_that_fills_them(key: str, label: str, run: str) -> None:
    """The rows that a full-size profile can fill name its run first."""
    row = next(row for row in every()[key].rows if row.label == label)
    assert row.runs[0] == run


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('rows."FCN-16s" = [90.0, 75.7, ', 'rows."FCN-16s" = [75.7, ', "FCN-16s"),
        ('runs."FCN-16s" = ["voc-fcn16s-vgg16-cvpr"', 'runs."FCN-16" = ["voc-fcn16s-vgg16-cvpr"', "FCN-16"),
        ('columns = ["pixel_acc", "mean_acc", "mean_iu", "fw_iu"]', 'columns = ["a", "b", "c", "d"]', "no such metric"),
        ('source = "table2"', 'source = "table02"', "table02"),
        ('number = "Table 2"', 'nubmer = "Table 2"', "nubmer"),
    ],
)
def test_a_slip_in_a_file_is_found_when_it_is_read(tmp_path: Path, old: str, new: str, named: str) -> None:
    """A number too few, a row, metric, source or field that there isn't: reading the file names it."""
    text = Path(printed.__file__).with_name("cvpr2015.toml").read_text()
    assert old in text
    (tmp_path / "cvpr2015.toml").write_text(text.replace(old, new))
    with pytest.raises((AssertionError, KeyError, TypeError), match=named):
        read(tmp_path / "cvpr2015.toml")


def test_the_unconfirmed_numbers_are_of_one_source() -> None:
    """What was found in no text is marked at its source, so that no cell can forget it."""
    cells = [cell for table in every().values() for row in table.rows for cell in row.cells.values()]
    assert {cell.source for cell in cells if not cell.confirmed} == {"arXiv 1605.06211, as reported; found in no text"}
