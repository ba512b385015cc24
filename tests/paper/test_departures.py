"""What profiles do otherwise than the papers."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from fcn.config import Config, load, parse
from fcn.departures import check, departures
from fcn.errors import InputError
from fcn.paper import protocol

ROOT = Path(__file__).resolve().parents[2]
PAPER = ROOT / "profiles/paper/params.yaml"
PROFILES = [ROOT / "params.yaml", *sorted(ROOT.glob("profiles/*/params.yaml"))]
NAMES = [str(path.relative_to(ROOT)) for path in PROFILES]
REASONS = "departures"


def _values() -> dict[str, Any]:
    # A copy for each use of a YAML anchor, so that a change stays in its place.
    values: dict[str, Any] = json.loads(json.dumps(yaml.safe_load(PAPER.read_text())))
    for net in values["nets"].values():  # whose keys JSON made into words
        net["scales"] = {int(tap): scale for tap, scale in net.get("scales", {}).items()}
    return values


def _paper(changes: dict[str, object] | None = None) -> Config:
    """The paper profile, with values changed by their dotted place; a backbone is changed wherever it is used."""
    values = _values()
    for place, value in (changes or {}).items():
        *folders, last = place.split(".")
        places = [values]
        if folders[:1] == ["backbones"]:
            users = [*values["nets"].values(), *values["weights"].values()]
            places = [user["backbone"] for user in users if user["backbone"]["architecture"] == folders[1]]
            folders = []
        for folder in folders:
            places = [inner[folder] for inner in places]
        for inner in places:
            inner[last] = value
    return parse(values)


def _run_alone(run: str, changes: dict[str, object], reasons: Iterable[str], *, without: str = "") -> Config:
    """The paper profile with a net and a recipe of the run's own, changed, and without the runs that start from it.

    It has more `reasons`, and none for `without`.
    """
    values = _values()
    values[REASONS].pop(without, None)
    line = values["runs"][run]
    of_net, of_recipe = values["nets"][line["net"]].copy(), values["recipes"][line["recipe"]].copy()
    for field, value in changes.items():
        owner = line if field in line else of_net if field in ("pad", "upsampling", "scales") else of_recipe
        owner[field] = value
    values["nets"]["own"], values["recipes"]["own"] = of_net, of_recipe
    line |= {"net": "own", "recipe": "own"}
    while gone := [name for name, other in values["runs"].items() if _lacks_its_parent(other, values["runs"], run)]:
        for name in gone:
            del values["runs"][name]
    values[REASONS] |= dict.fromkeys(reasons, "a test")
    return parse(values)


def _lacks_its_parent(line: dict[str, Any], runs: dict[str, Any], changed: str) -> bool:
    parent = line["init"].removeprefix("nets/")
    return bool(line["init"].startswith("nets/")) and (parent == changed or parent not in runs)


def _names(config: Config, run: str) -> set[str]:
    return {item.name for item in departures(config, run)}


@pytest.mark.parametrize("path", PROFILES, ids=NAMES)
def test_each_departure_has_a_reason_and_each_reason_a_departure(path: Path) -> None:
    """Every profile's `departures:` is complete, and has nothing idle in it."""
    check(load(path))


def test_the_paper_profile_departs_only_where_it_must() -> None:
    """VGG16 in the paper profile departs in precision alone, and where the CVPR paper states no iterations.

    The networks of the papers themselves are no departure, torchvision's are. Late fusion starts from other nets than
    the release's, and has no rate in the conference paper. The nets that the authors released depart in nothing.
    """
    paper = _paper()
    for name, run in paper.runs.items():
        found = _names(paper, name)
        if name.endswith("-released"):
            assert found == set(), name
        elif paper.net(name).backbone.architecture == "vgg16":
            unstated = run.regime == "cvpr" and run.train.list != "voc2011-train"
            of_late = {"cvpr": {"rate"}, "pami": {"init"}}[run.regime] if paper.net(name).fusion == "late" else set()
            assert found == {"precision"} | ({"iterations"} if unstated else set()) | of_late, name
        else:
            torchvisions = paper.net(name).backbone.architecture in ("alexnet", "googlenet")
            assert ("architecture" in found) == torchvisions, name
            assert found <= {"precision", "architecture", "input", "weights", "bias-decay", "score-bias-rate"}, name


