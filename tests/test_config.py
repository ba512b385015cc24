"""params.yaml: every wrong entry is one sentence that names it, and what is committed loads."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fcn.config import Config, load, parse
from fcn.errors import InputError
from tests.training import tiny

ROOT = Path(__file__).resolve().parent.parent
PARAMS = sorted([ROOT / "params.yaml", *ROOT.glob("profiles/*/params.yaml")])
TINY = tiny.params()
COARSE, FINER = tiny.COARSE, tiny.FINER


def changed(*changes: tuple[str, Any]) -> dict[str, Any]:
    """The tiny profile with other values at dotted places, whose names have no dots."""
    values = copy.deepcopy(TINY)
    for place, value in changes:
        *folders, last = place.split(".")
        entry = values
        for folder in folders:
            entry = entry[folder]
        entry[last] = value
    return values


def refused(*changes: tuple[str, Any]) -> str:
    """What is said of such a profile."""
    with pytest.raises(InputError) as caught:
        parse(changed(*changes))
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("params.yaml: ")
    return message.removeprefix("params.yaml: ")


@pytest.mark.parametrize("path", PARAMS, ids=lambda path: path.parent.name)
def test_committed_profiles_load(path: Path) -> None:
    """Every params.yaml of the project is whole and right, says where it lies, and has a run to train."""
    config = load(path)
    assert (ROOT / config.params).resolve() == path
    assert config.runs
    assert all(config.run(name) is config.runs[name] for name in config.runs)


def test_the_tiny_profile_is_right() -> None:
    """What these tests spoil is right before they do."""
    assert parse(TINY).run(FINER).parent == COARSE
    assert parse(TINY).run(COARSE).parent is None


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (f"runs.{COARSE}.backbone", "vgg61", "vgg16.backbone: unknown name 'vgg61'; did you mean 'vgg16'?"),
        (f"runs.{COARSE}.solver", "corse", "did you mean 'coarse'? known are: coarse, finer"),
        (f"runs.{COARSE}.init", "weights/vgg16-sampel", "did you mean 'weights/vgg16-sample'?"),
        (f"runs.{FINER}.init", "nets/voc-fcn32-vgg16", "did you mean 'nets/voc-fcn32s-vgg16'?"),
        (f"runs.{COARSE}.train.list", "sbd-trian", "train.list: unknown name 'sbd-trian'; did you mean 'sbd-train'?"),
        (f"runs.{COARSE}.val.source", "voc2021", "not 'voc2021'; write {source: voc2012, list: voc2012-val-"),
        (f"runs.{COARSE}.train.source", "voc2012", "list 'sbd-train' belongs to source 'sbd', not 'voc2012'"),
        ("lists.sbd-train.source", "sdb", "lists.sbd-train.source: unknown name 'sdb'; did you mean 'sbd'?"),
        ("lists.sbd-train.minus", "nothing", "lists.sbd-train.minus: unknown name 'nothing'; known are: "),
        (
            "disjoint",
            [["sbd-train", "voc2012-vall"]],
            "disjoint: unknown name 'voc2012-vall'; did you mean 'voc2012-val",
        ),
        ("weights.vgg16-sample.backbone", "vgg", "sample.backbone: unknown name 'vgg'; did you mean 'vgg16'?"),
    ],
)
def test_unknown_names_are_answered_with_known_ones(place: str, value: object, said: str) -> None:
    """A name that nothing has is quoted with its place, a near one is suggested, and those there are are listed."""
    assert said in refused((place, value))


@pytest.mark.parametrize("ask", [Config.run, Config.source, Config.weights_entry])
def test_a_wrong_name_on_the_command_line_is_answered(ask: Any) -> None:
    """Asking for a run, source or weights entry that there isn't names those there are."""
    with pytest.raises(InputError, match=r"unknown name 'nonsense'; known are: \w+"):
        ask(parse(TINY), "nonsense")
    with pytest.raises(InputError, match="did you mean 'voc-fcn32s-vgg16'"):
        parse(TINY).run("voc-fcn32s-vg16")


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("solvers.coarse.rate", -0.01, "solvers.coarse.rate: Input should be greater than 0, found -0.01"),
        ("solvers.coarse.rate", 0, "solvers.coarse.rate: Input should be greater than 0, found 0"),
        ("solvers.coarse.rate", "fast", "solvers.coarse.rate: Input should be a valid number"),
        ("solvers.coarse.rate", float("nan"), "solvers.coarse.rate"),
        ("solvers.coarse.rate", float("inf"), "solvers.coarse.rate: Input should be a finite number"),
        ("solvers.coarse.momentum", 1, "solvers.coarse.momentum: Input should be less than 1, found 1"),
        ("solvers.coarse.iterations", -1, "solvers.coarse.iterations: Input should be greater than or equal to 0"),
        ("solvers.coarse.iterations", 1.5, "solvers.coarse.iterations: Input should be a valid integer"),
        ("solvers.coarse.batch", 0, "solvers.coarse.batch: Input should be greater than or equal to 1, found 0"),
        ("solvers.coarse.loss", "max", "solvers.coarse.loss: Input should be 'mean' or 'sum', found 'max'"),
        ("solvers.coarse.drop_at", 1.0, "solvers.coarse.drop_at"),
        (f"runs.{COARSE}.stride", 4, "runs.voc-fcn32s-vgg16.stride: Input should be 32, 16 or 8, found 4"),
        (f"runs.{COARSE}.pad", "none", "runs.voc-fcn32s-vgg16.pad: Input should be 100 or 'same'"),
        (f"runs.{COARSE}.mirror", "perhaps", "runs.voc-fcn32s-vgg16.mirror: Input should be a valid boolean"),
        (f"runs.{COARSE}.init", "../vgg16", "runs.voc-fcn32s-vgg16.init: String should match pattern"),
        (f"runs.{COARSE}.colour", "red", "runs.voc-fcn32s-vgg16.colour: Unexpected keyword argument, found 'red'"),
        ("sources.sbd.from_", "x", "sources.sbd.from_: Unexpected keyword argument"),
        ("sources.sbd.archive", "../sbd.tgz", "sources.sbd.archive: String should match pattern"),
        ("sources.sbd.dataset", "coco", "sources.sbd.dataset: Input should be 'voc' or 'sbd', found 'coco'"),
        ("backbones.vgg16.dropout", 1.0, "backbones.vgg16.dropout: Input should be less than 1"),
        ("runs", ["a", "b"], "runs: Input should be a valid dictionary"),
        ("classes", 1, "classes: Input should be greater than or equal to 2, found 1"),
        ("classes", 256, "classes: Input should be less than or equal to 255, found 256"),
        ("profile", "../elsewhere", "profile: String should match pattern"),
        ("seeed", 1, "seeed: Unexpected keyword argument, found 1"),
    ],
)
def test_wrong_values_are_named(place: str, value: object, said: str) -> None:
    """A value of the wrong type or size, and a key that there isn't, are named with their place and what was found."""
    assert said in refused((place, value))


