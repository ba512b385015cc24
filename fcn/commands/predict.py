"""`python -m fcn predict`: segment pictures with a trained run or a checkpoint file."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from fcn.commands import pictures
from fcn.commands.pictures import Picture
from fcn.config import Config
from fcn.datasets import labels
from fcn.datasets.facts import Target
from fcn.errors import InputError, StageFailure
from fcn.files import existing, whole_file, write_json
from fcn.machine import out_of_memory
from fcn.stages.places import Places

_OVERLAY = 0.6


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `predict` takes."""
    parser.add_argument("net", help="a run's name, or the path of a checkpoint (.pt)")
    parser.add_argument("pictures", nargs="+", help="files, folders or URLs")
    parser.add_argument("--out", type=Path, default=Path("predictions"), help="folder for the results")
    parser.add_argument(
        "--max-side",
        type=int,
        default=None,
        metavar="PX",
        help="shrink larger pictures to this side for the network; VOC's, on which it learned, have 500",
    )


def run(config: Config, options: argparse.Namespace) -> None:
    """Write, for every picture, NAME.fcn-label.png (palette), NAME.fcn-overlay.png and NAME.fcn-shares.json.

    What can't be read or isn't there is said and passed over; the exit code is then 2. The same command gives the same
    files again, and writes over no picture (fcn.commands.pictures.Picture).
    """
    if options.max_side is not None and options.max_side < 32:
        raise InputError(f"--max-side is {options.max_side}; 32 px is the least that makes sense")
    if options.out.exists() and not options.out.is_dir():
        raise InputError(f"--out {options.out} is a file; name a folder for the results")
    found, failed = pictures.find(options.pictures)
    for problem in failed:
        print(f"error: {problem}", file=sys.stderr)
    asked = len(found) + len(failed)
    net = _net_file(options.net, config)
    if not found:
        raise InputError("there is no picture to segment; give files, folders or URLs")
    predictor = _Predictor(net)
    print(f"{net}: {_origin(predictor.provenance, config)}", file=sys.stderr)
    for picture in tqdm(found, desc="predict", unit="picture", disable=not sys.stderr.isatty() or len(found) == 1):
        wrong = _problem(picture, predictor, out=options.out, max_side=options.max_side)
        if wrong is not None:
            failed.append(wrong)
            tqdm.write(f"error: {wrong}", file=sys.stderr)
    if asked > len(failed):
        for suffix, target in zip(predictor.suffixes, predictor.targets, strict=True):
            _write_legend(options.out / f"classes.fcn-legend{suffix}.png", target)
    if failed:
        rest = f"; the others' results are in {options.out}" if asked > len(failed) else ""
        raise InputError(f"{len(failed)} of {asked} could not be segmented{rest}")


def _problem(picture: Picture, predictor: "_Predictor", *, out: Path, max_side: int | None) -> str | None:
    """Segment a picture; what was wrong with it, so that the others can go on, or None."""
    try:
        _segment(picture, predictor, out=out, max_side=max_side)
    except (InputError, StageFailure) as error:
        return str(error)
    except (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError) as error:
        return f"{picture.shown}: {error}"
    except Exception as error:
        if not out_of_memory(error):
            raise
        return f"{picture.shown}: out of memory; try --max-side 1500"
    return None


def _segment(picture: Picture, predictor: "_Predictor", *, out: Path, max_side: int | None) -> None:
    image = pictures.read(picture)
    answers = predictor(image, max_side=max_side)
    for label, suffix, target in zip(answers, predictor.suffixes, predictor.targets, strict=True):
        begin = out / picture.result
        _write(begin, suffix, image=image, label=label, target=target, where=picture.shown)
        told = f"{pictures.shown(begin)}-label{suffix}.png"
        tqdm.write(f"{picture.shown}: {_shares_text(label, target)} -> {told}")


def _net_file(net: str, config: Config) -> Path:
    path = Path(net)
    if path.suffix == ".pt" or len(path.parts) > 1:
        if not path.is_file():
            raise InputError(f"{path}: no such checkpoint; give a run's name, or the path of a .pt file")
        return path
    try:
        config.run(net)
    except InputError as error:
        raise InputError(f"{error}; another profile's runs are those of --params profiles/NAME/params.yaml") from None
    return existing(Places(config).net(net))


def _origin(provenance: Mapping[str, str], config: Config) -> str:
    """What a net learned from, as far as its file and params.yaml tell."""
    if "run" not in provenance:
        return f"weights {provenance.get('weights', 'of unknown origin')}, not trained here"
    run, profile = provenance["run"], provenance.get("profile", "unknown")
    if profile != config.profile or run not in config.runs:
        return f"run {run} of profile {profile}"
    learned = config.run(run).train
    generated = "; generated pictures: on photos its answers mean nothing" if config.generated(learned.dataset) else ""
    return f"run {run} of profile {profile}, trained on {learned.list} of {learned.dataset}{generated}"


