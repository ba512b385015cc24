"""What brings pictures and labels to a net and counts its answers, beside the peers: rows of benchmarks/speed.py."""

import importlib
import io
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import scipy.io
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from benchmarks import peers
from benchmarks.pairs import Row, measure, rate
from fcn.datasets import labels
from fcn.datasets.facts import Facts
from fcn.datasets.formats import sbd, voc
from fcn.datasets.labels import VOID
from fcn.datasets.samples import Samples
from fcn.nets.preprocessing import preset
from fcn.scoring.histogram import histogram

CLASSES = len(voc.CLASSES)
PICTURES = 24
SIZE = (375, 500)
SBD = "VOC/benchmark_RELEASE/dataset"  # where torchfcn looks for it
Label = NDArray[np.uint8]


def rows(folder: Path | None) -> Iterator[Row]:
    """Histograms, samples and labels: of the real VOC and SBD in `folder`, or of generated pictures of their size."""
    with TemporaryDirectory() as temporary:
        root = Path(temporary)
        _sbd(root / SBD, folder)
        ids = sbd.ids({"sbd": root / SBD})
        originals = [sbd.read({"sbd": root / SBD}, image_id) for image_id in ids]
        truths = [original.labels["semantic"] for original in originals]
        yield from _histograms([(_with_void(truth), _answer(truth, seed)) for seed, truth in enumerate(truths)])
        yield rate(
            "SBD labels, .mat to PNG",
            lambda: _converted(root / SBD, ids, root / "label.png"),
            count=len(ids),
            unit="labels",
            target=1500,
        )
        yield from _samples(root, ids)


def _histograms(pairs: list[tuple[Label, Label]]) -> Iterator[Row]:
    def counted(count: Callable[[Label, Label], Any]) -> list[Any]:
        return [count(truth, answer) for truth, answer in pairs]

    def ours() -> list[Any]:
        return counted(lambda truth, answer: histogram(truth, answer, classes=CLASSES))

    every: dict[str, tuple[float, Callable[[Label, Label], Any]]] = {
        "the reference release": (3, _reference),
        "torchvision's references": (10, _torchvision),
    }
    name = "torchmetrics"
    try:
        confusion = importlib.import_module("torchmetrics.functional.classification").multiclass_confusion_matrix
        every[name] = (25, lambda truth, answer: _torchmetrics(confusion, truth, answer))
    except ImportError as error:
        yield Row(benchmark="confusion matrix", peer=name, target=25, missing=f"it isn't installed ({error})")
    for peer, (target, count) in every.items():
        row = measure("confusion matrix", ours, lambda count=count: counted(count), peer_name=peer, target=target)  # type: ignore[misc]  # mypy knows no defaults of a lambda
        equal = all(np.array_equal(one, np.asarray(other)) for one, other in zip(ours(), counted(count), strict=True))
        yield replace(row, equality="every count" if equal else "counts differ", equal=equal)


def _reference(truth: Label, answer: Label) -> Any:
    """`fast_hist` of the release's score.py, on what it is called with."""
    a, b = truth.flatten(), answer.flatten()
    k = (a >= 0) & (a < CLASSES)
    return np.bincount(CLASSES * a[k].astype(int) + b[k], minlength=CLASSES**2).reshape(CLASSES, CLASSES)


def _torchvision(truth: Label, answer: Label) -> Any:
    """ConfusionMatrix.update of references/segmentation/utils.py."""
    a, b = (torch.from_numpy(each).to(torch.int64).flatten() for each in (truth, answer))
    k = (a >= 0) & (a < CLASSES)
    inds = CLASSES * a[k].to(torch.int64) + b[k]
    return torch.bincount(inds, minlength=CLASSES**2).reshape(CLASSES, CLASSES)


def _torchmetrics(confusion: Callable[..., Any], truth: Label, answer: Label) -> Any:
    a, b = (torch.from_numpy(each).to(torch.int64) for each in (truth, answer))
    return confusion(b, a, num_classes=CLASSES, ignore_index=VOID)


