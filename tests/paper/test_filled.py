"""The stage `tables`: the scores, and the papers' tables with ours beside."""

import csv
import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from fcn.cli import main
from fcn.config import load
from fcn.grid import Grid
from fcn.nets.structure import structure
from fcn.paper.table import every
from fcn.tables import departures_in_short, numbers_digest, other_pictures, others, paper_grid

ROOT = Path(__file__).resolve().parents[2]
SCORES = {"pixel_acc": 0.9, "mean_acc": 0.5, "mean_iu": 0.4, "fw_iu": 0.8, "images": 100, "background_mean_iu": 0.04}


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with VOC's part of the sample profile, whose runs are scored, all but the one at once; we are in it."""
    monkeypatch.chdir(tmp_path)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    runs = params["runs"] = {name: run for name, run in params["runs"].items() if name.startswith("voc-")}
    del params["departures"]["init"]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    data = tmp_path / "data/sample"
    (data / "scores").mkdir(parents=True)
    for index, run in enumerate(runs):
        if run != "voc-fcn8s-vgg16-atonce":
            scores = {**SCORES, "mean_iu": 0.4 + index / 100}
            (data / f"scores/{run}.json").write_text(json.dumps(scores))
    timed = {"seconds_per_image": 0.025, "trials": 20, "parameters": 1_234_567}
    (data / "timing").mkdir()
    for net in params["nets"]:
        (data / f"timing/{net}.json").write_text(json.dumps({"device": "a test", "side_px": 500, **timed}))
    return tmp_path


