"""Stage: segmentations, score maps, curves, confusion and bars as pictures, and what each of them shows as text."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcn.config import Config
from fcn.datasets import lists as list_files
from fcn.datasets.facts import Target
from fcn.datasets.samples import Samples
from fcn.errors import InputError, StageFailure
from fcn.figures import choice, results, score_maps, segmentations
from fcn.figures.answers import Answers
from fcn.figures.choice import Choice
from fcn.figures.gallery import Gallery
from fcn.figures.groups import Group, groups, leading, target_of
from fcn.files import existing, whole_folder, write_json
from fcn.lifeline import Lifeline, lifeline
from fcn.machine import wants_it_plain
from fcn.scoring.histogram import histogram
from fcn.scoring.metrics import METRICS, constant_answer, metrics
from fcn.stages.device import chosen_device
from fcn.stages.places import Places


def run(config: Config, name: str | None) -> None:
    """Write figures/: charts/*.png, curves/*.csv and validation/*/*.csv, which are DVC plots, layers/ and index.json.

    They show the first head of each net. Environment: FCN_DEVICE, FCN_PLAIN.
    """
    if name is not None:
        raise InputError(f"figures takes no name, found {name!r}; write `python -m fcn figures`")
    places = Places(config)
    files = {run: places.histogram(run, target_of(config, run)) for run in config.runs}
    scored = [run for run, file in files.items() if file.exists() and places.net(run).exists()]
    if not scored:
        existing(next(iter(files.values())))
    hists = {run: np.load(files[run]) for run in scored}
    found = groups(config, scored)
    with lifeline() as line, whole_folder(places.figures) as folder:
        by_place = {group.place: _answers(config, group, line) for group in found}
        palettes = {group.truth: by_place[group.place].palette for group in found}
        gallery = Gallery(folder, profile=config.profile, palettes=palettes)
        of_run = {run: by_place[group.place].facts for group in found for run in group.runs}
        mean_iu = {run: _mean_iu(hists[run], of_run[run]) for run in scored}
        results.mean_iu(gallery, mean_iu, background=_background(found, hists, of_run), config=config)
        chosen: dict[tuple[str, str], Choice] = {}
        for group in found:
            answers = by_place[group.place]
            if group.place not in chosen:
                chosen[group.place] = _choice(group, answers, mean_iu)
            _segmentations(gallery, group, answers, chosen[group.place], layers=group in leading(found))
        if (mapped := _of_vgg16(config, found)) is not None:
            _score_maps(gallery, mapped, by_place[mapped.place], hists)
        history = {run: _history(places.history(run)) for run in scored}
        if losses := _rows_with("loss", history):
            results.losses(gallery, losses, config=config)
            _curves(folder / "curves", losses, "loss")
        if on_the_way := _rows_with("mean_iu", history):
            results.on_the_way(gallery, on_the_way, config=config)
            for metric in METRICS:
                _curves(folder / "validation" / metric, on_the_way, metric)
        for group in leading(found):
            results.classes(gallery, group, hists)
        classes = {run: facts.classes for run, facts in of_run.items()}
        results.confusion(gallery, hists, classes=classes, winner=results.best(mean_iu))
        write_json(folder / "index.json", gallery.index)
    print(f"{len(gallery.figures)} figures in {places.figures}", file=sys.stderr)


def _answers(config: Config, group: Group, line: Lifeline) -> Answers:
    """What nets answer to the pictures of a group's list, for its target."""
    places = Places(config)
    ids = list_files.read_back(existing(places.list_file(group.val.list)))

    def go_on() -> None:
        if line.cut.is_set():
            message = f"figures: stopped ({line.reason}); drawing starts anew with the same command"
            raise StageFailure(message, exit_code=line.exit_code)

    return Answers(
        {run: places.net(run) for run in config.runs},
        Samples(existing(places.dataset(group.val.dataset)), ids),
        target=group.target,
        device=chosen_device(),
        plain=wants_it_plain(),
        go_on=go_on,
    )


def _history(file: Path) -> list[results.Row]:
    """The recorded rows."""
    return [json.loads(text) for text in file.read_text(encoding="utf-8").splitlines()]


def _rows_with(key: str, history: Mapping[str, Sequence[results.Row]]) -> dict[str, list[results.Row]]:
    """The rows that have such a number, of runs that have some."""
    found = {run: [row for row in rows if key in row] for run, rows in history.items()}
    return {run: rows for run, rows in found.items() if rows}


def _curves(folder: Path, history: Mapping[str, Sequence[results.Row]], key: str) -> None:
    """The numbers again, as `dvc plots` can read them."""
    for run, rows in history.items():
        lines = [f"{row['iteration']:.0f},{row[key]:.6g}" for row in rows]
        (folder / f"{run}.csv").write_text("\n".join([f"iteration,{key}", *lines, ""]), encoding="utf-8")


def _mean_iu(hist: NDArray[np.int64], facts: Target) -> float:
    """In percent, averaged as the dataset says."""
    return 100 * metrics(hist, over=facts.average).mean_iu


