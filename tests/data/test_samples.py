"""The one reader of pictures and labels: the stored pixels, whatever a file says beside them."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcn.datasets import audit, labels, modes
from fcn.datasets.facts import Facts, Target
from fcn.datasets.sample.scenes import scene
from fcn.datasets.samples import Samples
from fcn.errors import InputError
from fcn.files import write_json

ORIENTATION = 0x0112  # EXIF


def dataset(folder: Path, **inputs: int) -> Path:
    """An empty dataset with these channels by input."""
    target = Target(classes=("background", "thing"), background=0, average="seen")
    facts = Facts(
        format="voc",
        generated=False,
        inputs=inputs or {"rgb": 3},
        targets={"semantic": target},
        images=0,
        sha256="",
    )
    for name in (*facts.inputs, *facts.targets):
        (folder / name).mkdir(parents=True)
    write_json(folder / "dataset.json", facts.as_json())
    return folder


def test_a_picture_is_what_pillow_converts(tmp_path: Path) -> None:
    """JPEGs of every quality, subsampling and mode that datasets have give the bits of Pillow's conversion to RGB."""
    folder = dataset(tmp_path / "data")
    ids = []
    for index in range(4):
        picture = Image.fromarray(scene(0, index).image)
        for quality, subsampling, progressive in ((75, 2, False), (92, 0, True), (30, 1, False)):
            for mode in ("RGB", "L"):
                ids.append(f"{index}-{quality}-{mode}")
                picture.convert(mode).save(
                    folder / "rgb" / f"{ids[-1]}.jpg", quality=quality, subsampling=subsampling, progressive=progressive
                )
    samples = Samples(folder, ids)
    assert len(samples) == len(ids) == 24
    for image_id in samples.ids:
        with Image.open(folder / "rgb" / f"{image_id}.jpg") as image:
            expected = np.array(image.convert("RGB"))
        found = samples.read_input(image_id, "rgb")
        assert found.dtype == np.uint8
        assert np.array_equal(found, expected)


def test_a_photo_is_turned_for_everybody(tmp_path: Path) -> None:
    """A photo that says it is turned is turned for training as for a person, and its label must have that shape."""
    folder = dataset(tmp_path / "data")
    picture = Image.fromarray(scene(0, 0).image)
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    picture.save(folder / "rgb" / "a.png", exif=exif)
    turned = np.rot90(scene(0, 0).image, -1)
    assert np.array_equal(Samples(folder, ["a"]).read_input("a", "rgb"), turned)
    assert audit.size(folder / "rgb" / "a.png") == turned.shape[:2]
    with Image.open(folder / "rgb" / "a.png") as image:
        assert np.array_equal(modes.rgb(image), turned)


def test_other_inputs_keep_their_values(tmp_path: Path) -> None:
    """An input of one channel is H W 1, and one of other numbers than bytes comes back as it was written."""
    folder = dataset(tmp_path / "data", grey=1, depth=1)
    grey = scene(0, 0).image[:, :, 0]
    depth = np.linspace(0.5, 9.5, grey.size, dtype=np.float32).reshape(*grey.shape, 1)
    Image.fromarray(grey).save(folder / "grey" / "a.png")
    np.save(folder / "depth" / "a.npy", depth)
    samples = Samples(folder, ["a"])
    assert np.array_equal(samples.read_input("a", "grey"), grey[:, :, None])
    assert np.array_equal(samples.read_input("a", "depth"), depth)


@pytest.mark.parametrize("room", [0, 1, 3, 4, 99])
def test_what_is_kept_stays_within_its_bytes(tmp_path: Path, room: int) -> None:
    """What fits into the cache is read once, even if its file goes, and can't be written to; the rest is read anew."""
    folder = dataset(tmp_path / "data")
    each = scene(0, 0).label.nbytes  # of a label, a third of its picture
    for index, image_id in enumerate("abc"):
        Image.fromarray(np.roll(scene(0, 0).image, index, 0)).save(folder / "rgb" / f"{image_id}.png")
        labels.write(np.roll(scene(0, 0).label, index, 0), path=folder / "semantic" / f"{image_id}.png")
    samples, plain = (Samples(folder, "abc", cache_bytes=bound) for bound in (room * each, 0))
    first = {image_id: plain.read(image_id) for image_id in samples.ids}
    for _ in range(2):
        for image_id in samples.ids:
            found = samples.read(image_id)
            assert np.array_equal(found.inputs["rgb"], first[image_id].inputs["rgb"])
            assert np.array_equal(found.labels["semantic"], first[image_id].labels["semantic"])
    for path in folder.glob("*/*.png"):
        path.unlink()
    kept = 0
    for read in (lambda one: samples.read_input(one, "rgb"), lambda one: samples.read_label(one, "semantic")):
        for image_id in samples.ids:
            try:
                values = read(image_id)
            except InputError:
                continue
            kept += values.nbytes
            with pytest.raises(ValueError, match="read-only"):
                values[:] = 0
    assert kept == min(room, 12) * each


def test_a_reader_travels_to_another_process(tmp_path: Path) -> None:
    """Loader processes get the reader with its list and its facts."""
    samples = Samples(dataset(tmp_path / "data"), ["b", "a"])
    copy = pickle.loads(pickle.dumps(samples))
    assert (copy.ids, copy.facts) == (("b", "a"), samples.facts)
    assert copy.facts.targets["semantic"].palette == ((0, 0, 0), (128, 0, 0))


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("rgb/a.jpg", None, "no picture 'a'"),
        ("rgb/a.jpg", b"no picture", "run `dvc repro`"),
        ("semantic/a.png", None, "no such label"),
        ("semantic/a.png", b"no label", "not a whole picture"),
        ("dataset.json", None, "dataset.json is missing; an earlier stage makes it"),
    ],
)
def test_what_is_missing_or_spoilt_is_named(tmp_path: Path, file: str, content: bytes | None, words: str) -> None:
    """A picture, a label or a dataset that isn't there or isn't whole is named, with its place."""
    folder = dataset(tmp_path / "data")
    Image.fromarray(scene(0, 0).image).save(folder / "rgb" / "a.jpg")
    labels.write(scene(0, 0).label, path=folder / "semantic" / "a.png")
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_bytes(content)
    with pytest.raises(InputError) as caught:
        Samples(folder, ["a"]).read("a")
    assert words in str(caught.value)
    assert str(folder) in str(caught.value)