def test_the_paper_profile_has_the_published_recipes() -> None:
    """Each recipe of the paper profile equals the protocol, field by field, except in the departures just named."""
    paper = _paper()
    for name, run in paper.runs.items():
        net, ours = paper.net(name), paper.recipe(name)
        if not ours.iterations:
            continue
        published = protocol.recipe(
            run.regime,
            dataset=protocol.DATASETS[paper.dataset(run.train.dataset).format],
            architecture=net.backbone.architecture,
            stride=net.stride,
            at_once=paper.at_once(name),
            late=net.fusion == "late",
            trained=ours.trained,
        )
        found = (ours.batch * ours.accumulation, ours.momentum, ours.bias_rate, ours.decay)
        facts = (published.images_per_step, published.momentum, published.bias_rate, published.decay)
        assert found == tuple(fact.value for fact in facts), name
        assert ours.loss == published.loss.value, name
        assert published.rate.value in (None, ours.rate), name
        assert published.iterations.value in (None, ours.iterations), name
        assert (ours.warmup, ours.drop_at, ours.clip, ours.score_rate) == (0, None, None, 1.0), name
        assert (ours.crop, ours.mirror, ours.jitter, net.pad) == (None, False, 0, 100), name


@pytest.mark.parametrize(
    ("run", "changes", "name"),
    [
        ("voc-fcn32s-vgg16", {"pad": "same"}, "pad"),
        ("voc-fcn32s-vgg16", {"mirror": True}, "mirror"),
        ("voc-fcn32s-vgg16", {"jitter": 32}, "jitter"),
        ("voc-fcn32s-vgg16", {"crop": 256}, "crop"),
        ("voc-fcn32s-vgg16", {"upsampling": "all"}, "upsampling"),
        ("voc-fcn16s-vgg16", {"upsampling": "intermediate"}, "upsampling"),
        ("voc-fcn16s-vgg16-cvpr", {"upsampling": "fixed"}, "upsampling"),
        ("voc-fcn16s-vgg16", {"init": "weights/vgg16-oxford"}, "init"),
        ("voc-fcn8s-vgg16", {"init": "nets/voc-fcn32s-vgg16"}, "init"),
        ("voc-fcn8s-vgg16-atonce", {"init": "nets/voc-fcn32s-vgg16"}, "init"),
        ("voc-fcn8s-vgg16-atonce", {"init": "nets/voc-fcn32s-vgg16"}, "skip-scales"),
        ("voc-fcn8s-vgg16-atonce", {"scales": {}}, "skip-scales"),
        ("voc-fcn32s-vgg16", {"regime": "cvpr"}, "batch"),
        ("voc-fcn8s-vgg16-atonce", {"regime": "cvpr"}, "rate"),
    ],
)
def test_a_changed_run_departs_by_name(run: str, changes: dict[str, object], name: str) -> None:
    """A run that isn't the published one is refused without a reason, which the message asks for by name."""
    alone = set(_names(_run_alone(run, {}, ()), run))
    assert name not in alone
    with pytest.raises(InputError, match=rf"`{name}: why`"):
        departures(_run_alone(run, changes, (), without=name), run)
    every = ("batch", "momentum", "rate", "loss", "init", "upsampling", "skip-scales", "iterations", name)
    assert name in _names(_run_alone(run, changes, every), run)


