"""docs/own-data.md, followed word for word with generated pictures; only sizes and counts are smaller."""

import re
import shutil
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from fcn.cli import main
from fcn.config import load
from fcn.datasets import formats
from fcn.datasets.labels import VOID
from fcn.datasets.samples import Samples
from fcn.files import read_json
from fcn.stages.code import ORDER, stages
from tests.conftest import RunFcn
from tests.data import tiny

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/own-data.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
PARAMS = next(text for kind, text in BLOCKS if text.startswith("profile: mine"))
ENTRIES = [yaml.safe_load(text) for _, text in BLOCKS if text.startswith("datasets:")]
MODULE = next(text for kind, text in BLOCKS if kind == "python")
SMALLER = {
    "threads: 2": "threads: 1",
    "width: 0.25, fc: 256, input_px: 96": "width: 0.0625, fc: 8, input_px: 32",
    "iterations: 2000": "iterations: 4",
}
IDS = [f"my picture {number}" for number in range(24)]
COLOURS = np.zeros((256, 3), np.uint8)
COLOURS[[1, 2, VOID]] = [[200, 30, 30], [30, 30, 200], [255, 255, 255]]


def label(image_id: str) -> NDArray[np.uint8]:
    """A disk and a square below a border of void."""
    image = Image.new("L", (48, 36))
    x = y = 2 + IDS.index(image_id) % 16
    ImageDraw.Draw(image).ellipse((x, y, x + 14, y + 14), fill=1)
    ImageDraw.Draw(image).rectangle((x + 18, y, x + 30, y + 12), fill=2)
    values = np.array(image)
    values[0] = VOID
    return values


def save(path: Path, values: NDArray[np.uint8]) -> None:
    """Write an array as a picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def replaced(old: tuple[int, ...], new: tuple[int, ...]) -> Callable[[Path, NDArray[np.uint8]], None]:
    """Write a label with other numbers in it."""
    table = np.zeros(256, np.uint8)
    table[list(old)] = new
    return lambda path, values: save(path, table[values])


WRITERS: dict[str, Callable[[Path, NDArray[np.uint8]], object]] = {
    "masks": save,
    "greys": save,
    "palette": lambda path, values: path.write_bytes(tiny.png(values)),
    "from-one": replaced((0, 1, 2, VOID), (1, 2, 3, 0)),
    "numbers": replaced((0, 1, 2, VOID), (0, 128, 255, 7)),
    "colours": lambda path, values: save(path, COLOURS[values]),
    "matlab": lambda path, values: path.with_suffix(".mat").write_bytes(tiny.mat_of({"label": values})),
    "together": lambda path, values: save(path.with_name(f"{path.stem}_mask.png"), values),
}


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with the graph, and pictures with masks of every kind of the page; we are in it."""
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    for image_id in IDS:
        values = label(image_id)
        noise = np.random.default_rng(IDS.index(image_id)).integers(0, 60, (36, 48, 3), np.uint8)
        for name in ("photos/{}.jpg", "together/{}_photo.jpg"):
            save(tmp_path / "my-data" / name.format(image_id), COLOURS[values] // 2 + noise)
        for name, write in WRITERS.items():
            (tmp_path / "my-data" / name).mkdir(exist_ok=True)
            write(tmp_path / "my-data" / name / f"{image_id}.png", values)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def followed(command: str, params: str, run_fcn: RunFcn) -> None:
    """Do what the page says to type; DVC's part is done by calling its stages in their order."""
    match command.split():
        case ["dvc", "repro", graph]:
            assert Path(graph).read_bytes() == (ROOT / "dvc.yaml").read_bytes()
            named = [("code", None), *sorted(stages(load(Path(params))), key=lambda stage: ORDER.index(stage[0]))]
            for stage, name in named[:-1]:
                assert main([stage, *([name] if name else []), "--params", params]) == 0, (stage, name)
            assert named[-1] == ("publish", None)  # MLflow is left to a process of its own
            done = run_fcn(["publish", "--params", params], Path.cwd())
            assert done.returncode == 0, done.stderr
        case ["python", "-m", "fcn", *arguments]:
            assert main(arguments) == 0
        case ["make", target]:
            assert f"\n{target}: " in (ROOT / "Makefile").read_text(encoding="utf-8")
        case _:
            subprocess.run(command.split(), check=True)


@pytest.mark.slow
def test_the_page_is_followed(folder: Path, run_fcn: RunFcn) -> None:
    """Its params and commands lead from a folder of pictures to scores, a report, rows in MLflow and answers."""
    smaller = PARAMS
    for large, small in SMALLER.items():
        assert smaller.count(large) == 1, large
        smaller = smaller.replace(large, small)
    params = yaml.safe_load(PARAMS)["params"]
    assert f"`{params}`" in PAGE
    first, *others = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]
    followed(first, params, run_fcn)
    Path(params).write_text(smaller, encoding="utf-8")
    for command in others:
        followed(command, params, run_fcn)
    told = re.findall(r"`((?:data/mine|answers)/[^`]+\.\w+)`", PAGE)
    assert len(told) > 5
    assert [path for path in told if not (folder / path).is_file()] == []
    assert len(list((folder / "answers").glob("*-overlay.png"))) == len(IDS)
    lists = [(folder / f"data/mine/splits/{name}.txt").read_text().splitlines() for name in ("train", "val")]
    assert sorted([*lists[0], *lists[1]]) == sorted(IDS)
    told = re.findall(r'"(mine / \w+)"', PAGE)
    assert sorted(told) == sorted(read_json(folder / "data/mine/published.json")["experiments"])


