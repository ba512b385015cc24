"""Damaged files by the thousand for every reader of people's files: `python -m tests.fuzz [--count N] [FORMAT ...]`.

It is no part of `make test`. Each file is a whole one of its format with some bytes changed, cut out or doubled, by a
seed that is printed where it ends in anything but an array or an error for people; `--seed N` tries that file alone.
"""

import argparse
import faulthandler
import io
import multiprocessing
import sys
import tempfile
import traceback
import warnings
import zlib
from collections.abc import Callable, Mapping, MutableSequence, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from pydantic import TypeAdapter

from fcn.datasets import archive, labels, mat, mat73, modes
from fcn.datasets.formats import context59, folder, siftflow
from fcn.entries import Dataset
from fcn.errors import InputError, StageFailure
from fcn.nets import checkpoint, torch_file
from fcn.nets.pretrained import caffemodel, keras
from tests.data import rooms, tiny
from tests.weights import test_caffemodel
from tests.weights.test_caffe_file import caffemodel as caffe_bytes
from tests.weights.test_checkpoint import saved
from tests.weights.test_keras import TINY, arrays, written
from tests.weights.test_torch_file import torch_bytes

HANG_S = 60.0
MOST_CRASHES = 20
READ, REFUSED, TRACEBACK, CRASH, AT = range(5)  # how many ended so, and the seed that is being tried


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """Whole files to begin with, and the reader, which is handed the path of a changed one.

    `mend` makes checksums right again in every second file, so that its damage gets further than to them.
    """

    whole: Callable[[], list[bytes]]
    read: Callable[[Path], object]
    mend: Callable[[bytes], bytes] = bytes


def pictures(kind: str, modes_: str = "RGB L") -> list[bytes]:
    """Small pictures of these modes."""
    noise = np.random.default_rng(0).integers(0, 256, (9, 12, 4), np.uint8)
    found = []
    for mode in modes_.split():
        out = io.BytesIO()
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.fromarray(noise, "RGBA").convert(mode).save(out, kind, **({"exif": exif} if kind == "JPEG" else {}))
        found.append(out.getvalue())
    return found


def packed(suffix: str) -> list[bytes]:
    """Archives of the datasets in miniature."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"a{suffix}")
        members = [tiny.voc(["a"], ["b"]), tiny.sbd(["a"], ["b"]), tiny.siftflow(["a"], ["b"])]
        return [tiny.pack(path, each).read_bytes() for each in members]


def extracted(path: Path) -> None:
    """Take an archive apart in a folder that goes again."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        archive.extract([path], Path(folder), wanted=list)


def colour_label(path: Path) -> object:
    """As labels of VOC are read."""
    return labels.read(path, colours=labels.palette()[:21].tolist())


def picture(path: Path) -> object:
    """As training, scoring, figures, predict and MLflow's model read pictures."""
    with modes.opened(path) as image:
        return modes.rgb(image)


def mats() -> list[bytes]:
    """Labels of SBD, as they come and without compression."""
    label = tiny.label("2008_000004", void=False)
    return [tiny.mat(label, compressed=compressed) for compressed in (True, False)]


def rooms_mat() -> list[bytes]:
    """NYUDv2's .mat of version 7.3, with pictures of 3 x 4 pixels."""
    with tempfile.TemporaryDirectory() as folder:
        return [rooms.labelled(Path(folder, "rooms.mat"), rooms.arrays(times=160), named=2).read_bytes()]


def room(path: Path) -> object:
    """All variables of a picture, as NYUDv2 is read."""
    types = {"images": np.uint8, "depths": np.float32, "rawDepths": np.float32, "labels": np.uint16}
    sizes = {name: (3, 4, 3) if name == "images" else (3, 4) for name in types}
    return [mat73.picture(path, name, 3, dtype=dtype, size=sizes[name]) for name, dtype in types.items()]


def changed_file(
    read: Callable[..., object], members: Mapping[str, bytes], name: str, *, mend: Callable[[bytes], bytes] = bytes
) -> Format:
    """Of a dataset in a folder one file is changed, and then a picture read that needs it."""

    def spoilt(path: Path) -> object:
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            tiny.unpack(Path(folder), {**members, name: path.read_bytes()})
            return read({"mine": Path(folder)}, "a")

    return Format(whole=lambda: [members[name]], read=spoilt, mend=mend)


