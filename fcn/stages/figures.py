"""Stage: segmentations, score maps, curves, confusion and bars as pictures, and what each of them shows as text."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fcn.config import Config
from fcn.datasets import labels
from fcn.datasets.pairs import read_image
from fcn.entries import ListRef
from fcn.errors import InputError, StageFailure
from fcn.figures import choice, pictures, results, score_maps
from fcn.figures.answers import Answers
from fcn.figures.choice import Chosen
from fcn.figures.gallery import Gallery
from fcn.figures.groups import Group, groups, leading
from fcn.lifeline import Lifeline, lifeline
from fcn.scoring.histogram import histogram
from fcn.scoring.metrics import metrics
from fcn.stages.places import Places, existing, whole_folder, write_json
from fcn.stages.train import chosen_device, list_files


def run(config: Config, name: str | None) -> None:
    """Write figures/charts/*.png and figures/curves/*.csv, which are DVC plots, figures/layers/ and figures/index.json.

    Environment: FCN_DEVICE.
    """
    if name is not None:
        raise InputError(f"figures takes no name, found {name!r}; write `python -m fcn figures`")
    places = Places(config)
    scored = [run for run in config.runs if places.histogram(run).exists() and places.net(run).exists()]
    if not scored:
        existing(places.histogram(next(iter(config.runs))))
    hists = {run: np.load(places.histogram(run)) for run in scored}
    found = groups(config, scored)
    with lifeline() as line, whole_folder(places.figures) as folder:
        for room in ("charts", "curves", "layers"):  # DVC wants each of them, also where it stays empty
            (folder / room).mkdir()
        gallery = Gallery(config, folder)
        nets = {run: places.net(run) for run in scored}
        answers = Answers(nets, device=chosen_device(), go_on=lambda: _alive(line))
        results.mean_iu(gallery, hists)
        shown: dict[str, _Choice] = {}
        for group in found:
            val = group.val.list
            if val in shown:
                chosen = shown[val]
            else:
                chosen = shown[val] = _choice(gallery, group, answers, hists)
            _segmentations(gallery, group, answers, chosen, layers=group in leading(found))
        _score_maps(gallery, found, answers, hists)
        history = {run: rows for run in scored if (rows := _history(places.history(run)))}
        if history:
            results.losses(gallery, history)
            _curves(folder / "curves", history)
        for group in leading(found):
            results.classes(gallery, group, hists)
        results.confusion(gallery, hists)
        write_json(folder / "index.json", gallery.index)
    print(f"{len(gallery.figures)} figures in {places.figures}", file=sys.stderr)


def _alive(line: Lifeline) -> None:
    if line.cut.is_set():
        message = f"figures: stopped ({line.reason}); drawing starts anew with the same command"
        raise StageFailure(message, exit_code=line.exit_code)


def _history(file: Path) -> list[tuple[float, float]]:
    """Iteration and loss of each recorded row."""
    rows: list[Any] = [json.loads(text) for text in file.read_text(encoding="utf-8").splitlines()]
    return [(row["iteration"], row["loss"]) for row in rows]


def _curves(folder: Path, history: Mapping[str, Sequence[tuple[float, float]]]) -> None:
    """The losses again, as `dvc plots` can read them."""
    for run, rows in history.items():
        lines = [f"{iteration:.0f},{loss:.6g}" for iteration, loss in rows]
        (folder / f"{run}.csv").write_text("\n".join(["iteration,loss", *lines, ""]), encoding="utf-8")


def _files(config: Config, ref: ListRef) -> dict[str, tuple[Path, Path]]:
    """The image and label files of a list, by id."""
    return {label.stem: (image, label) for image, label in list_files(config, ref)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    """The images that the groups of one list show, and the rule in words; `gain`: their values are differences."""

    images: Sequence[Chosen]
    rule: str
    gain: bool


def _choice(gallery: Gallery, group: Group, answers: Answers, hists: results.Histograms) -> _Choice:
    """By the gain along a chain; where there is none, by how well the best run does."""
    files = _files(gallery.config, group.val)
    ids = choice.candidates(list(files))
    if group.chain:
        first, last = group.runs[0], group.runs[-1]
        before, after = (_own_mean_iu(gallery, answers, run, files, ids) for run in (first, last))
        values = {image_id: 100 * (after[image_id] - before[image_id]) for image_id in ids}
        measure = f"gain from {first} to {last} in the image’s own mean IU"
    else:
        best = results.best({run: hists[run] for run in group.runs})
        values = {image_id: 100 * iu for image_id, iu in _own_mean_iu(gallery, answers, best, files, ids).items()}
        measure = f"mean IU of the image itself, as {best} answers it"
    chosen = choice.at_places({image_id: value for image_id, value in values.items() if not np.isnan(value)})
    among = f"all {len(files)} images" if len(ids) == len(files) else f"{len(ids)} of the {len(files)} images"
    how = "" if len(ids) == len(files) else " (those whose hash comes first)"
    places = ", ".join(item.place for item in chosen)
    rule = (
        f"Images are chosen by rule: those with the {places} {measure}, among {among} of {group.val.list}{how}; "
        "equal ones by their id. The number beside an id is that value, in points of 100."
    )
    return _Choice(images=chosen, rule=rule, gain=group.chain)


def _own_mean_iu(
    gallery: Gallery, answers: Answers, run: str, files: Mapping[str, tuple[Path, Path]], ids: Sequence[str]
) -> dict[str, float]:
    """Each image's mean IU, scored on its own."""
    found = answers.labels(run, {image_id: files[image_id][0] for image_id in ids})
    classes = gallery.config.classes
    return {
        image_id: metrics(histogram(labels.read(files[image_id][1]), answer, classes=classes)).mean_iu
        for image_id, answer in found.items()
    }


def _segmentations(gallery: Gallery, group: Group, answers: Answers, chosen: _Choice, *, layers: bool) -> None:
    """The chosen images as one figure, and where asked for as layers to switch between."""
    files = _files(gallery.config, group.val)
    images = {item.id: files[item.id][0] for item in chosen.images}
    drawn = {run: answers.labels(run, images) for run in group.runs}
    rows = [
        pictures.Shown(
            caption=f"{item.place}\n{item.id}\n{item.value:{'+' if chosen.gain else ''}.1f}",
            image=read_image(images[item.id]),
            truth=labels.read(files[item.id][1]),
            answers=[drawn[run][item.id] for run in group.runs],
        )
        for item in chosen.images
    ]
    heads = list(group.labels.values())
    gallery.add(
        pictures.segmentations(rows, columns=heads, classes=gallery.classes),
        key=f"segmentations-{group.key}",
        section="segmentations",
        title=group.title,
        caption=chosen.rule,
        alt=f"{len(rows)} images, a row each: the photo, what {', '.join(heads)} answer, and the truth.",
    )
    if layers:
        gallery.add_layers(group, rows=rows, chosen=chosen.images, gain=chosen.gain)


def _score_maps(gallery: Gallery, found: Sequence[Group], answers: Answers, hists: results.Histograms) -> None:
    """Two classes in the eyes of the VGG16 nets: those of the first chain, or the run that there is."""
    group = _of_vgg16(gallery.config, found)
    if group is None:
        return
    pixels = [int(count) for count in hists[group.runs[-1]].sum(1)]
    files = _files(gallery.config, group.val)
    shares: dict[int, dict[str, float]] = {}
    for index in choice.classes_to_map(pixels, names=gallery.classes):
        shares[index] = {}
    for image_id in choice.candidates(list(files)):
        truth = labels.read(files[image_id][1])
        for index, of_image in shares.items():
            of_image[image_id] = float((truth == index).mean())
    found_in = {index: choice.image_of(of_image) for index, of_image in shares.items()}
    where = {index: held for index, held in found_in.items() if held is not None}
    if not where:
        return
    images = {image_id: files[image_id][0] for image_id in where.values()}
    coarse = {run: answers.scores(run, images) for run in group.runs}
    rows = [
        score_maps.Mapped(
            caption=f"{gallery.classes[index]}\n{image_id}",
            image=read_image(files[image_id][0]),
            truth=labels.read(files[image_id][1]),
            scores=[coarse[run][image_id][index] for run in group.runs],
        )
        for index, image_id in where.items()
    ]
    names = " and ".join(gallery.classes[index] for index in where)
    gallery.add(
        score_maps.score_maps(rows, columns=list(group.labels.values())),
        key="score-maps",
        section="score maps",
        title=names.capitalize(),
        caption=f"The scores of {names} before the last upsampling, on the nets' own grids: a cell is one score. "
        "Dark to bright from the map's lowest score to its highest, which stand below. Each class is shown in the "
        f"image in which its share is the nearest to {choice.SHARE:.0%} of the pixels.",
        alt=f"For {names}: the photo, the truth, and heat maps of the scores of {', '.join(group.labels.values())}.",
    )


def _of_vgg16(config: Config, found: Sequence[Group]) -> Group | None:
    """The first chain on VGG16; or of its runs on their own the first, which is the plain one."""
    for group in found:
        mine = {
            run: label
            for run, label in group.labels.items()
            if config.backbones[config.runs[run].backbone].architecture == "vgg16"
        }
        if mine and not group.chain:
            mine = dict([next(iter(mine.items()))])
        if mine:
            return Group(key=group.key, title=group.title, val=group.val, chain=group.chain, labels=mine)
    return None
