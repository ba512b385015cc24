"""The stage `figures`: what it draws, of which images, and that it draws the same each time."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from fcn.cli import main
from fcn.datasets.labels import palette
from fcn.nets import checkpoint
from fcn.nets.build import trained
from tests.report.project import RUNS, inside

pytestmark = pytest.mark.slow
CHAIN = RUNS[1:]


@pytest.fixture(name="index")
def _index(data: Path) -> Any:
    return json.loads((data / "figures/index.json").read_text())


def answer(data: Path, run: str, image_id: str) -> NDArray[np.uint8]:
    """What a run's net answers to an image."""
    saved = checkpoint.load(data / f"nets/{run}.pt")
    photo = np.array(Image.open(data / f"datasets/voc2012/rgb/{image_id}.jpg").convert("RGB"))
    net, image = trained(saved).on(torch.device("cpu")), saved.preprocessing["rgb"](photo)[None]
    # In the stage's order of memory: in another one, sums round otherwise, and pixels on an edge may flip.
    found: NDArray[np.uint8] = net.predict({"rgb": image.to(memory_format=torch.channels_last)})["semantic"][0].numpy()
    return found


def truth(data: Path, image_id: str) -> NDArray[np.uint8]:
    """An image's label."""
    return np.array(Image.open(data / f"datasets/voc2012/semantic/{image_id}.png"))


def own_mean_iu(answered: NDArray[np.uint8], label: NDArray[np.uint8]) -> float:
    """The mean IU of one image, class by class, as one writes it down from the paper."""
    valid = label != 255
    found = []
    for index in range(21):
        ours, theirs = (answered == index) & valid, (label == index) & valid
        if (ours | theirs).any():
            found.append((ours & theirs).sum() / (ours | theirs).sum())
    return float(np.mean(found))


def test_the_same_nets_give_the_same_bytes(project: Path, tmp_path: Path) -> None:
    """Drawn again, in another folder, every file of the figures is the same to the byte."""
    shutil.copytree(project, tmp_path / "again", ignore=shutil.ignore_patterns("figures", "report"))
    with inside(tmp_path / "again"):
        assert main(["figures"]) == 0
    first, second = project / "data/sample/figures", tmp_path / "again/data/sample/figures"
    names = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(second) for path in second.rglob("*") if path.is_file())
    assert [name for name in names if (first / name).read_bytes() != (second / name).read_bytes()] == []


def test_files_say_nothing_of_when_and_where(data: Path) -> None:
    """No picture holds a date, a program's version or a path."""
    for path in (data / "figures").rglob("*.png"):
        with Image.open(path) as image:
            assert set(image.info) <= {"dpi", "transparency"}, path


def test_the_index_is_of_the_files(data: Path, index: Any) -> None:
    """Every figure and layer that the index names is there in the size it says, and no picture is without an entry."""
    named = {figure["file"]: (figure["width"], figure["height"]) for figure in index["figures"]}
    for switch in index["switches"]:
        assert switch["heads"][0] == "image"
        assert switch["heads"][-1] == "truth"
        for picture in switch["pictures"]:
            assert len(picture["layers"]) == len(switch["heads"])
            named |= {layer["file"]: (picture["width"], picture["height"]) for layer in picture["layers"]}
            assert all(layer["alt"] for layer in picture["layers"])
    found = {}
    for path in (data / "figures").rglob("*.[pj][np]g"):
        with Image.open(path) as image:
            found[path.relative_to(data / "figures").as_posix()] = image.size
    assert found == named
    assert all(figure["alt"] and figure["caption"] and figure["title"] for figure in index["figures"])


def test_every_kind_of_figure_is_there(index: Any) -> None:
    """Segmentations of the chain and of the others, score maps, losses, mean IU, classes, a confusion matrix a run."""
    keys = {figure["key"] for figure in index["figures"]}
    assert keys == {
        "mean-iu", "segmentations-voc-fcn8s-vgg16", "segmentations-others", "score-maps", "loss",
        "classes-voc-fcn8s-vgg16", *(f"confusion-{run}" for run in RUNS),
    }  # fmt: skip
    best = [
        figure["key"]
        for figure in index["figures"]
        if figure["key"][:9] == "confusion" and figure["section"] == "classes"
    ]
    assert len(best) == 1


def test_chosen_images_follow_the_rule(data: Path, index: Any) -> None:
    """The images are those with the highest, lowest, median and quartile gain from 32s to 8s of the list's images."""
    ids = (data / "splits/voc2012-val-minus-sbd-train.txt").read_text().split()
    gain = {}
    for image_id in ids:
        coarse, fine = (
            own_mean_iu(answer(data, run, image_id), truth(data, image_id)) for run in (CHAIN[0], CHAIN[-1])
        )
        gain[image_id] = 100 * (fine - coarse)
    assert len(set(gain.values())) > 5, "the nets answer alike, so this test would not see a wrong choice"
    ordered = sorted(ids, key=lambda image_id: (gain[image_id], image_id))
    wanted = [ordered[place] for place in (9, 7, 5, 2, 0)]
    (switch,) = index["switches"]
    assert [picture["id"] for picture in switch["pictures"]] == wanted
    assert [picture["value"] for picture in switch["pictures"]] == pytest.approx(
        [gain[image_id] for image_id in wanted]
    )


def test_layers_are_the_answers_in_voc_colours(data: Path, index: Any) -> None:
    """A layer's pixels are what the net answers or the truth, in VOC's palette, with void in white."""
    colours = palette()
    colours[255] = 255
    (switch,) = index["switches"]
    assert switch["heads"] == ["image", "FCN-32s", "FCN-16s", "FCN-8s", "truth"]
    assert switch["runs"] == list(CHAIN)
    seen = set()
    for picture in switch["pictures"]:
        image_id = picture["id"]
        labels = [*(answer(data, run, image_id) for run in CHAIN), truth(data, image_id)]
        for layer, label in zip(picture["layers"][1:], labels, strict=True):
            seen.update(np.unique(label).tolist())
            with Image.open(data / "figures" / layer["file"]) as image:
                assert np.array_equal(np.array(image.convert("RGB")), colours[label])
    shown = {entry["colour"] for entry in switch["legend"]}
    assert shown == {"#" + bytes(colours[value]).hex() for value in seen}


def test_without_trained_nets_there_is_nothing_to_draw(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without any scored run the stage says which file is missing, and leaves no folder behind."""
    shutil.copy(project / "params.yaml", tmp_path)
    with inside(tmp_path):
        assert main(["figures"]) == 2
        assert "histograms/voc-fcn32s-alexnet/semantic.npy is missing" in capsys.readouterr().err
        assert main(["figures", "loss"]) == 2
        assert not Path("data/sample/figures").exists()
