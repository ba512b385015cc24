"""The Python call: three lines that answer as `predict` does, in colours that can be told apart."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcn.datasets.formats import voc
from fcn.figures.overlay import overlay
from fcn.predict import Answer, Predictor
from tests.commands.segmenting import NET, Predict, photo


def test_three_lines_of_python_answer_as_the_command(predict: Predict) -> None:
    """Of a path, bytes, Pillow's picture or an array, `Predictor` gives what the command writes."""
    taken = photo(Path("photo.png"))
    assert predict(NET, taken, "--max-side", "32")[0] == 0
    predictor = Predictor.load(NET, device="cpu")
    with Image.open("predictions/photo.png.fcn-label.png") as label, Image.open(taken) as image:
        for picture in (str(taken), taken, taken.read_bytes(), image, np.asarray(image)):
            answer = predictor(picture, max_side=32)
            assert np.array_equal(answer.label, np.asarray(label))
            assert np.array_equal(np.asarray(answer.mask()), answer.label)
    told = json.loads(Path("predictions/photo.png.fcn-shares.json").read_text(encoding="utf-8"))
    assert told["shares"] == {name: round(share, 4) for name, share in answer.shares.items()}


def test_a_precision_is_the_call_s_and_the_command_s(predict: Predict) -> None:
    """Both answer alike in bfloat16, and the results say that it was used."""
    taken = photo(Path("photo.png"))
    code, _, told = predict(NET, taken, "--precision", "bfloat16")
    assert (code, ", in bfloat16" in told) == (0, True), told
    assert ", in bfloat16" in Path("predictions/photo.png.fcn-shares.json").read_text(encoding="utf-8")
    with Image.open("predictions/photo.png.fcn-label.png") as label:
        answer = Predictor.load(NET, device="cpu", precision="bfloat16")(taken)
        assert np.array_equal(answer.label, np.asarray(label))


def test_the_notebook_runs(project: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every cell of docs/predict.ipynb runs, with a net and a photo where the sample has them; none is filled."""
    cells = json.loads((repository / "docs/predict.ipynb").read_text(encoding="utf-8"))["cells"]
    assert not any(cell.get("outputs") for cell in cells)
    photo(project / "data/sample/datasets/voc2012/rgb/2008_000001.png")
    shutil.copytree(project / Path(NET).parent, project / "data/sample/nets")
    (project / "data/sample/nets" / Path(NET).name).rename(project / "data/sample/nets/voc-fcn8s-vgg16.pt")
    (project / "docs").mkdir()
    monkeypatch.chdir(project / "docs")
    monkeypatch.setattr(sys, "path", list(sys.path))
    names: dict[str, object] = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    assert isinstance(names["answer"], Answer)


@pytest.mark.parametrize("light", [0, 128, 255])
def test_the_overlay_s_colours_can_be_told_apart(light: int) -> None:
    """On black, grey and white pictures every class of VOC differs from each other, and class 0 from the picture."""
    target = voc.TARGETS["semantic"]
    label = np.repeat(np.arange(21, dtype=np.uint8), 10)[None].repeat(10, 0)
    image = np.full((10, 210, 3), light, np.uint8)
    drawn = np.asarray(overlay(image, label, target=target, words={0: "back\nground " * 99})).astype(int)
    seen = drawn[5, 5:210:10]
    for index, colour in enumerate(seen):
        least = np.abs(np.delete(seen, index, 0) - colour).max(1).min()
        assert least >= 20, (target.classes[index], colour)
    assert (drawn[5, 10:210:10] == 255).all(), "a white border where a class begins"
    assert drawn.shape[1] < 800, "long names are cut"
    assert 20 <= seen[0].max() <= 200, "neither black nor white"