def test_the_scores_are_printed_and_kept(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The stage prints each run's scores in percent; the page has below them why the profile departs where it does."""
    assert main(["tables"]) == 0
    printed_text = capsys.readouterr().out
    lines = printed_text.splitlines()
    scored = next(line for line in lines if line.startswith("| voc-fcn32s-alexnet |"))
    assert [cell.strip() for cell in scored.split("|")[2:-1]] == [
        "90.0", "50.0", "40.0", "80.0", "4.0", "25.0", "1,234,567",
    ]  # fmt: skip
    missing = next(line for line in lines if line.startswith("| voc-fcn8s-vgg16-atonce |"))
    assert missing.count("| - ") == 5
    (note,) = [line for line in lines if line.startswith("On 100 images of voc2012-val-minus-sbd-train. Percent.")]
    assert note.endswith("one image of 500x500 px on a test.")
    reasons = yaml.safe_load((folder / "params.yaml").read_text())["departures"]
    tables = folder / "data/sample/tables"
    page, _, departed = (tables / "scores.md").read_text().partition("## Departures from the papers\n")
    assert page.strip() in printed_text
    told = [[cell.strip() for cell in line.split("|")[1:-1]] for line in departed.splitlines()[3:]]
    assert {line[0] for line in told} == set(reasons)
    before = ""
    for name, _, _, reason, _ in told:  # stated once where several have it
        assert reason == "the same" if reasons[name] == before else reason.startswith(reasons[name])
        before = reasons[name]
    twice = [line for line in told if line[3] == "the same"]
    assert len(told) - len(twice) == len(set(reasons.values())) < len(told)
    assert f"\nDepartures from the papers: {len(told)}. The list is in report.html, and in data/" in printed_text
    kept = json.loads((tables / "scores.json").read_text())["scores"]
    with (tables / "scores.csv").open() as file:
        for row, entry in zip(csv.DictReader(file), kept, strict=True):
            assert row["run"] == entry["run"]
            assert float(row["mean_iu"] or "nan") == pytest.approx(entry["numbers"]["mean_iu"], nan_ok=True) or (
                entry["numbers"]["mean_iu"] is None
            )


def test_every_printed_table_is_filled_in_four_formats(folder: Path) -> None:
    """Each table of fcn/paper is written with its numbers, ours and the difference, the same in CSV and JSON."""
    assert main(["tables"]) == 0
    for key, table in every().items():
        base = folder / "data/sample/tables" / key
        filled = json.loads(base.with_suffix(".json").read_text())
        with base.with_suffix(".csv").open() as file:
            lines = list(csv.DictReader(file))
        assert [row["row"] for row in filled["rows"]] == [row.label for row in table.rows]
        for row, line, printed in zip(filled["rows"], lines, table.rows, strict=True):
            assert {metric: cell["paper"] for metric, cell in row["cells"].items()} == {
                metric: cell.value for metric, cell in printed.cells.items()
            }
            for metric, cell in row["cells"].items():
                assert float(line[f"{metric}.paper"]) == cell["paper"]
                assert line[f"{metric}.confirmed"] == str(cell["confirmed"])
                if cell["ours"] is None:
                    assert line[f"{metric}.ours"] == line[f"{metric}.difference"] == ""
                else:
                    assert cell["difference"] == pytest.approx(cell["ours"] - cell["paper"])
                    assert float(line[f"{metric}.ours"]) == pytest.approx(cell["ours"])
        for suffix in (".md", ".tex"):
            text = base.with_suffix(suffix).read_text()
            labels = [row.label.replace("->", r"$\to$") if suffix == ".tex" else row.label for row in table.rows]
            assert all(label in text for label in labels), base
            marked = "dagger" if suffix == ".tex" else "†"
            confirmed = all(cell.confirmed for row in table.rows for cell in row.cells.values())
            assert (marked in text) != confirmed, base


def test_the_score_layer_alone_is_a_share_of_the_whole(folder: Path) -> None:
    """PAMI's 73 % has ours beside: the mean IU of the score layer trained alone over that of the whole net."""
    assert main(["tables"]) == 0
    rows = json.loads((folder / "data/sample/tables/pami_text.json").read_text())["rows"]
    (cell,) = [row["cells"]["percent"] for row in rows if "percent" in row["cells"]]
    assert cell["paper"] == 73
    assert cell["ours"] == pytest.approx(100 * 0.43 / 0.44)


def test_one_reason_for_all_departures_is_printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Between the scores and who reads them stands one line, with the reason where all departures have the same."""
    values = yaml.safe_load((folder / "params.yaml").read_text())
    values["departures"] = dict.fromkeys(values["departures"], "a trial")
    (folder / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    assert main(["tables"]) == 0
    count = len(values["departures"])
    *_, line, _ = capsys.readouterr().out.splitlines()
    assert line.startswith(
        f"Departures from the papers: {count}, all for one reason: a trial. The list is in report.html"
    )
    assert f"| a trial ({count} settings) |" in (folder / "data/sample/tables/scores.md").read_text()


def test_a_run_that_follows_no_paper_is_compared_with_none(folder: Path) -> None:
    """Without a regime a run needs no reasons, and fills no row of a printed table, whatever its name."""
    values = yaml.safe_load((folder / "params.yaml").read_text())
    for run in values["runs"].values():
        del run["regime"]
    (folder / "params.yaml").write_text(yaml.safe_dump({**values, "departures": {}}, sort_keys=False))
    assert main(["tables"]) == 0
    for key in every():
        filled = json.loads((folder / f"data/sample/tables/{key}.json").read_text())
        assert not any(row["run"] for row in filled["rows"])
    assert "## Departures from the papers\n\nNone." in (folder / "data/sample/tables/scores.md").read_text()


def test_rows_without_a_run_say_so(folder: Path) -> None:
    """A row whose run was not scored reads `not run`; one that no run of ours could fill reads `-`."""
    assert main(["tables"]) == 0
    tables = folder / "data/sample/tables"
    staged, at_once = (
        next(line for line in (tables / "pami_table3.md").read_text().splitlines() if line.startswith(f"| {label} |"))
        for label in ("FCN-8s staged", "FCN-8s at-once")
    )
    assert at_once.count("not run") == 4
    assert "| 65.5 | 46.0 | -19.5 |" in staged
    assert "| R-CNN | 47.9 |  |  | - |" in (tables / "cvpr_table3.md").read_text()
    assert "† as reported" in (tables / "pami_table3.md").read_text()


def test_a_difference_of_unlike_things_is_called_so(folder: Path) -> None:
    """On other data, or another machine, the third column says that; own data and full-size nets compare."""
    assert main(["tables"]) == 0
    tables = folder / "data/sample/tables"
    title, _, head, *_ = (tables / "cvpr_table1.md").read_text().splitlines()
    assert title == "# CVPR 2015, Table 1: Classifiers made fully convolutional (ours: generated pictures)"
    assert "| mean IU | ours | other data | forward time (ms) | ours | other machine | conv. layers, full size" in head
    assert "| parameters (M), full size | ours | diff. |" in head
    assert (tables / "scores.md").read_text().startswith("# Scores, profile sample: generated pictures\n")
    filled = json.loads((tables / "cvpr_table2.json").read_text())
    assert "neither a failure nor a success" in filled["remarks"]
    assert paper_grid({**filled, "pictures": ""}).head[2:5] == ["printed", "ours", "diff."]
    config = load(ROOT / "profiles/paper/params.yaml")
    assert other_pictures(config, config.runs, departing=["rate"]) == ""
    assert other_pictures(config, config.runs, departing=["rate", "val-list"]) == "other pictures"


def test_table_1_has_the_printed_structure() -> None:
    """Layers, parameters, receptive field and stride that follow from our full-size layers are Table 1's."""
    structural = ("conv_layers", "parameters_M", "rf_size", "max_stride")
    for row in every()["cvpr_table1"].rows:
        ours = structure(row.architecture)
        assert {key: round(ours[key]) for key in structural} == {key: row.cells[key].value for key in structural}


def test_the_digest_is_of_the_numbers(folder: Path) -> None:
    """tables/numbers.txt is the digest of the tables' numbers: the same for the same scores, another for others."""
    tables = folder / "data/sample/tables"
    digests = []
    for mean_iu in (0.4, 0.4, 0.41):
        scores = {**SCORES, "mean_iu": mean_iu}
        (folder / "data/sample/scores/voc-fcn32s-vgg16.json").write_text(json.dumps(scores))
        assert main(["tables"]) == 0
        digests.append((tables / "numbers.txt").read_text().strip())
        assert digests[-1] == numbers_digest(tables)
    assert digests[0] == digests[1] != digests[2]
    assert all(len(digest) == 16 for digest in digests)


def test_latex_has_the_numbers_of_the_markdown(folder: Path) -> None:
    """Each LaTeX table is whole for booktabs, with nothing unescaped, and its cells are those of the Markdown."""
    assert main(["tables"]) == 0
    for key in every():
        base = folder / "data/sample/tables" / key
        markdown = [line[2:-2] for line in base.with_suffix(".md").read_text().splitlines() if line.startswith("| ")]
        shown = [line.split(" | ") for line in markdown[2 : 2 + len(every()[key].rows)]]
        latex = base.with_suffix(".tex").read_text()
        body = latex[latex.index("\\midrule") : latex.index("\\bottomrule")].splitlines()[1:]
        plain = [line.replace(r"$^\dagger$", "†").replace(r"$\to$", "->").replace(r"\_", "_") for line in body]
        assert [line.removesuffix(r" \\").split(" & ") for line in plain] == shown, key
        assert latex.count("{") == latex.count("}")
        assert not re.search(r"(?<!\\)[%_#]", latex.replace(rf"\label{{tab:{key}}}", ""))


def test_a_cell_ends_neither_its_table_nor_its_page() -> None:
    """What a person writes, as a reason, is text in Markdown too: on one line, no HTML, no further cell."""
    grid = Grid(title="Reasons", head=["name", "why"], lines=[["pad", "small\nimages | <script>alert(1)</script>"]])
    assert grid.markdown().splitlines()[2] == "| pad | small images \\| &lt;script>alert(1)&lt;/script> |"


def test_two_heads_fill_one_row(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """SIFT Flow's row has both heads' numbers, its mean over the classes that are there, and the release's by name."""
    params, run = yaml.safe_load((folder / "params.yaml").read_text()), "siftflow-fcn16s-vgg16"
    params["runs"][run] = params["runs"]["voc-fcn16s-vgg16"]
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    scores = {**SCORES, "mean_iu_seen": 0.361, "geometric_pixel_acc": 0.945, "geometric_mean_iu": 0.8}
    (folder / f"data/sample/scores/{run}.json").write_text(json.dumps(scores))
    assert main(["tables"]) == 0
    head, *lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert "| f.w. IU | geom. acc. | mean IU, all seen | all background |" in head
    assert "| 80.0 | 94.5 | 36.1 | 4.0 |" in next(line for line in lines if line.startswith(f"| {run} |"))
    assert "| 80.0 | - | - | 4.0 |" in next(line for line in lines if line.startswith("| voc-fcn32s-vgg16 |"))
    table = json.loads((folder / "data/sample/tables/cvpr_table5.json").read_text())
    cells = table["rows"][-1]["cells"]
    assert (cells["mean_iu"]["ours"], cells["geometric_pixel_acc"]["ours"]) == (40.0, 94.5)
    assert f"as the reference release averages, mean IU is 36.1 for {run}." in table["remarks"]


def test_a_metric_over_nothing_is_missing(folder: Path) -> None:
    """A score that was never defined is `-` and null, never NaN."""
    nothing = {**SCORES, "mean_iu": None}
    (folder / "data/sample/scores/voc-fcn32s-vgg16.json").write_text(json.dumps(nothing))
    assert main(["tables"]) == 0
    for path in (folder / "data/sample/tables").iterdir():
        assert "nan" not in path.read_text().lower(), path


def test_others_stand_beside_the_row_they_did_again() -> None:
    """Re-scored weights and earlier reproductions each stand beside the row of the paper that they belong to."""
    tables = every()
    pami = {(item["row"], item["mean_iu"]) for item in others(tables["pami_table3"])}
    assert {("FCN-32s", 63.6261), ("FCN-8s staged", 65.5126), ("FCN-8s at-once", 64.74)} <= pami
    assert ("FCN-16s", 62.35) in {(item["row"], item["mean_iu"]) for item in others(tables["cvpr_table2"])}
    assert {item["row"]: item["mean_iu"] for item in others(tables["cvpr_table1"])}["FCN-GoogLeNet"] == 46.37
    beside = [table for table in tables.values() if table.beside]
    assert sum(len(others(table)) for table in tables.values()) == sum(len(table.rows) for table in beside)


@pytest.mark.parametrize(
    ("arguments", "breaks", "message"),
    [
        (["tables", "voc-fcn32s-vgg16"], "", "tables takes no name"),
        (["tables"], "scores", "an earlier stage makes it"),
        (["tables"], "timing", "an earlier stage makes it"),
        (["tables"], "departures", "departures from the papers without a reason"),
    ],
)
def test_what_is_wrong_is_said(
    folder: Path, arguments: list[str], breaks: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name, missing scores or times, and departures without a reason end in a sentence, and write nothing."""
    if breaks == "scores":
        shutil.rmtree(folder / "data/sample/scores")
    if breaks == "timing":
        (folder / "data/sample/timing/fcn8s-vgg16.json").unlink()
    if breaks == "departures":
        values = yaml.safe_load((folder / "params.yaml").read_text())
        (folder / "params.yaml").write_text(yaml.safe_dump({**values, "departures": {}}, sort_keys=False))
    assert main(arguments) == 2
    assert message in capsys.readouterr().err
    assert not (folder / "data/sample/tables").exists()


def test_departures_in_short_have_a_reason_where_there_is_one() -> None:
    """Where all have one reason it is told, and of two neither."""
    one = {"a": [{"name": "width", "reason": "minutes"}], "b": [{"name": "rate", "reason": "minutes"}]}
    two = one | {"c": [{"name": "init", "reason": "a trial"}]}
    assert departures_in_short(one) == "Departures from the papers: 2, all for one reason: minutes."
    assert departures_in_short(two) == "Departures from the papers: 3."
