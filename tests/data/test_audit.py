"""What the audit holds of pictures and labels, and of all labels together."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fcn.datasets import audit
from fcn.datasets.audit import Audited
from fcn.datasets.facts import Target
from fcn.errors import InputError
from tests.data import tiny


def audited(folder: Path, values: NDArray[Any], *, image: bytes | None = None) -> NDArray[Any]:
    """Audit a label against an image."""
    path = folder / "a.jpg"
    path.write_bytes(tiny.jpeg() if image is None else image)
    size = audit.size(path)
    return audit.check(values.astype(np.uint8), name="2007_000001", size=size, picture=str(path), classes=21)


def test_the_audit_counts_pixels(tmp_path: Path) -> None:
    """A good label passes, and its pixels are counted by value."""
    pixels = audited(tmp_path, tiny.label("2007_000001", void=True))
    assert pixels.sum() == tiny.SIZE[0] * tiny.SIZE[1]
    assert pixels[255] == tiny.SIZE[1]


@pytest.mark.parametrize(("value", "count"), [(21, "1 pixel"), (77, "2 pixels"), (254, "1 pixel")])
def test_a_value_that_is_no_class_is_refused(tmp_path: Path, value: int, count: str) -> None:
    """One pixel with a value that is neither a class nor void is enough, and the message has it."""
    values = tiny.label("2007_000001", void=True)
    values[3, 3 : 3 + int(count[0])] = value
    words = rf"2007_000001: the label has the value {value} in {count}; allowed are 0\.\.20, and 255 for void"
    with pytest.raises(InputError, match=words):
        audited(tmp_path, values)


@pytest.mark.parametrize("size", [(9, 12), (12, 10), (24, 18)])
def test_a_label_of_another_size_is_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    """A label that has not its image's size is refused with both sizes; a turned one too."""
    words = f"2007_000001: the label has 12x9 pixels, its image .* {size[0]}x{size[1]}"
    with pytest.raises(InputError, match=words):
        audited(tmp_path, tiny.label("2007_000001", void=True), image=tiny.jpeg(size))


def test_a_label_of_a_photo_that_is_turned_lies_as_viewers_show_it(tmp_path: Path) -> None:
    """A photo that its EXIF turns has the turned size, and a label that isn't turned is told why it doesn't fit."""
    exif, out = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    Image.new("RGB", tiny.SIZE).save(out, "JPEG", exif=exif)
    label = tiny.label("2007_000001", void=True)
    assert audited(tmp_path, np.rot90(label, -1), image=out.getvalue()).sum() == label.size
    with pytest.raises(InputError, match="labels are never resized, nor turned, as a picture is by its EXIF"):
        audited(tmp_path, label, image=out.getvalue())


@pytest.mark.parametrize("keep", [0, 100, -40])
def test_a_cut_image_is_refused(tmp_path: Path, keep: int) -> None:
    """An image that is not whole fails the audit, not the training weeks later."""
    noise = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).save(out, "JPEG")
    with pytest.raises(InputError, match="not a whole picture"):
        audited(tmp_path, np.zeros((90, 120)), image=out.getvalue()[:keep])


@pytest.mark.parametrize("size", [(1, 1), (7, 3), (3, 200)])
def test_the_smallest_picture_has_a_size(tmp_path: Path, size: tuple[int, int]) -> None:
    """A picture of less than 8 pixels a side is one."""
    (tmp_path / "a.jpg").write_bytes(tiny.jpeg(size))
    assert audit.size(tmp_path / "a.jpg") == size[::-1]


def test_a_picture_of_several_is_refused(tmp_path: Path) -> None:
    """It can't be told to which frame of an animation a label belongs."""
    frames = [Image.new("RGB", tiny.SIZE, colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match=r"a\.png: it has 2 frames; save the one that the label belongs to"):
        audit.size(tmp_path / "a.png")


def judged(*labels: list[int], background: int | None = 0, **more: list[list[int]]) -> list[str]:
    """The doubts about labels of these pixels, of which 1 is "cat" and 2 "dog"."""
    target = Target(classes=("background", "cat", "dog"), background=background, average="seen")
    targets = {"semantic": list(labels), **more}
    audited = {
        f"id{number}": Audited(
            height=1,
            width=len(labels[number]),
            pixels={name: np.bincount(each[number], minlength=256) for name, each in targets.items()},
        )
        for number in range(len(labels))
    }
    return audit.judge(audited, targets=dict.fromkeys(targets, target))


@pytest.mark.parametrize(
    ("labels", "held"),
    [
        ([[0, 255], [0, 0]], "background and void"),
        ([[0, 0], [0, 0]], "background"),
        ([[255], [255]], "void"),
        ([[1, 1], [1, 1]], "cat"),
    ],
)
def test_labels_that_teach_nothing_are_refused(labels: list[list[int]], held: str) -> None:
    """Masks of 0 and 255, void alone, one class alone: any net would score 100 %; they are refused."""
    with pytest.raises(InputError) as caught:
        judged(*labels)
    assert f"all 2 labels together hold nothing but {held}, from which nothing can be learned" in str(caught.value)
    assert "0 is background, 2 is dog, and 255 is void, which never counts: write the pixels of" in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([[1, 2], [1, 1]], "no pixel is background; in a label 0 is background, 2 is dog, and 255 is void"),
        ([[0, 1], [255, 255], [2, 0], [2, 0]], "nothing but void is in 1 of 4 labels, such as id1; in a label 0 is"),
        ([[0, 1, 0, 0], [0, 255]], "nothing but background and void is in 1 of 2 labels, such as id1; in a label 0 is"),
        ([[0, 1], [0, 255, 255, 255, 255, 255, 1]], "56% of all pixels are void, in VOC 6 %; in a label 0 is"),
    ],
)
def test_labels_that_look_wrong_are_doubted(labels: list[list[int]], words: str) -> None:
    """What is probably a mistake, and may be none, is said, and the work goes on."""
    (doubt,) = judged(*labels)
    assert words in doubt


def test_good_labels_raise_no_doubt() -> None:
    """Objects on background with void or without it raise no doubt; nor does a set that has no background."""
    assert judged([0, 1, 1, 255], [0, 2], [0, 0]) == []
    assert judged([1, 2], [2, 1], background=None) == []
    (doubt,) = judged([0, 1], [0, 2], geometric=[[0, 1, 2], [255, 255]])
    assert doubt.startswith("geometric: nothing but void is in 1 of 2 labels, such as id1; in a label 0 is")


def test_a_picture_of_another_kind_is_named(tmp_path: Path) -> None:
    """Where a label's image is missing, but a file of its name is there, the message says to save that."""
    (tmp_path / "a [1].webp").write_bytes(b"RIFF")
    with pytest.raises(InputError, match=r"a \[1\].jpg: no such image; .*: save a \[1\].webp as one of these"):
        audit.size(tmp_path / "a [1].jpg")
    with pytest.raises(InputError, match=r"b.jpg: no such image; .*: the archive or folder is not whole"):
        audit.size(tmp_path / "b.jpg")
