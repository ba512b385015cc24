"""A net's answers are counted the same wherever they are, one picture at a time or several."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from numpy.typing import NDArray

from fcn.datasets.labels import VOID
from fcn.scoring.answers import counted_there, histograms
from fcn.scoring.histogram import histogram
from tests.scoring.test_histogram import labelled
from tests.training import pictures

CPU = torch.device("cpu")
HEADS = {"semantic": pictures.CLASSES, "geometric": 3}


@given(labelled())
def test_a_device_counts_what_a_cpu_counts(case: tuple[NDArray[np.uint8], NDArray[np.uint8], int]) -> None:
    """Whatever is void, of any number of classes, two pictures at once: the sum of their histograms."""
    truth, predicted, classes = case
    both = [torch.from_numpy(np.stack([each, each[::-1]])) for each in (truth, predicted)]
    found = counted_there(*both, classes=classes)
    assert found.dtype == torch.int64
    assert (found.numpy() == 2 * histogram(truth, predicted, classes=classes)).all()


def test_what_is_said_of_void_does_not_matter() -> None:
    """A prediction out of range where the truth is void is no error and counts nowhere."""
    truth, predicted = torch.tensor([[[0, VOID]]], dtype=torch.uint8), torch.tensor([[[1, 250]]], dtype=torch.uint8)
    assert counted_there(truth, predicted, classes=2).tolist() == [[0, 1], [0, 0]]


@pytest.mark.parametrize(("is_", "said"), [(2, 0), (0, 2), (77, 1), (254, 0), (1, 255)])
def test_a_class_that_there_is_not_is_refused(is_: int, said: int) -> None:
    """A class index beyond the count is refused by its number, in truth and in prediction, and so is another size."""
    truth, predicted = (
        torch.tensor([[[0, value, void]]], dtype=torch.uint8) for value, void in ((is_, VOID), (said, 200))
    )
    with pytest.raises(ValueError, match=f"class index of {max(is_, said)} with 2 classes"):
        counted_there(truth, predicted, classes=2)
    with pytest.raises(ValueError, match=r"truth is \(1, 1, 3\), prediction \(1, 1, 1\)"):
        counted_there(truth, predicted[:, :, :1], classes=2)


def test_pictures_at_once_are_counted_as_one_by_one(tmp_path: Path) -> None:
    """Of several sizes and two heads, all pixels but for ties in a thousand are in the same places."""
    samples = pictures.write(tmp_path, [(32, 48), (40, 32), (32, 48), (33, 48), (40, 32), (32, 48)], heads=HEADS)
    net, read = pictures.net(heads=HEADS).on(CPU).eval(), [samples.read(image_id) for image_id in samples.ids]
    one, several = (
        histograms(net, read, preprocessing={"rgb": pictures.SCALED}, device=CPU, at_once_px=pixels)
        for pixels in (None, 2 * 40 * 48)
    )
    for target, classes in HEADS.items():
        by_hand = sum(
            histogram(
                sample.labels[target],
                net.predict({"rgb": pictures.SCALED(sample.inputs["rgb"])[None]})[target][0].numpy(),
                classes=classes,
            )
            for sample in read
        )
        assert (one[target] == by_hand).all()
        assert one[target].sum() == several[target].sum() == 3 * 32 * 48 + 2 * 40 * 32 + 33 * 48
        assert np.abs(one[target] - several[target]).sum() <= 2e-3 * one[target].sum()