class _Predictor:
    """A network with its preprocessing: RGB picture in, class indices out, for each of its targets.

    Another target than the first has its name, one of `suffixes`, behind the kind of its results.
    """

    def __init__(self, path: Path) -> None:
        import torch  # only now: the arguments were right

        from fcn.nets import checkpoint
        from fcn.nets.build import trained
        from fcn.stages.device import chosen_device

        saved = checkpoint.load(path)
        if saved.net is None:
            raise InputError(f"{path} holds weights, not a trained run: those are in data/<profile>/nets/")
        if saved.net.inputs != ("rgb",):
            raise InputError(f"{path} takes {', '.join(saved.net.inputs)}; predict has pictures alone, for nets on rgb")
        self._torch, self._device, self._preprocessing = torch, chosen_device(), saved.preprocessing["rgb"]
        self._net, self.provenance = trained(saved).on(self._device), saved.provenance
        self.targets = [saved.targets.get(name) or _nameless(classes) for name, classes in saved.net.heads.items()]
        self.suffixes = ["", *(f"-{name}" for name in list(saved.net.heads)[1:])]

    def __call__(self, image: NDArray[np.uint8], *, max_side: int | None) -> list[NDArray[np.uint8]]:
        """H W 3 -> H W a target; at a smaller size where `max_side` says so, and then enlarged again."""
        height, width = image.shape[:2]
        scale = 1.0 if max_side is None else min(1.0, max_side / max(height, width))
        if scale < 1:
            size = (max(1, round(width * scale)), max(1, round(height * scale)))
            image = np.array(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
        batch = self._preprocessing(image)[None].to(self._device, memory_format=self._torch.channels_last)
        answers = [answer[0].cpu().numpy() for answer in self._net.predict({"rgb": batch}).values()]
        if scale < 1:
            enlarged = (Image.fromarray(label).resize((width, height), Image.Resampling.NEAREST) for label in answers)
            return [np.array(label) for label in enlarged]
        return answers


def _nameless(classes: int) -> Target:
    """Of a checkpoint whose maker didn't name the classes; the first is background, as in all such known."""
    return Target(classes=tuple(f"class {index}" for index in range(classes)), background=0, average="seen")


def _write(
    begin: Path, suffix: str, *, image: NDArray[np.uint8], label: NDArray[np.uint8], target: Target, where: str
) -> None:
    """The label as a palette PNG, an overlay in which the background is darkened, and the classes' shares."""
    with whole_file(begin.with_name(f"{begin.name}-label{suffix}.png")) as part:
        labels.write(label, path=part, colours=target.palette)
    colours = np.array(target.palette, np.float64)
    mixed = (1 - _OVERLAY) * image + _OVERLAY * colours[label]
    if target.background is not None:
        mixed = np.where((label == target.background)[:, :, None], 0.85 * image.astype(np.float64), mixed)
    with whole_file(begin.with_name(f"{begin.name}-overlay{suffix}.png")) as part:
        Image.fromarray(mixed.astype(np.uint8)).save(part, format="PNG")
    content = {"picture": where, "width": image.shape[1], "height": image.shape[0], "shares": _shares(label, target)}
    write_json(begin.with_name(f"{begin.name}-shares{suffix}.json"), content)


def _shares(label: NDArray[np.uint8], target: Target) -> dict[str, float]:
    """The share of pixels of every class that occurs, largest first."""
    counts = np.bincount(label.ravel(), minlength=len(target.classes))
    order = np.argsort(-counts, kind="stable")
    return {target.classes[index]: round(float(counts[index] / label.size), 4) for index in order if counts[index]}


def _shares_text(label: NDArray[np.uint8], target: Target) -> str:
    return ", ".join(f"{name} {100 * share:.1f} %" for name, share in list(_shares(label, target).items())[:4])


def _write_legend(path: Path, target: Target) -> None:
    """The palette's colours with the class names, as a picture."""
    from PIL import ImageDraw

    row, columns = 22, 3
    rows = -(-len(target.classes) // columns)
    legend = Image.new("RGB", (columns * 170, rows * row + 8), "white")
    draw = ImageDraw.Draw(legend)
    for index, (name, colour) in enumerate(zip(target.classes, target.palette, strict=True)):
        left, top = index // rows * 170 + 8, index % rows * row + 6
        draw.rectangle([left, top, left + 24, top + 14], fill=colour, outline="grey")
        draw.text((left + 32, top + 1), name, fill="black")
    with whole_file(path) as part:
        legend.save(part, format="PNG")