def _background(found: Sequence[Group], hists: results.Histograms, facts: Mapping[str, Target]) -> list[float]:
    """The mean IU of answering background everywhere, for each list and target that has a background."""
    by_place = {}
    for group in found:
        run = group.runs[0]
        if (answer := facts[run].background) is not None:
            by_place[group.place] = _mean_iu(constant_answer(hists[run], answer=answer), facts[run])
    return list(by_place.values())


def _choice(group: Group, answers: Answers, mean_iu: Mapping[str, float]) -> Choice:
    """By the gain along a chain; where there is none, by how well the best run does."""
    ids = answers.samples.ids
    looked_at = choice.candidates(ids)
    if group.chain:
        first, last = group.runs[0], group.runs[-1]
        before, after = (_own_mean_iu(answers, run, looked_at) for run in (first, last))
        values = {image_id: after[image_id] - before[image_id] for image_id in looked_at}
        measure = f"gain from {first} to {last} in the image’s own mean IU"
    else:
        best = results.best({run: mean_iu[run] for run in group.runs})
        values = _own_mean_iu(answers, best, looked_at)
        measure = f"mean IU of the image itself, as {best} answers it"
    return choice.by_rule(values, measure=measure, gain=group.chain, val=group.val.list, of=len(ids))


def _own_mean_iu(answers: Answers, run: str, ids: Sequence[str]) -> dict[str, float]:
    """Each image's mean IU in percent, scored on its own."""
    classes = len(answers.facts.classes)
    hists = {
        image_id: histogram(answers.truth(image_id), answer, classes=classes)
        for image_id, answer in answers.labels(run, ids).items()
    }
    return {image_id: _mean_iu(hist, answers.facts) for image_id, hist in hists.items()}


def _segmentations(gallery: Gallery, group: Group, answers: Answers, chosen: Choice, *, layers: bool) -> None:
    """The chosen images as one figure, and where asked for as layers to switch between."""
    ids = [item.id for item in chosen.images]
    answered = {label: answers.labels(run, ids) for run, label in group.labels.items()}
    rows = [
        segmentations.Segmented(
            id=item.id,
            place=item.place,
            value=item.value,
            image=answers.photo(item.id),
            labels={**{label: of[item.id] for label, of in answered.items()}, "truth": answers.truth(item.id)},
        )
        for item in chosen.images
    ]
    gallery.add(
        segmentations.segmentations(rows, palette=answers.palette, gain=chosen.gain),
        key=f"segmentations-{group.key}",
        section="segmentations",
        title=group.title,
        caption=chosen.rule,
        alt=f"{len(rows)} images, a row each: the photo, what {', '.join(answered)} answer, and the truth.",
    )
    if layers:
        gallery.add_layers(group, rows=rows, gain=chosen.gain)


def _score_maps(gallery: Gallery, group: Group, answers: Answers, hists: results.Histograms) -> None:
    """Two classes in the eyes of a group's nets."""
    names = answers.palette.names
    pixels = [int(count) for count in hists[group.runs[-1]].sum(1)]
    shares: dict[int, dict[str, float]] = {
        index: {} for index in choice.classes_to_map(pixels, names=names, background=answers.facts.background)
    }
    for image_id in choice.candidates(answers.samples.ids):
        truth = answers.truth(image_id)
        for index, of_image in shares.items():
            of_image[image_id] = float((truth == index).mean())
    found = {index: choice.image_of(of_image) for index, of_image in shares.items()}
    where = {index: image_id for index, image_id in found.items() if image_id is not None}
    if not where:
        return
    coarse = {label: answers.scores(run, list(where.values())) for run, label in group.labels.items()}
    rows = [
        score_maps.Mapped(
            caption=f"{names[index]}\n{image_id}",
            image=answers.photo(image_id),
            truth=answers.truth(image_id),
            scores={label: of[image_id][index] for label, of in coarse.items()},
        )
        for index, image_id in where.items()
    ]
    shown = " and ".join(names[index] for index in where)
    gallery.add(
        score_maps.score_maps(rows, palette=answers.palette),
        key="score-maps",
        section="score maps",
        title=shown[:1].upper() + shown[1:],
        caption=f"The scores of {shown} before the last upsampling, on the nets' own grids: a cell is one score. "
        "Dark to bright from the map's lowest score to its highest, which stand below. Each class is shown in the "
        f"image in which its share is the nearest to {choice.SHARE:.0%} of the pixels.",
        alt=f"For {shown}: the photo, the truth, and heat maps of the scores of {', '.join(coarse)}.",
    )


def _of_vgg16(config: Config, found: Sequence[Group]) -> Group | None:
    """The first chain on VGG16; or of its runs on their own the first, which is the plain one."""
    for group in found:
        mine = [run for run in group.runs if config.net(run).backbone.architecture == "vgg16"]
        if mine:
            labels = {run: group.labels[run] for run in (mine if group.chain else mine[:1])}
            return replace(group, labels=labels)
    return None