def _samples(root: Path, ids: list[str]) -> Iterator[Row]:
    """The peer's sample is float32 and int64; ours the bytes that a device makes that of, or made that here."""
    try:
        peer = peers.torchfcn("datasets.voc").SBDClassSeg(str(root), split="train", transform=True)
    except ImportError as error:
        yield Row(benchmark="sample loading", peer="torchfcn", missing=f"torchfcn isn't installed ({error})")
        return
    _converted_dataset(root / SBD, ids, root / "ours")
    plain, cached = (Samples(root / "ours", ids, cache_bytes=room) for room in (0, 1 << 30))
    prepare = preset("caffe")

    def theirs() -> None:
        for at in range(len(ids)):
            peer[at]

    def decoded(samples: Samples) -> Callable[[], object]:
        return lambda: [samples.read(image_id) for image_id in ids] and None

    def prepared(samples: Samples) -> None:
        for image_id in ids:
            sample = samples.read(image_id)
            prepare(sample.inputs["rgb"]), sample.labels["semantic"].astype(np.int64)

    image, truth = peer[0]
    sample = plain.read(ids[0])
    close = bool((prepare(sample.inputs["rgb"]) - image).abs().max() < 1e-4)
    same = close and np.array_equal(sample.labels["semantic"], np.where(truth < 0, VOID, truth))
    equality = "pictures to 1e-4, labels all" if same else "samples differ"
    works: dict[str, tuple[Callable[[], object], float | None]] = {
        "sample loading, decoding, bytes": (decoded(plain), 5),
        "sample loading, cached, bytes": (decoded(cached), 80),
        "sample loading, decoding, normalised here": (lambda: prepared(plain), None),
        "sample loading, cached, normalised here": (lambda: prepared(cached), None),
    }
    for name, (work, target) in works.items():
        row = measure(name, work, theirs, peer_name="torchfcn's SBDClassSeg", target=target)
        yield replace(row, equality=equality, equal=same)


def _converted(folder: Path, ids: list[str], out: Path) -> None:
    for image_id in ids:
        labels.write(sbd.read({"sbd": folder}, image_id).labels["semantic"], path=out)


def _converted_dataset(folder: Path, ids: list[str], out: Path) -> None:
    for name in ("rgb", "semantic"):
        (out / name).mkdir(parents=True)
    for image_id in ids:
        shutil.copyfile(folder / "img" / f"{image_id}.jpg", out / "rgb" / f"{image_id}.jpg")
        _converted(folder, [image_id], out / "semantic" / f"{image_id}.png")
    facts = Facts(format="sbd", generated=False, inputs=sbd.INPUTS, targets=sbd.TARGETS, images=len(ids), sha256="")
    (out / "dataset.json").write_text(json.dumps(facts.as_json()), encoding="utf-8")


def _sbd(out: Path, folder: Path | None) -> None:
    """Some pictures in SBD's layout: real ones, evenly out of all, or generated."""
    for name in ("img", "cls"):
        (out / name).mkdir(parents=True)
    if folder is None:
        ids = [f"2008_{index:06}" for index in range(PICTURES)]
        for index, image_id in enumerate(ids):
            _generated(out, image_id, np.random.default_rng(index))
    else:
        (origin,) = folder.rglob("benchmark_RELEASE/dataset")
        every = sbd.ids({"sbd": origin})
        ids = every[:: max(1, len(every) // PICTURES)][:PICTURES]
        for image_id in ids:
            shutil.copyfile(origin / "img" / f"{image_id}.jpg", out / "img" / f"{image_id}.jpg")
            shutil.copyfile(origin / "cls" / f"{image_id}.mat", out / "cls" / f"{image_id}.mat")
    for name in ("train", "val"):
        (out / f"{name}.txt").write_text("".join(f"{image_id}\n" for image_id in ids), encoding="utf-8")


def _generated(out: Path, image_id: str, random: np.random.Generator) -> None:
    """Ellipses of some classes, and a picture with a colour for each, light that changes slowly, and grain."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    label = np.zeros(SIZE, np.uint8)
    for _ in range(4):
        y, x, high, wide = random.uniform((0, 0, 30, 30), (*SIZE, 140, 180))
        label[((rows - y) / high) ** 2 + ((columns - x) / wide) ** 2 < 1] = random.integers(1, CLASSES)
    light = np.asarray(Image.fromarray(random.integers(0, 255, (12, 16), dtype=np.uint8)).resize(SIZE[::-1]), float)
    picture = labels.palette()[label] * 0.6 + light[:, :, None] * 0.3 + random.normal(20, 12, (*SIZE, 3))
    image = Image.fromarray(picture.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.7))
    image.save(out / "img" / f"{image_id}.jpg", quality=90)
    file: Any = io.BytesIO()  # which scipy can write to, though its stubs know paths only
    found = {"Segmentation": label, "CategoriesPresent": np.unique(label[label > 0])}
    scipy.io.savemat(file, {"GTcls": found}, do_compression=True)
    (out / "cls" / f"{image_id}.mat").write_bytes(file.getvalue())


def _with_void(label: Label) -> Label:
    """With void where classes meet, as VOC has it."""
    edge = np.zeros(label.shape, bool)
    edge[:, 1:] |= label[:, 1:] != label[:, :-1]
    edge[1:] |= label[1:] != label[:-1]
    wide = np.asarray(Image.fromarray(edge).convert("L").filter(ImageFilter.MaxFilter(5))) > 0
    return np.where(wide, np.uint8(VOID), label)


def _answer(label: Label, seed: int) -> Label:
    """As a net may answer: everything some pixels aside, and some regions of another class."""
    random = np.random.default_rng(seed)
    found = np.roll(label, (3, 5), (0, 1))
    for y, x, other in random.integers(0, (*label.shape, CLASSES), (6, 3)):
        found[y : y + 40, x : x + 60] = other
    return found