def nets() -> list[bytes]:
    """A trained net, in the project's own format."""
    with tempfile.TemporaryDirectory() as folder:
        return [saved(Path(folder, "net.pt")).read_bytes()]


def state_dicts() -> list[bytes]:
    """Tensors by name, in torch's format and in that before torch 1.6."""
    state = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2).half()}
    return [torch_bytes({"epoch": 3, "state_dict": state}, zipped=zipped) for zipped in (True, False)]


def keras_files() -> list[bytes]:
    """A narrow VGG16 as Keras keeps it."""
    with tempfile.TemporaryDirectory() as folder:
        return [written(Path(folder, "vgg16.h5"), arrays()).read_bytes()]


def caffe_files() -> list[bytes]:
    """A narrow VGG16 as Caffe keeps it, in its two forms."""
    layers = test_caffemodel.classifier(test_caffemodel.VGG16)
    return [caffe_bytes(layers, v1=old, legacy=old) for old in (False, True)]


def right_zip(content: bytes) -> bytes:
    """With the right checksum for every member that is stored as it is, wherever the directory says that it lies."""
    found = bytearray(content)
    at = found.find(b"PK\1\2")
    while at >= 0:
        size, start = (int.from_bytes(found[at + field : at + field + 4], "little") for field in (20, 42))
        begin = (
            start + 30 + sum(int.from_bytes(found[start + field : start + field + 2], "little") for field in (26, 28))
        )
        found[at + 16 : at + 20] = zlib.crc32(found[begin : begin + size]).to_bytes(4, "little")
        at = found.find(b"PK\1\2", at + 46)
    return bytes(found)