def test_what_is_missing_is_named() -> None:
    """A missing key is named; of many wrong ones the first three are, and how many more there are."""
    values = copy.deepcopy(TINY)
    del values["seed"]
    del values["runs"][COARSE]["stride"]
    with pytest.raises(InputError, match=r"seed: .*required.*runs\.voc-fcn32s-vgg16\.stride: .*required"):
        parse(values)
    with pytest.raises(InputError, match="and 11 more"):
        parse({})
    with pytest.raises(InputError, match=r"^elsewhere\.yaml: "):
        parse(None, where="elsewhere.yaml")


def test_a_run_can_not_start_from_itself() -> None:
    """A run that inits from itself, or from one that inits from it, is told the circle."""
    assert f"runs.{COARSE}.init goes in a circle: {COARSE} -> {COARSE}; the first run" in refused(
        (f"runs.{COARSE}.init", f"nets/{COARSE}")
    )
    assert f"goes in a circle: {COARSE} -> {FINER} -> {COARSE};" in refused((f"runs.{COARSE}.init", f"nets/{FINER}"))


def test_parts_must_fit_each_other() -> None:
    """Strides and skips, the backbones of a chain, and whole batches under pad 100 are held together."""
    assert "stride 16 with skips 'none'; a stride of 32 has skips 'none'" in refused((f"runs.{FINER}.skips", "none"))
    assert "stride 32 with skips 'staged'" in refused((f"runs.{COARSE}.skips", "staged"))
    other = TINY["backbones"]["vgg16"] | {"width": 0.5}
    message = refused(("backbones.wide", other), (f"runs.{FINER}.backbone", "wide"))
    assert "'voc-fcn32s-vgg16' has backbone 'vgg16', this run 'wide'; both must be the same" in message
    message = refused((f"runs.{COARSE}.pad", 100), (f"runs.{COARSE}.crop", None))
    assert "puts 2 images of different sizes into one pass, which pad 100 can't do exactly" in message


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_nonsense_is_refused(values: object) -> None:
    """Whatever YAML can hold, what is no profile is refused with a sentence, and nothing else is raised."""
    with pytest.raises(InputError):
        parse(values)


@given(st.sampled_from(["runs", "solvers", "lists", "weights", "sources"]), st.none() | st.integers() | st.text())
def test_a_spoilt_part_is_refused(part: str, value: object) -> None:
    """A part of a profile that is no mapping is refused by its name."""
    with pytest.raises(InputError, match=f"{part}: "):
        parse(changed((part, value)))


def test_files_that_are_no_profile(tmp_path: Path) -> None:
    """A missing file, a folder, what is no text or no YAML, and an empty file are each one sentence."""
    path = tmp_path / "params.yaml"
    with pytest.raises(InputError, match=r"no such file; --params takes a params\.yaml, such as profiles/paper"):
        load(path)
    with pytest.raises(InputError, match="is a folder; --params takes"):
        load(tmp_path)
    for content, said in (
        (b"\xff\xfe\x00", "not text"),
        (b"a: [1", "not YAML"),
        (b"", "Input should be"),
        (b"- a", "Input"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=said) as caught:
            load(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_rates_may_be_written_without_a_dot(tmp_path: Path) -> None:
    """`rate: 1e-10`, which YAML 1.1 reads as a word, is the number that it means."""
    text = yaml.safe_dump(changed(("solvers.coarse.rate", "RATE"))).replace("RATE", "1e-10")
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    assert load(tmp_path / "params.yaml").solvers["coarse"].rate == 1e-10


def test_what_was_read_does_not_change() -> None:
    """A profile, its runs and its solvers can't be altered after they were checked."""
    config = parse(TINY)
    for thing, field in ((config, "seed"), (config.run(COARSE), "stride"), (config.solvers["coarse"], "rate")):
        with pytest.raises(AttributeError):
            setattr(thing, field, 1)
