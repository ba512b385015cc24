"""Batches are a pure function of (seed, draw), and labels stay on their pixels whatever is done to the image."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fcn.datasets.labels import VOID, write
from fcn.datasets.samples import Samples
from fcn.training.batches import Batch, Batches
from tests.training import pictures

ROOT = Path(__file__).resolve().parents[2]
SIZES = [(24, 40), (30, 20), (17, 33), (40, 40)]
ALL: dict[str, Any] = {"mirror": True, "jitter": 5, "crop": 21}


@pytest.fixture
def samples(tmp_path: Path) -> Samples:
    """Four pictures of different sizes."""
    return pictures.write(tmp_path, SIZES)


def equal(one: Batch, other: Batch) -> bool:
    """Inputs and labels, name by name."""
    return all(
        list(left) == list(right) and all(torch.equal(left[name], right[name]) for name in left)
        for left, right in zip(one, other, strict=True)
    )


def assert_aligned(made: Batches, draw: int) -> None:
    """Every pixel has its label's colour, and void is exactly where there is no image."""
    images, labels = pictures.drawn(made, draw)
    for image, label in zip(images.numpy(), labels.numpy(), strict=True):
        valid = label != VOID
        assert valid.any()
        assert np.array_equal(image[:, valid], pictures.colour(label)[:, valid])
        assert not image[:, ~valid].any()


def test_a_batch_depends_on_seed_and_draw_alone(samples: Samples) -> None:
    """The same draw gives the same batch, in any order and in new objects; another draw or seed gives another."""
    made = pictures.batches(samples, **ALL)
    forward = [made[draw] for draw in range(6)]
    torch.manual_seed(7)
    np.random.default_rng(7)
    again = pictures.batches(samples, **ALL)
    assert all(equal(again[draw], forward[draw]) for draw in reversed(range(6)))
    assert not any(equal(forward[0], forward[draw]) for draw in range(1, 6))
    assert not equal(pictures.batches(samples, seed=1, **ALL)[0], forward[0])


@pytest.mark.parametrize("settings", [{}, ALL], ids=str)
def test_what_is_kept_changes_no_batch(samples: Samples, settings: dict[str, Any]) -> None:
    """With a cache that holds every picture, or some, or none, all batches are the same to the bit."""
    for bound in (0, 5000, 1 << 20):
        kept = pictures.batches(Samples(samples.folder, samples.ids, cache_bytes=bound), **settings)
        made = pictures.batches(samples, **settings)
        assert all(equal(kept[draw], made[draw]) for draw in range(12))