def right_png(content: bytes) -> bytes:
    """With the right checksum behind every chunk."""
    found, at = bytearray(content), 8
    while at + 12 <= len(found):
        end = at + 8 + int.from_bytes(found[at : at + 4], "big")
        if end + 4 > len(found):
            break
        found[end : end + 4] = zlib.crc32(found[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return bytes(found)


def right_tar(content: bytes) -> bytes:
    """With the right checksum in every header, wherever one still stands."""
    found = bytearray(content)
    for at in range(0, len(found) - 511, 512):
        if found[at + 257 : at + 262] == b"ustar":
            found[at + 148 : at + 156] = b" " * 8
            found[at + 148 : at + 156] = b"%06o\0 " % sum(found[at : at + 512])
    return bytes(found)


SIFTFLOW = tiny.siftflow(["a"], [])
NAMES = enumerate([*context59.CLASSES, *"abcdefghijklmnopqrstuvwxyz"], 1)  # of the letters none is missed
CONTEXT = tiny.context(["a"], [], names="".join(f"{number}: {name}\n" for number, name in NAMES).encode())
COLOURS = {f"class {index}": labels.palette()[index].tolist() for index in (0, 18)}  # those of the label of "a"
OWN = TypeAdapter(Dataset).validate_python({"format": "folder", "from": "mine", "classes": COLOURS})
OWN_FILES = {"pictures/a.jpg": tiny.jpeg(), "labels/a.png": tiny.png(tiny.label("a", void=False))}

FORMATS: Mapping[str, Format] = {
    "mat": Format(whole=mats, read=lambda path: mat.array(path.read_bytes(), "GTcls.Segmentation")),
    "mat73": Format(whole=rooms_mat, read=room),
    "siftflow": changed_file(siftflow.read, SIFTFLOW, f"GeoLabels/{tiny.SCENES}/a.mat"),
    "context": changed_file(context59.read, CONTEXT, "trainval/a.mat"),
    "names": changed_file(context59.read, CONTEXT, "labels.txt"),
    "colours": changed_file(folder.of(OWN).read, OWN_FILES, "labels/a.png", mend=right_png),
    "label.png": Format(whole=lambda: [tiny.png(tiny.label("a", void=True))], read=colour_label, mend=right_png),
    "png": Format(whole=lambda: pictures("PNG", "RGB L RGBA P I;16 1 LA"), read=picture, mend=right_png),
    "jpeg": Format(whole=lambda: pictures("JPEG", "RGB L CMYK"), read=picture),
    "gif": Format(whole=lambda: pictures("GIF", "P L"), read=picture),
    "tiff": Format(whole=lambda: pictures("TIFF", "RGB L F I;16 CMYK"), read=picture),
    "bmp": Format(whole=lambda: pictures("BMP"), read=picture),
    "webp": Format(whole=lambda: pictures("WEBP", "RGB RGBA"), read=picture),
    "tar": Format(whole=lambda: packed(".tar"), read=extracted, mend=right_tar),
    "tgz": Format(whole=lambda: packed(".tgz"), read=extracted),
    "zip": Format(whole=lambda: packed(".zip"), read=extracted),
    "net": Format(whole=nets, read=checkpoint.load, mend=right_zip),
    "torch": Format(whole=state_dicts, read=torch_file.state_dict, mend=right_zip),
    "h5": Format(whole=keras_files, read=lambda path: keras.load(path, backbone=TINY)),
    "caffemodel": Format(whole=caffe_files, read=lambda path: caffemodel.load(path, backbone=test_caffemodel.VGG16)),
}


def changed(whole: Sequence[bytes], seed: int) -> bytes:
    """One of the files after one to eight changes: bytes, sizes, stretches cut out or doubled, the end cut off."""
    random = np.random.default_rng(seed)
    content = bytearray(whole[seed % len(whole)])
    for _ in range(int(random.integers(1, 9))):
        at, length = int(random.integers(len(content) + 1)), int(random.integers(1, 33))
        match int(random.integers(12)):
            case 0:
                del content[at : at + length]
            case 1:
                content[at:at] = content[at : at + length]
            case 2:
                del content[max(at, 1) :]
            case 3 | 4 | 5:
                value = int(random.choice([0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF]))
                content[at : at + 4] = value.to_bytes(4, "little" if random.random() < 0.5 else "big")
            case _:
                content[at : at + 1] = random.bytes(1)
    return bytes(content)


def tried(name: str, whole: Sequence[bytes], last: int, state: MutableSequence[int]) -> None:
    """Read the changed files of all seeds to the last, and count how each ended."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"changed.{name}")
        while state[AT] < last:
            content = changed(whole, state[AT])
            path.write_bytes(FORMATS[name].mend(content) if state[AT] // len(whole) % 2 else content)
            faulthandler.dump_traceback_later(HANG_S, exit=True)
            try:
                FORMATS[name].read(path)
            except (InputError, StageFailure) as error:
                end = REFUSED if str(error).isprintable() else TRACEBACK
                if end == TRACEBACK:
                    print(f"{name}, seed {state[AT]}: not a line: {str(error)!r}", file=sys.stderr)
            except Exception:
                end = TRACEBACK
                print(f"{name}, seed {state[AT]}:\n{traceback.format_exc()}", file=sys.stderr)
            else:
                end = READ
            state[end] += 1
            state[AT] += 1
    faulthandler.cancel_dump_traceback_later()


def main() -> int:
    """Try the formats in processes of their own, and print a row each; 1 where anything ended badly."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("formats", nargs="*", metavar="FORMAT", help=f"of {', '.join(FORMATS)}; all without one")
    parser.add_argument("--count", type=int, default=1000, help="changed files of each format")
    parser.add_argument("--seed", type=int, default=0, help="of the first of them")
    options = parser.parse_args()
    own = multiprocessing.get_context("fork")
    bad = 0
    print(f"{'format':10} {'read':>8} {'refused':>8} {'traceback':>9} {'crash, hang':>11}", flush=True)
    for name in options.formats or FORMATS:
        state = own.Array("q", [0, 0, 0, 0, options.seed], lock=False)
        whole, last = FORMATS[name].whole(), options.seed + options.count
        while state[AT] < last and state[CRASH] < MOST_CRASHES:
            child = own.Process(target=tried, args=(name, whole, last, state))
            child.start()
            child.join()
            if child.exitcode:
                print(f"{name}, seed {state[AT]}: the process ended with {child.exitcode}", file=sys.stderr)
                state[CRASH] += 1
                state[AT] += 1
        print(f"{name:10} {state[READ]:8,} {state[REFUSED]:8,} {state[TRACEBACK]:9,} {state[CRASH]:11,}", flush=True)
        bad += state[TRACEBACK] + state[CRASH]
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