@pytest.mark.parametrize(
    ("place", "value", "name"),
    [
        ("recipes.pami-32s.accumulation", 20, "batch"),
        ("recipes.pami-32s.momentum", 0.9, "momentum"),
        ("recipes.pami-32s.rate", 1e-9, "rate"),
        ("recipes.pami-32s.bias_rate", 1.0, "bias-rate"),
        ("recipes.pami-32s.decay", 0.0, "decay"),
        ("recipes.pami-32s.loss", "mean", "loss"),
        ("recipes.pami-32s.iterations", 99_999, "iterations"),
        ("recipes.pami-32s.warmup", 50, "warmup"),
        ("recipes.pami-32s.drop_at", 0.75, "drop"),
        ("recipes.pami-32s.clip", 1.0, "clip"),
        ("recipes.pami-32s.score_rate", 10.0, "score-rate"),
        ("backbones.vgg16.width", 0.5, "width"),
        ("backbones.vgg16.fc", 512, "fc"),
        ("backbones.vgg16.dropout", 0.0, "dropout"),
        ("backbones.vgg16.input_px", 96, "input"),
        ("weights.vgg16-oxford.kind", "torchvision", "weights"),
        ("weights.vgg16-oxford.preprocessing", "caffe-nyud", "preprocessing"),
        ("lists.sbd-train.list", "trainval", "train-list"),
        ("lists.sbd-train.expect", 8497, "train-list"),
        ("lists.seg11valid.published", None, "val-list"),
        ("archives.sbd.kind", "sample", "train-list"),
    ],
)
def test_what_a_run_uses_departs_by_name(place: str, value: object, name: str) -> None:
    """Recipe, backbone, weights and lists that aren't the published ones are departures of the runs that use them."""
    chain = ("voc-fcn32s-vgg16", "voc-fcn16s-vgg16", "voc-fcn8s-vgg16")
    changed = _paper({place: value, f"{REASONS}.{name}": "a test"})
    of_recipe = place.startswith("recipes.")
    assert [name in _names(changed, run) for run in chain] == [True, not of_recipe, not of_recipe]


def test_scratch_and_the_score_layer_alone_are_the_papers_own() -> None:
    """Starting from nothing, or training only the score layer, is the paper's own comparison and no departure."""
    run = "voc-fcn32s-vgg16"
    assert _names(_run_alone(run, {"trained": "score"}, ()), run) == {"precision"}
    values = _values()
    scratch = {"backbone": values["backbones"]["vgg16"], "preprocessing": "caffe"}
    assert _names(_paper({"classifiers": {"scratch": scratch}, f"runs.{run}.init": "weights/scratch"}), run) == {
        "precision"
    }


def test_the_authors_own_net_departs_in_nothing() -> None:
    """Released weights, scored after 0 iterations, are the paper's net; any other net that isn't trained departs."""
    run = "voc-fcn32s-vgg16"
    untrained: dict[str, object] = {"recipes.pami-32s.iterations": 0, f"{REASONS}.iterations": "a test"}
    for kind in ("pytorch_fcn", "caffemodel"):
        assert _names(_paper({**untrained, "weights.vgg16-oxford.kind": kind}), run) == set()
    assert _names(_paper(untrained), run) == {"iterations"}


@pytest.mark.parametrize(
    ("run", "changes", "name", "said"),
    [
        ("nyud-fcn32s-vgg16-rgb", {"init": "weights/vgg16-oxford"}, "preprocessing", "published caffe-nyud, .* caffe"),
        ("nyud-fcn32s-vgg16-hha-released", {"init": "weights/fcn32s-heavy-pascal"}, "preprocessing", "caffe-nyud"),
        ("siftflow-fcn8s-vgg16", {"recipe": "pami-8s"}, "rate", "published 1e-12, .* has 1e-14"),
        ("context-fcn8s-vgg16", {"recipe": "pami-8s"}, "iterations", "published 400000, .* has 100000"),
        ("voc-fcn8s-vgg16-atonce-released", {"net": "fcn8s-vgg16-half"}, "skip-scales", "pool3 x 0.0001"),
    ],
)
def test_a_run_on_another_dataset_departs_by_name(run: str, changes: dict[str, object], name: str, said: str) -> None:
    """Where a run on NYUDv2, SIFT Flow or PASCAL-Context isn't the release's of that dataset, it departs by name."""
    values = _values()
    values["nets"]["fcn8s-vgg16-half"] = {**values["nets"]["fcn8s-vgg16"], "scales": {16: 0.5, 8: 0.25}}
    values["runs"][run] |= changes
    with pytest.raises(InputError, match=rf"{name} \(.*{said}.*`{name}: why`"):
        departures(parse({**values, REASONS: {key: why for key, why in values[REASONS].items() if key != name}}), run)


@pytest.mark.parametrize(("images", "departs"), [(2488, False), (2486, False), (2487, True)])
def test_siftflow_has_two_published_counts(images: int, departs: bool) -> None:
    """The papers' 2,488 and the release's 2,486 are SIFT Flow's trainval, no other number is."""
    changes = {"lists.siftflow-train.expect": images, f"{REASONS}.train-list": "a test"}
    assert ("train-list" in _names(_paper(changes), "siftflow-fcn32s-vgg16")) == departs