@pytest.mark.parametrize("workers", [0, 2])
def test_other_processes_draw_the_same(samples: Samples, tmp_path: Path, workers: int) -> None:
    """In another Python process, in itself or in two loader processes of its own, batches are the same to the bit.

    A process of its own as the trainer's is: what tests beside this one leave in theirs (threads, hooks at its end)
    breaks a process that is forked from it.
    """
    program = (
        "import sys, torch; from pathlib import Path; from tests.training import pictures\n"
        "from fcn.datasets.samples import Samples; folder = Path(sys.argv[1])\n"
        "made = pictures.batches(Samples(folder, list('0123')), mirror=True, jitter=5, crop=21)\n"
        "settings = {'batch_size': None, 'sampler': range(3, 9), 'num_workers': int(sys.argv[2])}\n"
        "drawn = list(torch.utils.data.DataLoader(made, **settings)); torch.save(drawn, folder / 'drawn.pt')\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path), str(workers)], cwd=ROOT, check=True)
    made = pictures.batches(samples, **ALL)
    for draw, batch in zip(range(3, 9), torch.load(tmp_path / "drawn.pt", weights_only=True), strict=True):
        assert equal(batch, made[draw])


@pytest.mark.parametrize(
    "settings", [{"mirror": True}, {"jitter": 9}, {"crop": 16}, {"crop": 48}, ALL], ids=lambda settings: str(settings)
)
def test_labels_stay_on_their_pixels(samples: Samples, settings: dict[str, Any]) -> None:
    """Mirroring, jitter and crops, smaller or larger than the image, move image and label together; outside is void."""
    made = pictures.batches(samples, preprocessing=pictures.AS_IS, **settings)
    for draw in range(20):
        assert_aligned(made, draw)


def test_augmentation_does_what_it_says(tmp_path: Path) -> None:
    """Of one picture, mirroring shows both sides about as often; jitter moves it by at most its number, each way."""
    samples = pictures.write(tmp_path, [(24, 40)])
    label = torch.from_numpy(samples.read_label("0", "semantic"))
    mirrored = pictures.batches(samples, batch=1, mirror=True)
    flipped = [torch.equal(pictures.drawn(mirrored, draw)[1][0], label.flip(1)) for draw in range(60)]
    plain = [torch.equal(pictures.drawn(mirrored, draw)[1][0], label) for draw in range(60)]
    assert all(one != other for one, other in zip(flipped, plain, strict=True))
    assert 15 < sum(flipped) < 45
    jittered = pictures.batches(samples, batch=1, jitter=2)
    void_rows, void_columns = set(), set()
    for draw in range(60):
        valid = pictures.drawn(jittered, draw)[1][0] != VOID
        rows, columns = valid.any(1).nonzero(), valid.any(0).nonzero()
        void_rows.add((int(rows[0]), 23 - int(rows[-1])))
        void_columns.add((int(columns[0]), 39 - int(columns[-1])))
    shifts = {(0, 2), (0, 1), (0, 0), (1, 0), (2, 0)}
    assert void_rows == shifts
    assert void_columns == shifts


def test_crops_reach_every_place(tmp_path: Path) -> None:
    """Crops lie wholly inside of a larger image, and reach its first and its last row and column."""
    samples = pictures.write(tmp_path, [(10, 12)])
    made = pictures.batches(samples, batch=1, crop=8, preprocessing=pictures.AS_IS)
    label = torch.from_numpy(samples.read_label("0", "semantic"))
    windows = {(top, left): label[top : top + 8, left : left + 8] for top in range(3) for left in range(5)}
    seen = set()
    for draw in range(150):
        crop = pictures.drawn(made, draw)[1][0]
        assert crop.shape == (8, 8)
        places = {place for place, window in windows.items() if torch.equal(window, crop)}
        assert places
        seen |= places
    assert seen == set(windows)


def test_different_sizes_share_a_canvas(samples: Samples) -> None:
    """Images of different sizes lie at the top left of a canvas that just holds them all, with mean colour and void."""
    made = pictures.batches(samples, preprocessing=pictures.AS_IS, batch=3)
    every = [samples.read_input(image_id, "rgb") for image_id in samples.ids]
    whole = {image.shape[:2]: image for image in every}
    seen = set()
    for draw in range(12):
        images, labels = pictures.drawn(made, draw)
        shapes = []
        for image, label in zip(images, labels, strict=True):
            valid = label != VOID
            height, width = int(valid.any(1).sum()), int(valid.any(0).sum())
            assert valid[:height, :width].all()
            assert np.array_equal(image[:, :height, :width].numpy().transpose(1, 2, 0), whole[height, width])
            assert not image[:, height:].any()
            assert not image[:, :, width:].any()
            shapes.append((height, width))
        assert images.shape[2:] == (max(h for h, _ in shapes), max(w for _, w in shapes))
        seen |= set(shapes)
    assert seen == set(SIZES)


def test_void_of_the_label_stays_void(tmp_path: Path) -> None:
    """Pixels that the label calls void are void in the batch, and the image is kept under them."""
    samples = pictures.write(tmp_path, [(8, 8)])
    label = samples.read_label("0", "semantic")
    label[2:4, 3:6] = VOID
    write(label, path=tmp_path / "semantic" / "0.png")
    images, truth = pictures.drawn(pictures.batches(samples, batch=1, preprocessing=pictures.AS_IS), 0)
    assert torch.equal(truth[0], torch.from_numpy(label))
    assert np.array_equal(images[0].numpy().transpose(1, 2, 0), samples.read_input("0", "rgb"))


def test_all_labels_of_a_picture_move_together(tmp_path: Path) -> None:
    """Where a picture has two labels, both are mirrored, shifted and cropped as it is."""
    samples = pictures.write(tmp_path, SIZES, heads={"semantic": 5, "geometric": 3})
    made = pictures.batches(samples, preprocessing=pictures.AS_IS, **ALL)
    for draw in range(10):
        assert_aligned(made, draw)
        _, labels = made[draw]
        valid = labels["semantic"] != VOID
        assert torch.equal(labels["geometric"][valid], labels["semantic"][valid] % 3)
        assert bool((labels["geometric"][~valid] == VOID).all())