def test_a_start_from_imagenet_is_whole(folder: Path) -> None:
    """In the place of the lines that it replaces, the page's start from ImageNet makes a graph of known names."""
    block = re.findall(r"^  ```yaml\n(.*?)^  ```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(block) == 1
    text = re.sub(r"backbones:.*\nclassifiers:.*\n", textwrap.dedent(block[0]), PARAMS)
    init = re.findall(r"`(init: weights/.*?)`", PAGE)
    text = text.replace("init: weights/from-nothing", init[0]).replace("profiles/mine/params.yaml", "params.yaml")
    text = text.replace("root: ../..", "root: .")
    (folder / "params.yaml").write_text(text, encoding="utf-8")
    assert main(["code"]) == 0


def test_every_kind_of_mask_is_the_same(folder: Path) -> None:
    """Each entry of the page converts its masks, and all are the same classes and void."""
    entries = next(each["datasets"] for each in ENTRIES if len(each["datasets"]) > 1)
    tiny.params(folder, datasets=entries)
    assert {entry["labels"].partition("/")[0] for entry in entries.values()} == WRITERS.keys() - {"masks"}
    for name in entries:
        assert main(["datasets", name]) == 0
        samples = Samples(folder / "data/tiny/datasets" / name, IDS)
        assert list(samples.facts.targets["semantic"].classes) == ["background", "cat", "dog"]
        for image_id in IDS:
            assert np.array_equal(samples.read_label(image_id, "semantic"), label(image_id)), (name, image_id)


def test_the_lists_of_the_page_are_a_split(folder: Path) -> None:
    """Three lists by share have every picture once."""
    lists = [yaml.safe_load(text)["lists"] for _, text in BLOCKS if text.startswith("lists:")]
    (entry,) = yaml.safe_load(PARAMS)["datasets"].values()
    tiny.params(folder, datasets={"mine": entry}, lists=lists[-1])
    assert main(["datasets", "mine"]) == main(["splits"]) == 0
    found = {name: (folder / f"data/tiny/splits/{name}.txt").read_text().splitlines() for name in lists[-1]}
    assert sorted(found["train"] + found["val"] + found["test"]) == sorted(IDS)


def test_the_module_of_the_page_is_a_format(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer than 60 lines, put into the room of the formats, read a layout of their own."""
    (name, entry) = next((key, each) for found in ENTRIES for key, each in found["datasets"].items() if key == "odd")
    assert len(MODULE.splitlines()) < 60
    assert f"`fcn/datasets/formats/{entry['format']}.py`" in PAGE
    (folder / "room").mkdir()
    (folder / "room" / f"{entry['format']}.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.setattr(formats, "__path__", [*formats.__path__, str(folder / "room")])
    expected = {}
    for image_id in IDS:
        expected[image_id] = label(image_id) % VOID
        save(folder / entry["from"] / image_id / "photo.jpg", COLOURS[expected[image_id]])
        for index, thing in enumerate(("cat", "dog"), 1):
            save(folder / entry["from"] / image_id / f"{thing}.png", np.uint8(255) * (expected[image_id] == index))
    tiny.params(folder, datasets={name: entry}, lists={"all": {"dataset": name, "expect": len(IDS)}})
    assert main(["datasets", name]) == main(["splits"]) == 0
    samples = Samples(folder / "data/tiny/datasets" / name, IDS)
    for image_id in IDS:
        assert np.array_equal(samples.read_label(image_id, "semantic"), expected[image_id])


def test_what_the_page_quotes_is_said() -> None:
    """Every sentence in its table of refusals stands in the code."""
    table = PAGE.partition("## What is refused")[2].partition("\n## ")[0]
    said = [
        words for row in re.findall(r"^\| (.*?) \|", table, re.MULTILINE) for words in re.findall(r"`([^`]+)`", row)
    ]
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "fcn").rglob("*.py"))
    assert len(said) > 12
    assert [words for words in said if words not in code] == ["no such tree in it", "list 'pictures'"]  # composed
