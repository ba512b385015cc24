"""The stage `report`: every number is a file's, and the page is whole in itself."""

import json
import math
import re
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from fcn.cli import main
from fcn.config import load
from fcn.publishing import redirects
from fcn.stages.publish import wanted
from fcn.tables import numbers_digest
from tests.report.project import RUNS, inside
from tests.report.reading import Table, html_tables, markdown_tables, parsed, words

pytestmark = pytest.mark.slow
METRICS = ("pixel_acc", "mean_acc", "mean_iu", "fw_iu", "background_mean_iu", "forward_ms")
OURS = " (ours: generated pictures)"
UNITS = {"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9}


def read(path: Path) -> Any:
    """A JSON file."""
    return json.loads(path.read_text())


def percent(value: float | None) -> str:
    """A fraction as the report has it."""
    return "-" if value is None else format(value * 100, ".1f")


def timing_of(project: Path, data: Path) -> dict[str, Any]:
    """What was timed of each run's net."""
    return {run: read(data / f"timing/{load(project / 'params.yaml').run(run).net}.json") for run in RUNS}


@pytest.fixture(name="tables", params=["html", "md"])
def _tables(data: Path, request: pytest.FixtureRequest) -> dict[str, Table]:
    """The tables of both reports by title, in which those with a number of ours say of which pictures it is."""
    page = data / f"report/report.{request.param}"
    found = html_tables(page) if request.param == "html" else markdown_tables(page)
    return {title.removesuffix(": generated pictures").removesuffix(OURS): found[title] for title in found}


def test_every_table_says_that_its_pictures_are_generated(data: Path) -> None:
    """Of generated data each table with something of ours says so in its heading, in HTML and in Markdown."""
    for found in (html_tables(data / "report/report.html"), markdown_tables(data / "report/report.md")):
        for title, (head, *_) in found.items():
            compared, theirs_alone = "our run" in head, head[0] in ("row", "mean IU", "best mean IU")
            said = title.endswith(OURS if compared else ": generated pictures")
            assert said == (compared or not theirs_alone), title


def test_pictures_come_before_tables(data: Path) -> None:
    """What the nets answer, and how they learned, is seen first: the first table comes after the curves."""
    sections = [item.get("id") for item in parsed(data / "report/report.html").iter("section")]
    assert sections[:3] == ["pictures", "curves", "results"]
    text = (data / "report/report.md").read_text(encoding="utf-8")
    assert text.index("## Segmentations") < text.index("](figures/loss.png)") < text.index("### Scores of all runs")


def test_scores_are_those_of_the_files(project: Path, data: Path, tables: dict[str, Table]) -> None:
    """Each cell of the table of scores is the number in scores/, or in timing/, with one decimal."""
    timing = timing_of(project, data)
    head, *lines = tables["Scores of all runs"]
    assert [line[0] for line in lines] == list(RUNS)
    assert head[-2:] == ["forward (ms)", "parameters"]
    for run, *cells in lines:
        scores = read(data / f"scores/{run}.json")
        numbers = [percent(scores[metric]) for metric in METRICS[:-1]]
        numbers += [format(1000 * timing[run]["seconds_per_image"], ".1f"), format(timing[run]["parameters"], ",")]
        assert cells == numbers


def test_printed_tables_are_those_of_the_files(data: Path, tables: dict[str, Table]) -> None:
    """Every printed table is in the report: each row, printed number, number of ours, difference and mark of doubt."""
    for file in sorted((data / "tables").glob("*.json")):
        if file.stem == "scores":
            continue
        table = read(file)
        title = f"{table['paper']}, {table['number']}: {table['title']}"
        head, *lines = tables.pop(title)
        assert [line[0] for line in lines] == [row["row"] for row in table["rows"]]
        filled = any(cell["ours"] is not None for row in table["rows"] for cell in row["cells"].values())
        metrics = [cell for row in table["rows"] for cell in row["cells"]]
        assert len(head) == (2 + 3 * len(set(metrics)) if filled else 2 + len(set(metrics)))
        for line, row in zip(lines, table["rows"], strict=True):
            if filled:
                assert line[1] == (row["run"] or "")
                printed, ours, difference = line[2::3], line[3::3], line[4::3]
            else:
                assert line[-1] == ("not run" if row["not_run"] else "-")
                printed, ours, difference = line[1:-1], [], []
            shown = [text for text in printed if text]
            assert len(shown) == len(row["cells"])
            in_order = sorted(row["cells"].values(), key=lambda cell: cell["paper"])
            values = sorted(float(text.rstrip("†")) for text in shown)
            assert values == pytest.approx([cell["paper"] for cell in in_order], rel=1e-5)
            assert sum("†" in text for text in shown) == sum(not cell["confirmed"] for cell in in_order)
            for text, our, less in zip(printed, ours, difference, strict=False):
                _check_ours(text, our, less, row=row)


def _check_ours(printed: str, ours: str, difference: str, *, row: Any) -> None:
    """One printed number with what stands beside it."""
    if not printed:
        assert ours == difference == ""
        return
    fitting = [
        cell for cell in row["cells"].values() if math.isclose(cell["paper"], float(printed.rstrip("†")), rel_tol=1e-5)
    ]
    if all(cell["ours"] is None for cell in fitting):
        assert (ours, difference) == ("not run" if row["not_run"] else "-", "")
        return
    assert any(
        cell["ours"] is not None
        and float(ours) == pytest.approx(cell["ours"], abs=0.0500001)
        and float(difference) == pytest.approx(cell["ours"] - cell["paper"], abs=0.0500001)
        for cell in fitting
    ), (printed, ours, difference)


def _check_cost(cells: list[str], cost: Any) -> None:
    """How long it took, said once, peak memory, number of files and their size."""
    took, memory, files, disk = cells
    assert took == (f"{cost['seconds']:.1f} s" if cost["seconds"] < 59 else took)
    _check_size(memory, cost["peak_memory_bytes"])
    if "files" in cost:
        assert files == format(cost["files"], ",")
        _check_size(disk, cost["bytes"])
    else:
        assert (files, disk) == ("-", "-")


def _check_size(text: str, count: int) -> None:
    amount, unit = text.split()
    assert float(amount) == pytest.approx(count / UNITS[unit], abs=0.05)


def test_every_other_table_is_of_the_files(project: Path, data: Path, tables: dict[str, Table]) -> None:
    """Classes, costs, disk, audits, lists, proofs and shares are the files' numbers, and no table is left unchecked."""
    files = [read(file) for file in (data / "tables").glob("*.json") if file.stem != "scores"]
    for file in files:
        tables.pop(f"{file['paper']}, {file['number']}: {file['title']}")
        if file["others"]:
            others = tables.pop(f"{file['paper']}, {file['number']}: others, on the same rows", None)
            if others is not None:
                shown = sorted(part for line in others[1:] for cell in line[1:] if cell for part in cell.split(", "))
                assert shown == sorted(format(item["mean_iu"], ".2f") for item in file["others"])
    tables.pop("Scores of all runs")
    classes = {run: read(data / f"classes/{run}.json")["semantic"] for run in RUNS}
    best_first = sorted(RUNS, key=lambda run: -read(data / f"scores/{run}.json")["mean_iu"])
    assert tables.pop("IU by class") == [
        ["class", *best_first],
        *([name, *(percent(classes[run][name]["iu"]) for run in best_first)] for name in classes[RUNS[0]]),
    ]
    costs = {run: read(data / f"cost/{run}.json") for run in RUNS}
    timing = timing_of(project, data)
    for run, *cost, forward in tables.pop("Time and memory of each run")[1:]:
        _check_cost(cost, costs[run])
        assert forward == format(1000 * timing[run]["seconds_per_image"], ".1f")
    stages = {line[0]: line for line in tables.pop("Time and memory of each stage")[1:]}
    assert set(stages) == {file.stem for file in (data / "cost").iterdir()} - set(RUNS)
    assert {"archives@voc2012", "datasets@sbd", "splits", f"evaluate@{RUNS[0]}", "tables"} <= set(stages)
    for stage, *cost in stages.values():
        _check_cost(cost, read(data / f"cost/{stage}.json"))
    environment = tables.pop("Environment")
    assert environment[1][1:] == [str(costs[RUNS[0]][key]) for key in ("device", "threads", "torch")]
    assert environment[2][1:] == [str(timing[RUNS[0]][key]) for key in ("device", "threads", "torch")]
    for source, labels, width, height, void in tables.pop("Audit of the labels")[1:]:
        audit = read(data / f"audit/{source}.json")
        assert (labels, void) == (str(audit["labels"]), percent(audit["void_share"]))
        assert width == f"{audit['width_min']}-{audit['width_max']}"
        assert height == f"{audit['height_min']}-{audit['height_max']}"
    splits = read(data / "audit/splits.json")
    proofs = splits.pop("disjoint")
    assert tables.pop("Image lists")[1:] == [
        [key, str(entry["count"]), entry["sha256"]] for key, entry in splits.items()
    ]
    assert tables.pop("Lists proven to share no image")[1:] == [[pair, "yes"] for pair in proofs]
    shares = [read(data / f"audit/{source}.json")["class_share"] for source in ("voc2012", "sbd")]
    assert tables.pop("Share of each class")[1:] == [
        [name, *(percent(share[name]) for share in shares)] for name in shares[0]
    ]
    config = load(project / "params.yaml")
    for line in tables.pop("Settings of the runs")[1:]:
        ours, net, recipe = config.run(line[0]), config.net(line[0]), config.recipe(line[0])
        skips = "staged" if net.taps else "none"
        about = [ours.regime, net.backbone.architecture, str(net.stride), skips, ours.init, ours.train.list]
        assert line[1:7] == about
        assert [float(text) for text in line[7:11]] == [
            recipe.batch * recipe.accumulation, recipe.iterations, recipe.rate, recipe.momentum,
        ]  # fmt: skip
        assert line[11:] == [recipe.loss, str(ours.seed)]
    departures = read(data / "tables/scores.json")["departures"]
    for run, number, names in tables.pop("Departures of each run")[1:]:
        assert (int(number), names) == (len(departures[run]), ", ".join(item["name"] for item in departures[run]))
    reasons = {item["name"]: item["reason"] for found in departures.values() for item in found}
    told = {line[0]: line[3] for line in tables.pop("What the runs do otherwise than the papers, and why")[1:]}
    assert told.keys() == reasons.keys()
    assert {told[name].partition(" (")[0] for name in told} - {"the same"} == {
        reason.partition(" (")[0] for reason in reasons.values()
    }
    tables = {title: lines for title, lines in tables.items() if title != "Fully Convolutional Networks for Semantic "
              "Segmentation, reproduced: profile sample"}  # fmt: skip
    assert list(tables) == []


def test_the_summary_has_the_files_numbers(data: Path) -> None:
    """Every number in the first paragraph and in the tiles is a score, a count of images, or a sum of the costs."""
    root = parsed(data / "report/report.html")
    summary = next(words(item) for item in root.iter("p") if item.get("id") == "summary")
    scores = [read(data / f"scores/{run}.json") for run in RUNS]
    known = {percent(item[metric]) for item in scores for metric in ("mean_iu", "background_mean_iu")}
    known |= {str(item["images"]) for item in scores} | {str(len(RUNS))}
    numbers = re.findall(r"(?<![\w.-])\d+(?:\.\d+)?(?![\w-])", summary)
    assert len(numbers) >= 5
    assert set(numbers) <= known
    tiles = {words(item[0]): words(item[1]) for item in root.iter("div") if len(item) == 2 and item[0].tag == "dt"}
    assert tiles["best mean IU"] == max((percent(item["mean_iu"]) for item in scores), key=float)
    assert tiles["runs"] == str(len(RUNS))
    seconds = sum(read(data / f"cost/{run}.json")["seconds"] for run in RUNS)
    minutes, rest = divmod(round(seconds), 60)
    assert tiles["training"] == (f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.1f} s")


def test_both_forms_carry_the_digest_of_their_numbers(data: Path) -> None:
    """The HTML says in its head, and the Markdown at its end, of which tables it is."""
    digest = (data / "tables/numbers.txt").read_text().strip()
    (meta,) = [item for item in parsed(data / "report/report.html").iter("meta") if item.get("name") == "numbers"]
    assert meta.get("content") == digest == numbers_digest(data / "tables")
    assert (data / "report/report.md").read_text(encoding="utf-8").endswith(f"\n\nnumbers {digest}\n")


def test_the_page_needs_nothing_but_itself(data: Path) -> None:
    """No picture, style or script is fetched; links stay on the page; every picture has its words and its size."""
    page = data / "report/report.html"
    root = parsed(page)
    ids = [item.get("id") for item in root.iter() if item.get("id")]
    assert len(set(ids)) == len(ids)
    pictures = list(root.iter("img"))
    assert len(pictures) > 10
    for picture in pictures:
        assert picture.get("src", "").startswith("data:image/")
        assert picture.get("alt")
        assert int(picture.get("width", 0)) > 0
    inner = [link.get("href", "") for link in root.iter("a") if not link.get("href", "").startswith("../views/")]
    assert {link.removeprefix("#") for link in inner} <= set(ids)
    assert not list(root.iter("link"))
    assert all("src" not in script.attrib for script in root.iter("script"))
    text = re.sub(r'src="data:[^"]*"', "", page.read_text(encoding="utf-8"))
    assert not re.search(r"https?://|url\(|@import", text)


def test_the_page_can_be_read_by_everyone(data: Path) -> None:
    """The page has a language, a title, headings without gaps, labels for every button, and heads for every table."""
    root = parsed(data / "report/report.html")
    assert root.get("lang") == "en"
    assert root.findtext("head/title")
    levels = [int(item.tag[1]) for item in root.iter() if re.fullmatch(r"h[1-6]", item.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    labelled = {item.get("for") for item in root.iter("label")}
    assert all(item.get("id") in labelled for item in root.iter("input") if item.get("type") == "radio")
    for table in root.iter("table"):
        assert all(cell.get("scope") == "col" for cell in table.iterfind("thead/tr/th"))
        assert all(line[0].tag == "th" and line[0].get("scope") == "row" for line in table.iterfind("tbody/tr"))


def test_markdown_shows_figures_that_are_there(data: Path) -> None:
    """Every picture of the Markdown report is in the folder beside it, and there is none without a link."""
    text = (data / "report/report.md").read_text(encoding="utf-8")
    linked = re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)
    there = [path.relative_to(data / "report").as_posix() for path in (data / "report/figures").iterdir()]
    assert sorted(linked) == sorted(there)
    assert len(linked) >= 6


def test_the_same_files_give_the_same_report(project: Path, tmp_path: Path) -> None:
    """Written again, in another folder, the report is the same to the byte."""
    shutil.copytree(project, tmp_path / "again", ignore=shutil.ignore_patterns("report"))
    with inside(tmp_path / "again"):
        assert main(["report"]) == 0
    for name in ("report.html", "report.md"):
        path = Path("data/sample/report") / name
        assert (tmp_path / "again" / path).read_bytes() == (project / path).read_bytes()


def test_every_experiment_of_mlflow_has_its_link(project: Path, data: Path) -> None:
    """Both forms link to the page of each experiment that `publish` makes of these files, and to no other."""
    with inside(project):
        expected = [f"../views/{redirects.file_name(item.name)}" for item in wanted(load(Path("params.yaml")))]
    assert len(expected) > 2
    page, text = ((data / "report" / name).read_text(encoding="utf-8") for name in ("report.html", "report.md"))
    assert re.findall(r'href="(\.\./[^"]*)"', page) == expected
    assert re.findall(r"\]\((\.\./[^)]*)\)", text) == expected


def test_own_data_is_held_against_nothing(project: Path, tmp_path: Path) -> None:
    """Of runs that follow no paper, on a person's own pictures, the page has no printed table, and says why."""
    shutil.copytree(project, tmp_path / "again", ignore=shutil.ignore_patterns("report"))
    values = yaml.safe_load((project / "params.yaml").read_text())
    for dataset in values["datasets"].values():
        dataset["from"] = "photos"
    for run in values["runs"].values():
        run["regime"] = "none"
    (tmp_path / "again/params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    with inside(tmp_path / "again"):
        assert main(["report"]) == 0
        root = parsed(Path("data/sample/report/report.html"))
        text = Path("data/sample/report/report.md").read_text(encoding="utf-8")
    sections = {item.get("id") for item in root.iter("section")}
    assert {"pictures", "results", "data"} <= sections
    assert not {"papers", "departures"} & sections
    assert "no run follows a paper: no printed number stands beside its own." in text
    assert "papers’" not in text


def test_what_is_missing_is_named(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the figures, the stage says which file is missing, and leaves no half report behind."""
    shutil.copytree(project, tmp_path / "again", ignore=shutil.ignore_patterns("report", "figures"))
    with inside(tmp_path / "again"):
        assert main(["report"]) == 2
        assert "figures/index.json is missing" in capsys.readouterr().err
        assert main(["report", "html"]) == 2
        assert not Path("data/sample/report").exists()
