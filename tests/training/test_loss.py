"""The loss equals its formula, void never counts, and cutting up a step changes nothing."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcn.datasets.labels import VOID
from fcn.entries import Recipe
from fcn.errors import InputError
from fcn.nets.fcn import FCN
from fcn.training import losses
from fcn.training.batches import Batch
from fcn.training.graphs import Graphs
from fcn.training.optimizer import sgd
from fcn.training.parallel import ALONE
from fcn.training.step import Step, autocast
from tests.training import pictures

CPU = torch.device("cpu")


def by_hand(scores: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Minus the log-softmax of each valid pixel's class, summed in a plain loop."""
    total = 0.0
    for image, label in zip(scores, labels, strict=True):
        for row, column in np.ndindex(label.shape):
            if label[row, column] != VOID:
                pixel = image[:, row, column]
                total += np.log(np.exp(pixel - pixel.max()).sum()) + pixel.max() - pixel[label[row, column]]
    return total


def drawn(*, void: float, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Scores 2 5 6 7, of which some are large, and labels with a share of void."""
    random = np.random.default_rng(seed)
    labels = random.integers(5, size=(2, 6, 7))
    labels[random.random(labels.shape) < void] = VOID
    return torch.from_numpy(random.normal(scale=20, size=(2, 5, 6, 7))), torch.from_numpy(labels)


@pytest.mark.parametrize("loss", ["mean", "sum"])
@pytest.mark.parametrize("void", [0.0, 0.3, 0.95])
def test_the_loss_is_the_sum_over_valid_pixels(loss: str, void: float) -> None:
    """The summed loss equals an independent log-softmax in numpy, whatever share of the pixels is void."""
    scores, labels = drawn(void=void)
    assert float(losses.load(loss).summed(scores, labels)) == pytest.approx(
        by_hand(scores.numpy(), labels.numpy()), rel=1e-12
    )


@pytest.mark.parametrize("loss", losses.names())
def test_void_has_no_gradient(loss: str) -> None:
    """The scores of void pixels get no gradient, those of all others do."""
    scores, labels = drawn(void=0.5)
    scores.requires_grad_()
    torch.autograd.backward(losses.load(loss).summed(scores, labels))
    assert scores.grad is not None
    void = (labels == VOID)[:, None].expand_as(scores)
    assert not scores.grad[void].any()
    assert scores.grad[~void].any()


@pytest.mark.parametrize("loss", losses.names())
def test_an_image_of_void_alone_gives_zero(loss: str) -> None:
    """Where every pixel is void, the loss and all gradients are 0, not NaN."""
    net, recipe = pictures.net(), pictures.recipe(loss=loss)
    images, labels = torch.rand(1, 3, 32, 32), torch.full((1, 32, 32), VOID)
    found, pixels, _ = gradients(net, [batch(images, labels)], recipe)
    assert (float(found), int(pixels)) == (0.0, 0)
    assert all(parameter.grad is not None and not parameter.grad.any() for parameter in trained(net))


def test_the_normaliser_is_pixels_or_images() -> None:
    """A mean is taken over the pass's valid pixels, never over less than one; a sum is divided by its images."""
    _, labels = drawn(void=0.3)
    mean, total = losses.load("mean"), losses.load("sum")
    assert int(mean.normaliser(labels)) == int((labels != VOID).sum())
    assert int(mean.normaliser(torch.full((3, 4, 4), VOID))) == 1
    assert total.normaliser(labels) == 2


def test_an_unknown_loss_lists_those_there_are() -> None:
    """The folder is the registry: a wrong name is answered with the modules in it."""
    with pytest.raises(InputError, match="loss 'hinge' is unknown; there are mean, sum"):
        losses.load("hinge")


def batch(images: Tensor, labels: Tensor) -> Batch:
    return {"rgb": images}, {"semantic": labels}


def trained(net: FCN) -> list[torch.nn.Parameter]:
    return [parameter for parameter in net.parameters() if parameter.requires_grad]


def gradients(net: FCN, passes: list[Batch], recipe: Recipe, *, split: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """One step's gradients as the loop computes them; summed loss, valid pixels and a map of coarse scores."""
    net.train()
    step = Step(
        net=net,
        optimizer=sgd(net, recipe),
        loss=losses.load(recipe.loss),
        recipe=recipe,
        device=CPU,
        ranks=ALONE,
        graphs=Graphs(CPU, on=False, warn=pytest.fail),
    )
    scores = step.gradients(passes, split=split)
    return step.loss_sum, step.pixels, scores


def step(passes: list[Batch], recipe: Recipe, *, split: int = 1) -> tuple[list[Tensor], float, int]:
    """A new net's gradients, loss and pixels, in double precision, where sums in another order differ by 1e-15."""
    net = pictures.net(stride=8).double()
    doubled = [({name: image.double() for name, image in images.items()}, labels) for images, labels in passes]
    loss, pixels, _ = gradients(net, doubled, recipe, split=split)
    found = [parameter.grad for parameter in trained(net)]
    return [gradient for gradient in found if gradient is not None], float(loss), int(pixels)


def assert_equal(one: tuple[list[Tensor], float, int], other: tuple[list[Tensor], float, int]) -> None:
    assert one[2] == other[2]
    assert one[1] == pytest.approx(other[1], rel=1e-6)  # the loop sums losses in float32
    for left, right in zip(one[0], other[0], strict=True):
        torch.testing.assert_close(left, right, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("loss", ["mean", "sum"])
def test_accumulated_passes_equal_one_pass(tmp_path: Path, loss: str) -> None:
    """Three passes of one image each give the gradients of one pass of the three, where all have as many pixels."""
    samples = pictures.write(tmp_path, [(32, 48)] * 3)
    images, labels = pictures.drawn(pictures.batches(samples, batch=3), 0)
    single = [batch(images[i : i + 1], labels[i : i + 1]) for i in range(3)]
    one = step([batch(images, labels)], pictures.recipe(batch=3, loss=loss))
    three = step(single, pictures.recipe(batch=1, accumulation=3, loss=loss))
    assert_equal(one, three)


def test_summed_passes_are_equal_whatever_is_void(tmp_path: Path) -> None:
    """With a summed loss they are the same even where the images differ in their void; with a mean they are not."""
    samples = pictures.write(tmp_path, [(32, 48)] * 3)
    images, labels = pictures.drawn(pictures.batches(samples, batch=3), 0)
    labels[0, :20] = VOID
    single = [batch(images[i : i + 1], labels[i : i + 1]) for i in range(3)]
    summed = step([batch(images, labels)], pictures.recipe(batch=3, loss="sum"))
    assert_equal(summed, step(single, pictures.recipe(batch=1, accumulation=3, loss="sum")))
    mean = step([batch(images, labels)], pictures.recipe(batch=3))
    parts = step(single, pictures.recipe(batch=1, accumulation=3))
    assert not torch.allclose(mean[0][0], parts[0][0], rtol=1e-3)


@pytest.mark.parametrize("loss", ["mean", "sum"])
@pytest.mark.parametrize("split", [2, 3, 5])
def test_cutting_a_pass_changes_nothing(tmp_path: Path, loss: str, split: int) -> None:
    """A pass of five images of different sizes gives the same gradients in one piece and in several."""
    samples = pictures.write(tmp_path, [(32, 48), (40, 33), (48, 32)])
    whole = pictures.batches(samples, batch=5)[0]
    recipe = pictures.recipe(batch=5, loss=loss)
    assert_equal(step([whole], recipe), step([whole], recipe, split=split))


def test_the_net_learns_from_every_pass(tmp_path: Path) -> None:
    """The gradients of two different passes are not those of either alone."""
    samples = pictures.write(tmp_path, [(32, 48)] * 4)
    made = pictures.batches(samples, batch=1)
    recipe = pictures.recipe(batch=1, accumulation=2)
    both, first, second = (step(passes, recipe)[0] for passes in ([made[0], made[1]], [made[0]], [made[1]]))
    for total, one, other in zip(both, first, second, strict=True):
        torch.testing.assert_close(total, one + other, rtol=1e-9, atol=1e-12)
        assert not torch.equal(one, other)


@pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_the_trunk_computes_in_the_recipes_precision(precision: str, dtype: torch.dtype) -> None:
    """With `precision: bfloat16` the trunk's maps are of it; scores, loss and gradients are float32 either way."""
    net, dtypes = pictures.net(), set()
    net.trunk.register_forward_hook(lambda _trunk, _images, maps: dtypes.add(maps[32].dtype))
    images, labels = torch.rand(1, 3, 32, 32), torch.ones(1, 32, 32, dtype=torch.int64)
    loss, _, scores = gradients(net, [batch(images, labels)], pictures.recipe(precision=precision))
    assert dtypes == {dtype}
    kept = [scores, loss, *(parameter.grad for parameter in trained(net))]
    assert {None if tensor is None else tensor.dtype for tensor in kept} == {torch.float32}


def test_half_precision_is_bfloat16_on_a_gpu_too() -> None:
    """The recipe's precision is asked for by name: what autocast takes by itself is float16 on a GPU."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is no GPU here
        context = autocast(torch.device("cuda"), "bfloat16")
    assert isinstance(context, torch.autocast)
    assert context.fast_dtype == torch.bfloat16
