"""Parameter groups, the step, and the rate over time are those of the papers, and of what a profile adds."""

from functools import partial
from pathlib import Path

import pytest
import torch

from fcn.config import load
from fcn.training.loop import train
from fcn.training.optimizer import freeze, go_on, rate_at, set_rate, sgd
from tests.training import pictures
from tests.training.observing import Notes

ROOT = Path(__file__).resolve().parents[2]
CPU = torch.device("cpu")
PAPER = load(ROOT / "profiles/paper/params.yaml")


def settings_of(optimizer: torch.optim.SGD, net: torch.nn.Module) -> dict[str, tuple[float, float]]:
    """Rate and decay by parameter name."""
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    return {
        names[id(parameter)]: (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }


def test_weights_decay_and_biases_do_not() -> None:
    """Weights have the rate and decay, biases bias_rate times the rate and no decay, score layers score_rate times."""
    net = pictures.net(stride=8, upsampling="intermediate")
    optimizer = sgd(net, pictures.recipe(bias_rate=3, score_rate=10, decay=0.25))
    set_rate(optimizer, 0.5)
    found = settings_of(optimizer, net)
    assert set(found) == {name for name, parameter in net.named_parameters() if parameter.requires_grad}
    for name, (rate, decay) in found.items():
        score = 10 if ".score_" in name else 1
        bias = name.endswith(".bias")
        assert rate == pytest.approx(0.5 * score * (3 if bias else 1)), name
        assert decay == (0 if bias else 0.25), name
    layers = ("score_fr.weight", "score_pool4.bias", "score_pool3.weight", "upscore_pool4.weight")
    assert {f"heads.semantic.{layer}" for layer in layers} < set(found)
    assert "heads.semantic.upscore.weight" not in found


def test_one_step_is_the_formula(tmp_path: Path) -> None:
    """Each step is v = m v + g + d w, w = w - r v for weights, and has twice the rate and no decay for biases."""
    made = pictures.batches(pictures.write(tmp_path, [(32, 32)] * 3))
    recipe = pictures.recipe(iterations=2, rate=0.05, decay=0.01)
    net, twin = pictures.net(), pictures.net()
    train(net, made, recipe=recipe, seed=0, device=CPU, workers=0, observer=Notes())
    twin.on(CPU).train()
    speed = {name: torch.zeros_like(parameter) for name, parameter in twin.named_parameters()}
    for draw in range(2):
        images, labels = pictures.drawn(made, draw)
        twin.zero_grad()
        scores = twin({"rgb": images.contiguous(memory_format=torch.channels_last)})["semantic"]
        torch.autograd.backward(torch.nn.functional.cross_entropy(scores, labels.long(), ignore_index=255))
        with torch.no_grad():
            for name, parameter in twin.named_parameters():
                if parameter.grad is not None:
                    bias = name.endswith(".bias")
                    pull = parameter.grad if bias else parameter.grad + 0.01 * parameter
                    speed[name] = 0.9 * speed[name] + pull
                    parameter.sub_((0.1 if bias else 0.05) * speed[name])
    for name, parameter in net.named_parameters():
        torch.testing.assert_close(parameter, dict(twin.named_parameters())[name], rtol=1e-4, atol=1e-6)


def test_a_gpus_state_goes_on_on_a_cpu() -> None:
    """What a state says of how its device computed a step is not taken over; rates and momenta are."""
    net, recipe = pictures.net(), pictures.recipe(rate=0.5)
    saved = sgd(net, recipe).state_dict()
    for group in saved["param_groups"]:
        group["fused"], group["lr"] = True, 0.25
    saved["state"] = {0: {"momentum_buffer": torch.ones_like(next(net.parameters()))}}
    optimizer = sgd(net, recipe)
    go_on(optimizer, saved)
    assert {(group["fused"], group["lr"]) for group in optimizer.param_groups} == {(None, 0.25)}
    (momentum,) = (state["momentum_buffer"] for state in optimizer.state.values())
    assert bool((momentum == 1).all())


def test_clipping_shortens_the_step(tmp_path: Path) -> None:
    """With clip the gradient has at most that length: a first step is as long as the rate times it."""
    made = pictures.batches(pictures.write(tmp_path, [(32, 32)] * 3))
    recipe = pictures.recipe(iterations=1, rate=0.5, clip=0.001, decay=0, bias_rate=1)
    net, before = pictures.net(), pictures.net().state_dict()
    train(net, made, recipe=recipe, seed=0, device=CPU, workers=0, observer=Notes())
    moved = torch.cat([(tensor - before[name]).flatten() for name, tensor in net.state_dict().items()])
    assert float(moved.double().norm()) == pytest.approx(0.5 * 0.001, rel=1e-2)


@pytest.mark.parametrize("clip", [None, 1.0])
def test_frozen_layers_stay_to_the_bit(tmp_path: Path, clip: float | None) -> None:
    """With `trained: score` everything but the score layers keeps its bits, momentum and decay notwithstanding."""
    heads = {"semantic": 5, "geometric": 3}
    made = pictures.batches(pictures.write(tmp_path, [(32, 32)] * 3, heads=heads))
    made_net = partial(pictures.net, heads=heads, stride=8, upsampling="all")
    net, before, recipe = made_net(), made_net().state_dict(), pictures.recipe(trained="score", clip=clip)
    freeze(net, recipe)
    train(net, made, recipe=recipe, seed=0, device=CPU, workers=0, observer=Notes())
    layers = {"score_fr", "score_pool4", "score_pool3"}
    scores = {f"heads.{head}.{layer}.{kind}" for head in heads for layer in layers for kind in ("weight", "bias")}
    moved = {name for name, tensor in net.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved == scores


def test_nothing_is_frozen_that_is_to_be_trained(tmp_path: Path) -> None:
    """With `trained: all` every parameter of the net moves."""
    made = pictures.batches(pictures.write(tmp_path, [(32, 32)] * 3))
    net, before = pictures.net(stride=8), pictures.net(stride=8).state_dict()
    recipe = pictures.recipe(trained="all", rate=0.1)
    freeze(net, recipe)
    train(net, made, recipe=recipe, seed=0, device=CPU, workers=0, observer=Notes())
    assert [name for name, tensor in net.named_parameters() if torch.equal(tensor, before[name])] == []


def test_fixed_upsampling_stays_bilinear(tmp_path: Path) -> None:
    """Training moves no upsampling that is fixed, and every one that is learned."""
    made = pictures.batches(pictures.write(tmp_path, [(32, 32)] * 3))
    for upsampling, learned in (("fixed", set()), ("intermediate", {"upscore_pool4", "upscore_pool3"})):
        net = pictures.net(stride=8, upsampling=upsampling)
        before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
        train(net, made, recipe=pictures.recipe(rate=0.1), seed=0, device=CPU, workers=0, observer=Notes())
        moved = {name for name, tensor in net.state_dict().items() if not torch.equal(tensor, before[name])}
        assert {name.split(".")[2] for name in moved if ".upscore" in name} == learned


def test_the_rate_warms_up_and_drops() -> None:
    """The rate rises in equal steps to its full size over the warm-up, and is a tenth of it from drop_at on."""
    recipe = pictures.recipe(rate=0.8, warmup=4, drop_at=0.75, iterations=12)
    rates = [rate_at(iteration, recipe) for iteration in range(12)]
    assert rates == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.08, 0.08, 0.08])


@pytest.mark.parametrize("name", [name for name, recipe in PAPER.recipes.items() if recipe.iterations])
def test_published_rates_are_fixed(name: str) -> None:
    """Every recipe of the paper profile keeps its published rate from the first iteration to the last, unclipped."""
    recipe = PAPER.recipes[name]
    assert recipe.clip is None
    assert recipe.score_rate == 1
    for iteration in (0, 1, recipe.iterations // 2, recipe.iterations - 1):
        assert rate_at(iteration, recipe) == recipe.rate


def test_the_published_regimes_are_there() -> None:
    """The paper profile has 20 images a step at momentum 0.9 with a mean, and one at 0.99 with a sum."""
    regimes = {(s.batch * s.accumulation, s.momentum, s.loss) for s in PAPER.recipes.values()}
    assert regimes == {(20, 0.9, "mean"), (1, 0.99, "sum")}
    assert {s.decay for s in PAPER.recipes.values()} == {5e-4}
