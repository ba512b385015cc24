"""`python -m fcn predict`: segment pictures with a trained run or a checkpoint file."""

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from fcn.ahead import ahead
from fcn.commands.predictions import nets, page, pictures, results, video
from fcn.commands.predictions.pictures import Picture
from fcn.config import Config
from fcn.errors import InputError, StageFailure, printable
from fcn.machine import out_of_memory, wants_it_plain

if TYPE_CHECKING:
    from fcn.predict import Predictor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `predict` takes."""
    parser.add_argument("net", help="a run's name, or the path of a checkpoint (.pt)")
    parser.add_argument(
        "pictures", nargs="+", help="files, folders, URLs, videos, or - for a picture on standard input"
    )
    parser.add_argument("--out", type=Path, default=Path("predictions"), help="folder for the results")
    parser.add_argument(
        "--max-side",
        type=int,
        default=None,
        metavar="PX",
        help="shrink larger pictures to this side for the network; VOC's, on which it learned, have 500",
    )
    parser.add_argument(
        "--fps", type=float, default=None, metavar="N", help="so many pictures of a second of video; without it, all"
    )
    parser.add_argument(
        "--precision",
        choices=("float32", "bfloat16"),
        default="float32",
        help="of the network's maps; bfloat16 is about twice as fast where the processor or GPU has it, and gives some "
        "pixels in a thousand another class (default: float32)",
    )
    parser.set_defaults(unnamed=parser.get_default("params"))


def run(config: Config, options: argparse.Namespace) -> None:
    """Write, for every picture, NAME.fcn-label.png (palette), -overlay.png, -shares.json and -photo.jpg, and a page.

    What can't be read or isn't there is said and passed over; the exit code is then 2. The same command gives the same
    files again, and writes over no file but its own (fcn.commands.predictions.results).
    """
    if options.max_side is not None and options.max_side < 32:
        raise InputError(f"--max-side is {options.max_side}; 32 px is the least that makes sense")
    if options.fps is not None and not 0 < options.fps <= 1000:
        raise InputError(f"--fps is {options.fps:g}; it is pictures a second, more than 0")
    if options.out.exists() and not options.out.is_dir():
        raise InputError(f"--out {options.out} is a file; name a folder for the results")
    found, failed, passed = pictures.find(options.pictures, out=options.out)
    for problem in failed:
        print(f"error: {problem}", file=sys.stderr)
    for words in passed:
        print(words, file=sys.stderr)
    asked = len(found) + len(failed)
    profiles = nets.profiles(config)
    net = nets.chosen(options.net, profiles, named=options.params is not options.unnamed)
    if not found:
        raise InputError("there is no picture to segment; give files, folders or URLs")
    from fcn.predict import Predictor  # only now, for it takes seconds: the arguments were right
    from fcn.stages.device import chosen_device

    predictor = Predictor.load(net, device=chosen_device(), plain=wants_it_plain(), precision=options.precision)
    learned = printable(f"{pictures.shown(net)}: {nets.learned(predictor.provenance, profiles)}")
    learned += ", in bfloat16" if options.precision == "bfloat16" else ""
    print(learned + nets.others(predictor.provenance, profiles), file=sys.stderr)
    work = _Work(predictor=predictor, net=learned, out=options.out, max_side=options.max_side, fps=options.fps)
    quiet = not sys.stderr.isatty() or len(found) == 1
    for picture, image in tqdm(ahead(_read, found), desc="predict", unit="picture", total=len(found), disable=quiet):
        wrong = _problem(picture, image, work)
        if wrong is not None:
            failed.append(wrong)
            tqdm.write(f"error: {wrong}", file=sys.stderr)
    if asked > len(failed):
        results.write_legends(options.out, predictor.targets)
        print(f"pictures, overlays and shares on one page: {page.write(options.out).absolute()}", file=sys.stderr)
    if failed:
        rest = f"; the others' results are in {options.out}" if asked > len(failed) else ""
        raise InputError(f"{len(failed)} of {asked} could not be segmented{rest}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """What is the same for every picture; `net` says in words which net answers."""

    predictor: "Predictor"
    net: str
    out: Path
    max_side: int | None
    fps: float | None


def _read(picture: Picture) -> NDArray[np.uint8] | None:
    """A picture's pixels; ffmpeg reads a video's beside the network anyway."""
    return None if picture.moves else pictures.read(picture)


def _problem(picture: Picture, image: Callable[[], NDArray[np.uint8] | None], work: _Work) -> str | None:
    """Segment a picture; what was wrong with it, so that the others can go on, or None."""
    try:
        if (pixels := image()) is None:
            _segment_video(picture, work)
        else:
            _segment(picture, pixels, work)
    except (InputError, StageFailure) as error:
        return str(error)
    except (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError) as error:
        return f"{picture.shown}: {error}"
    except Exception as error:
        if not out_of_memory(error):
            raise
        return f"{picture.shown}: out of memory; try --max-side 1500"
    return None


def _segment(picture: Picture, pixels: NDArray[np.uint8], work: _Work) -> None:
    answers = work.predictor.answers(pixels, max_side=work.max_side)
    overlays = {name: answer.overlay() for name, answer in answers.items()}
    about = {"picture": picture.shown, "net": work.net}
    labels = results.write(work.out / picture.result, answers, about=about, overlays=overlays)
    for name, label in labels.items():
        _say(picture, answers[name].shares, result=label)


def _segment_video(picture: Picture, work: _Work) -> None:
    """The results of its pictures in a folder, and, for the first target, the overlays as a video."""
    begin, path = work.out / picture.result, Path(picture.where)
    rate = video.rate(path, shown=picture.shown)
    rate = rate if work.fps is None else f"{work.fps:g}"
    frames, count, total = begin.with_name(f"{begin.name}-frames"), 0, Counter[str]()
    results.clear(frames)
    for image in tqdm(video.pictures(path, rate=rate, shown=picture.shown), disable=not sys.stderr.isatty()):
        count += 1
        answers = work.predictor.answers(image, max_side=work.max_side)
        overlays = {name: answer.frame() for name, answer in answers.items()}
        about = {"picture": f"{picture.shown}, number {count}", "net": work.net}
        results.write(frames / f"{count:06}.fcn", answers, about=about, overlays=overlays)
        total.update(next(iter(answers.values())).shares)
    overlay = begin.with_name(f"{begin.name}-overlay.mp4")
    with results.result(overlay) as part:
        pattern = "%06d.fcn-overlay.png"
        video.write(part, folder=frames, pattern=pattern, count=count, rate=rate, comment=results.MADE_BY)
    shares = {name: share / count for name, share in total.most_common()}
    about = {"picture": picture.shown, "net": work.net, "target": next(iter(work.predictor.targets))}
    files = {"files": {"overlay": overlay.name}}
    results.write_shares(begin.with_name(f"{begin.name}-shares.json"), shares, about={**about, **files})
    _say(picture, shares, result=overlay)


def _say(picture: Picture, shares: Mapping[str, float], *, result: Path) -> None:
    """One line of a picture: the largest classes, and where a result is."""
    text = ", ".join(f"{name} {100 * share:.1f} %" for name, share in list(shares.items())[:4])
    tqdm.write(f"{picture.shown}: {printable(text)} -> {pictures.shown(result)}")