def test_void_for_background_is_another_dataset() -> None:
    """Context's pixels of no class are background in the release; where they are void, both lists depart."""
    reasons = {f"{REASONS}.val-list": "a test", f"{REASONS}.train-list": "a test"}
    paper = _paper({"datasets.context59.format": "context59_void", **reasons})
    found = {item.name: item.ours for item in departures(paper, "context-fcn32s-vgg16")}
    assert found["val-list"] == "context59-val, 5105 images, read as context59_void"
    assert "train-list" in found


def test_caffenet_and_the_published_googlenet_are_the_papers_own() -> None:
    """With Caffe's own weights AlexNet departs in its biases' rates alone, GoogLeNet in weights that nobody has."""
    paper = _paper()
    assert _names(paper, "voc2011-fcn32s-caffenet") == {"precision"}
    assert _names(paper, "voc-fcn32s-caffenet") == {"precision", "bias-decay", "score-bias-rate"}
    assert _names(paper, "voc2011-fcn32s-googlenet-published") == {"precision", "weights"}


def test_a_longer_training_than_175_epochs_is_the_papers() -> None:
    """CVPR Table 1 asks for at least 175 epochs: 9,730 steps are enough, 9,729 are not."""
    run, place = "voc2011-fcn32s-vgg16", "recipes.cvpr-table1-vgg16.iterations"
    assert "iterations" not in _names(_paper({place: 9730}), run)
    assert "iterations" in _names(_paper({place: 9729}), run)


def test_which_net_counts_is_a_departure_where_it_is_said() -> None:
    """CVPR Table 1 has the best net on the way, the release the last one; for CVPR Table 2 nobody says which."""
    last: dict[str, object] = {"recipes.cvpr-table1-vgg16.keep": "last", f"{REASONS}.keep": "a test"}
    assert "keep" in _names(_paper(last), "voc2011-fcn32s-vgg16")
    for recipe, run, departs in (
        ("pami-32s", "voc-fcn32s-vgg16", True),
        ("pami-32s", "nyud-fcn32s-vgg16-rgb", True),
        ("cvpr-32s", "voc-fcn32s-vgg16-cvpr", False),
    ):
        scored: dict[str, object] = {f"recipes.{recipe}.score_every": 4000}
        assert "keep" not in _names(_paper(scored), run)
        best = {**scored, f"recipes.{recipe}.keep": "best", f"{REASONS}.keep": "a test"}
        assert ("keep" in _names(_paper(best), run)) == departs


def test_either_printed_decay_is_the_papers() -> None:
    """The CVPR paper allows a decay of 5e-4 or 2e-4; the release has only the first."""
    assert "decay" not in _names(_paper({"recipes.cvpr-32s.decay": 2e-4}), "voc-fcn32s-vgg16-cvpr")


def test_a_dataset_that_no_regime_knows_has_no_published_list() -> None:
    """A run on another dataset than the regime's is held to no list and to no length of theirs."""
    run = "voc-fcn32s-vgg16-cvpr"
    other = {"lists.sbd-train.expect": 5, "lists.seg11valid.expect": 5, "datasets.sbd.format": "another"}
    reasons = {f"{REASONS}.val-list": "a test", f"{REASONS}.train-list": "a test"}
    assert _names(_paper({**other, **reasons}), run) == {"precision"}
    assert {"train-list", "val-list"} < _names(_paper({**other, **reasons, "datasets.sbd.format": "sbd"}), run)


def test_a_reason_that_no_run_needs_is_refused() -> None:
    """A leftover reason is an error that names it."""
    with pytest.raises(InputError, match=r"reason for mirror, but no run departs"):
        check(_paper({f"{REASONS}.mirror": "once upon a time"}))


def test_an_empty_reason_is_refused() -> None:
    """A reason has to say something."""
    with pytest.raises(InputError, match=r"departures\.precision is empty"):
        check(_paper({f"{REASONS}.precision": " "}))


def test_all_missing_reasons_are_asked_for_at_once() -> None:
    """Without any reasons, one message lists every departure and what to write."""
    with pytest.raises(InputError) as caught:
        check(_paper({REASONS: {}}))
    for name in _paper().departures:
        assert f"`{name}: why`" in str(caught.value)
