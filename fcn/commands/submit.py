"""`python -m fcn submit`: a net's answers for a VOC test server, in the archive that it takes, or a check of one."""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from fcn.ahead import ahead
from fcn.commands.predictions import nets, pictures
from fcn.config import Config
from fcn.datasets import archive, submission
from fcn.datasets.formats import voc
from fcn.datasets.submission import Challenge
from fcn.errors import InputError, printable
from fcn.machine import wants_it_plain

if TYPE_CHECKING:
    from fcn.predict import Predictor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `submit` takes."""
    parser.add_argument(
        "net", help="a run's name, or the path of a checkpoint (.pt); or a finished submission, which is then checked"
    )
    parser.add_argument(
        "tree", type=Path, help="the challenge's pictures and lists: VOC2012test.tar, or the folder it was unpacked to"
    )
    parser.add_argument("--list", default="test", help="which of ImageSets/Segmentation is answered (default: test)")
    parser.add_argument("--out", type=Path, help="the .tgz to write (default: submissions/CHALLENGE-RUN.tgz)")
    parser.set_defaults(unnamed=parser.get_default("params"))


def run(config: Config, options: argparse.Namespace) -> None:
    """Write it, read it back, and say what is wrong with it, a line each; the exit code is then 2."""
    if options.out is not None and not options.out.name.endswith((".tgz", ".tar.gz")):
        raise InputError(f"--out {options.out} is no .tgz, which is what the servers take")
    finished = Path(options.net) if archive.is_one(Path(options.net)) else None
    profiles = nets.profiles(config)
    net = None if finished else nets.chosen(options.net, profiles, named=options.params is not options.unnamed)
    with tempfile.TemporaryDirectory() as scratch:
        asked = submission.challenge(options.tree, Path(scratch), split=options.list)
        if finished is None:
            assert net is not None
            finished = options.out or Path("submissions") / f"{asked.name}-{net.stem}.tgz"
            if finished.exists() and not submission.is_one(finished, asked=asked):
                raise InputError(f"{finished} is in the way, and is no submission to {asked.name}: name another --out")
            from fcn.predict import Predictor  # only now, for it takes seconds: the arguments were right
            from fcn.stages.device import chosen_device

            predictor = Predictor.load(net, device=chosen_device(), plain=wants_it_plain())
            print(printable(f"{pictures.shown(net)}: {nets.learned(predictor.provenance, profiles)}"), file=sys.stderr)
            finished.parent.mkdir(parents=True, exist_ok=True)
            submission.write(finished, _answers(predictor, asked), asked=asked)
        wrong = submission.faults(finished, Path(scratch), asked=asked)
    for fault in wrong:
        print(f"error: {printable(fault)}", file=sys.stderr)
    if wrong:
        raise InputError(f"{finished} is not what the server of {asked.name} takes: faults: {len(wrong)}")
    print(f"{finished}: read back without a fault, {len(asked.pictures):,} pictures of {asked.name} for {asked.folder}")


def _answers(predictor: "Predictor", asked: Challenge) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Each picture's class indices. Raises InputError for a net that tells other classes apart than VOC's."""
    from fcn.predict import pixels

    target = next((name for name, target in predictor.targets.items() if target.classes == voc.CLASSES), None)
    if target is None:
        raise InputError(f"the net's classes are not VOC's {len(voc.CLASSES)}, {', '.join(voc.CLASSES[:3])} and so on")
    ids = {picture: image_id for image_id, picture in asked.pictures.items()}
    read = tqdm(ahead(pixels, ids), desc="submit", unit="picture", total=len(ids), disable=not sys.stderr.isatty())
    for picture, image in read:
        yield ids[picture], predictor.answers(image())[target].label
