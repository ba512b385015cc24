"""A sample classifier's training: its first losses, the rate of every step, and an accuracy that can be recounted."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook

from fcn.datasets.sample import scenes
from fcn.entries import ClassifierTraining
from fcn.nets import backbones
from fcn.nets.preprocessing import preset
from fcn.shape import Backbone
from fcn.training.classifier import train

VGG16 = Backbone(architecture="vgg16", width=0.0625, fc=8, input_px=32, dropout=0.5)
TRAINING = ClassifierTraining(crops=32, held_out=40, batch=4, iterations=6, rate=0.05, precision="float32")


def losses(**changes: Any) -> list[float]:
    """The loss of every iteration."""
    told: list[tuple[int, int, float]] = []
    training = replace(TRAINING, **changes)
    train(VGG16, training, seed=3, preprocessing=preset("sample"), progress=lambda *row: told.append(row))
    assert [row[:2] for row in told] == [(index, training.iterations) for index in range(1, training.iterations + 1)]
    return [loss for _, _, loss in told]


def test_its_first_losses_are_as_they_were() -> None:
    """Six iterations on the CPU have these losses, to four digits: start, crops, mirroring, dropout and steps."""
    assert losses() == pytest.approx([2.992804, 3.016399, 2.985451, 3.052596, 3.001406, 2.996490], rel=1e-4)


def test_bfloat16_is_rounder() -> None:
    """In bfloat16 the losses are about those of float32, but not the same."""
    plain, rounded = losses(iterations=3), losses(iterations=3, precision="bfloat16")
    assert rounded == pytest.approx(plain, rel=0.01)
    assert rounded != pytest.approx(plain, rel=1e-6)


def test_the_rate_warms_up_and_drops_and_gradients_are_clipped() -> None:
    """The rate rises over 50 steps and is a fifth for the last three tenths; no step's gradient is longer than 5."""
    rates, lengths = [], []

    def note(optimizer: Optimizer, *_: object) -> None:
        rates.append(optimizer.param_groups[0]["lr"])
        gradients = [parameter.grad for parameter in optimizer.param_groups[0]["params"]]
        lengths.append(float(torch.cat([gradient.flatten() for gradient in gradients]).norm()))

    hook = register_optimizer_step_pre_hook(note)
    try:
        train(
            replace(VGG16, dropout=0.0),
            replace(TRAINING, iterations=60, rate=0.2),
            seed=3,
            preprocessing=preset("sample"),
        )
    finally:
        hook.remove()
    rising = [0.2 * step / 50 for step in range(1, 51)]
    assert rates == pytest.approx([*rising[:42], *(rate / 5 for rate in rising[42:]), *[0.04] * 10])
    assert max(lengths) == pytest.approx(5)


def test_the_accuracy_is_that_of_crops_it_never_saw() -> None:
    """The accuracy is the share of held-out crops that the returned weights, without dropout, call by their class."""
    backbone = Backbone(architecture="alexnet", width=0.25, fc=64, input_px=64, dropout=0.5)
    training = replace(TRAINING, batch=16, iterations=40, rate=2e-3)
    state, accuracy = train(backbone, training, seed=3, preprocessing=preset("sample"))
    net = backbones.load("alexnet").classifier(width=0.25, fc=64, input_px=64, classes=20).eval()
    net.load_state_dict(state)
    crops, classes = scenes.crops(3, 72, size_px=64)
    with torch.inference_mode():
        answers = net(torch.stack([preset("sample")(crop) for crop in crops[32:]])).argmax(1)
    right = answers == torch.from_numpy(classes[32:])
    assert right.any()
    assert len(answers.unique()) > 2, "one answer for all crops is right as often with dropout"
    assert accuracy == pytest.approx(float(right.double().mean()))
