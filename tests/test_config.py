"""params.yaml: every wrong entry is one sentence that names it, and what is committed loads."""

import copy
from pathlib import Path
from typing import Any

import pytest
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
    assert parse(TINY).starts(FINER) == (COARSE,)
    assert parse(TINY).starts(COARSE) == ()


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (f"runs.{COARSE}.net", "fcn32s-vgg61", "vgg16.net: unknown name 'fcn32s-vgg61'; did you mean 'fcn32s-vgg16'?"),
        (f"runs.{COARSE}.recipe", "corse", "did you mean 'coarse'? known are: coarse, finer"),
        (f"runs.{COARSE}.init", "weights/vgg16-sampel", "did you mean 'weights/vgg16-sample'?"),
        (f"runs.{FINER}.init", "nets/voc-fcn32-vgg16", "did you mean 'nets/voc-fcn32s-vgg16'?"),
        (f"runs.{COARSE}.train.list", "sbd-trian", "train.list: unknown name 'sbd-trian'; did you mean 'sbd-train'?"),
        (f"runs.{COARSE}.val.dataset", "voc2021", "not 'voc2021'; write {dataset: voc2012, list: voc2012-val-"),
        (f"runs.{COARSE}.train.dataset", "voc2012", "list 'sbd-train' belongs to dataset 'sbd', not 'voc2012'"),
        ("lists.sbd-train.dataset", "sdb", "lists.sbd-train.dataset: unknown name 'sdb'; did you mean 'sbd'?"),
        ("lists.sbd-train.minus", "nothing", "lists.sbd-train.minus: unknown name 'nothing'; known are: "),
        (
            "disjoint",
            [["sbd-train", "voc2012-vall"]],
            "disjoint: unknown name 'voc2012-vall'; did you mean 'voc2012-val",
        ),
        (
            "datasets.sbd.from",
            "data/tiny/archives/sdb",
            "datasets.sbd.from: unknown name 'data/tiny/archives/sdb'; did",
        ),
    ],
)
def test_unknown_names_are_answered_with_known_ones(place: str, value: object, said: str) -> None:
    """A name that nothing has is quoted with its place, a near one is suggested, and those there are are listed."""
    assert said in refused((place, value))


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (4, "write the names in the order of the labels' values, such as [background, cat, dog], found 4"),
        (["sky", 7], "7 is no name of a class: at most 40 letters, digits, single blanks and "),
        (["sky", True], "True is no name of a class"),
        (["sky", "a|b"], "'a|b' is no name of a class"),
        (["sky", ""], "'' is no name of a class"),
        (["sky", "tree", "sky"], "'sky' stands 2 times; each class has a name of its own"),
        (["sky"], "1 names; a net tells apart 2 to 255 classes, whose values in labels are 0..254"),
        ([str(number) for number in range(300)], "300 names; a net tells apart 2 to 255 classes"),
    ],
)
def test_class_names_are_names(classes: object, said: str) -> None:
    """What can't be the names of classes is said in a sentence, with what to write."""
    assert refused(("datasets.sbd.classes", classes)).startswith(f"datasets.sbd.classes: {said}")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"classes": {"sky": 0, "tree": "green"}}, ".classes: 'green' is no pixel of a label: a number, such as 1, or"),
        ({"classes": {"sky": 0, "tree": [0, 0, 256]}}, ".classes: [0, 0, 256] is no pixel of a label"),
        ({"classes": {"sky": 0, "tree": True}}, ".classes: True is no pixel of a label"),
        ({"void": 0.5}, ".void: 0.5 is no pixel of a label: a number, such as 1, or a colour, such as [128, 64, 0]"),
        ({"classes": {"sky": 1, "tree": 1}}, ": 'sky' and 'tree' are both 1 in labels; each needs one of its own"),
        (
            {"classes": {"sky": [9, 9, 9], "tree": [9, 9, 9]}},
            ": 'sky' and 'tree' are both (9, 9, 9) in labels; each needs one of its own",
        ),
        ({"classes": {"sky": 0, "tree": 1}, "void": 1}, ": 'tree' and 'void' are both 1 in labels"),
        ({"classes": {"sky": 0, "tree": [9, 9, 9]}}, ": classes and void are numbers in labels, or colours, but not"),
        ({"classes": {"sky": 0, "tree": 1}, "void": [9, 9, 9]}, ": classes and void are numbers in labels, or colours"),
        ({"classes": ["sky", "tree"], "void": [9, 9, 9]}, ": classes and void are numbers in labels, or colours"),
    ],
)
def test_what_labels_have_for_a_class_is_told_apart(words: dict[str, object], said: str) -> None:
    """A number or colour that means two things, or none, is said with the names that it stands for."""
    assert refused(("datasets.sbd", {"format": "folder", "from": "mine", **words})).startswith(f"datasets.sbd{said}")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"share": 0}, "share: Input should be greater than 0, found 0"),
        ({"share": 1}, "share: Input should be less than 1, found 1"),
        ({"share": "0,8"}, "share: Input should be a valid number, unable to parse string as a number, found '0,8'; a"),
        ({"seed": 3}, ": seed is 3, but there is no `share` to draw with it; add one, or leave it out"),
    ],
)
def test_a_share_is_a_part(words: dict[str, object], said: str) -> None:
    """None of a list and all of it are no share, and a seed without one would do nothing."""
    assert said in refused(("lists.sbd-train", {"dataset": "sbd", **words}))


@pytest.mark.parametrize("ask", [Config.run, Config.archive, Config.dataset, Config.classifier])
def test_a_wrong_name_on_the_command_line_is_answered(ask: Any) -> None:
    """Asking for a run, archive, dataset or classifier that there isn't names those there are."""
    with pytest.raises(InputError, match=r"unknown name 'nonsense'; known are: \w+"):
        ask(parse(TINY), "nonsense")
    with pytest.raises(InputError, match="did you mean 'voc-fcn32s-vgg16'"):
        parse(TINY).run("voc-fcn32s-vg16")


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("recipes.coarse.rate", -0.01, "recipes.coarse.rate: Input should be greater than 0, found -0.01"),
        ("recipes.coarse.rate", 0, "recipes.coarse.rate: Input should be greater than 0, found 0"),
        ("recipes.coarse.rate", "fast", "recipes.coarse.rate: Input should be a valid number"),
        ("recipes.coarse.rate", float("nan"), "recipes.coarse.rate"),
        ("recipes.coarse.rate", float("inf"), "recipes.coarse.rate: Input should be a finite number"),
        ("recipes.coarse.momentum", 1, "recipes.coarse.momentum: Input should be less than 1, found 1"),
        ("recipes.coarse.iterations", -1, "recipes.coarse.iterations: Input should be greater than or equal to 0"),
        ("recipes.coarse.iterations", 1.5, "recipes.coarse.iterations: Input should be a valid integer"),
        (f"runs.{COARSE}.seed", 2**63, f"runs.{COARSE}.seed: Input should be less than {2**63}"),
        ("profile", "a" * 101, "profile: a name is of small letters, digits, `.`, `_` and `-`, at most 100, a"),
        ("archives", {"x;touch y": {"kind": "download"}}, "archives: a name is of small letters, digits, `.`, "),
        ("profile", "a;b", "profile: a name is of small letters"),
        ("threads", 10**9 + 1, "threads: Input should be less than or equal to 1000000000"),
        ("recipes.coarse.batch", 0, "recipes.coarse.batch: Input should be greater than or equal to 1, found 0"),
        ("recipes.coarse.loss", "../max", "recipes.coarse.loss: a name is of small letters"),
        ("recipes.coarse.drop_at", 1.0, "recipes.coarse.drop_at"),
        ("nets.fcn16s-vgg16.taps", [4], "nets.fcn16s-vgg16.taps.0: Input should be 16 or 8, found 4"),
        (
            "nets.fcn16s-vgg16.taps",
            [8],
            "nets.fcn16s-vgg16: taps are [8]; [] makes a net of stride 32, [16] of 16, [16, 8] of",
        ),
        ("nets.fcn16s-vgg16.scales", {8: 0.1}, "scales has an entry for 8, which is not among the taps [16]"),
        ("nets.fcn16s-vgg16.heads", {}, "heads and inputs: a net has at least one of each"),
        ("nets.fcn16s-vgg16.inputs", ["rgb", "sound"], "inputs has 'sound'; a net can take rgb, depth, hha"),
        ("nets.fcn16s-vgg16.inputs", ["rgb", "rgb"], "inputs are rgb, rgb; each can be there once"),
        ("nets.fcn16s-vgg16.fusion", "late", "fusion: late has a trunk for each of several inputs; with one, leave it"),
        ("fusions", {"both": ["nets/no", "nets/such"]}, "fusions.both: unknown name 'nets/no'; known are: nets/voc-"),
        ("fusions", {"both": [f"nets/{COARSE}"]}, "fusions.both.1: Field required"),
        ("fusions", {"vgg16-sample": [f"nets/{COARSE}", f"nets/{FINER}"]}, "classifiers has an entry of this name too"),
        ("nets.fcn32s-vgg16.pad", "none", "nets.fcn32s-vgg16.pad: Input should be 100 or 'same'"),
        ("recipes.coarse.mirror", "perhaps", "recipes.coarse.mirror: Input should be a valid boolean"),
        (f"runs.{COARSE}.init", "../vgg", ".init: weights/NAME or nets/RUN is wanted, in small letters, found '../v"),
        (f"runs.{COARSE}.colour", "red", "colour: no such word; there are regime, train, val, net, init, recipe, see"),
        (f"runs.{COARSE}.val.lst", None, ".val.lst: no such word; did you mean 'list'? there are dataset, list"),
        ("datasets.sbd.from_", "x", "datasets.sbd.from_: no such word; did you mean 'from'? there are format, from"),
        ("archives.sbd.scenes.leakd", 1, ".leakd: no such word; did you mean 'leaked'? there are sbd_train, voc_tr"),
        ("nets.fcn16s-vgg16.backbone.widht", 1, "did you mean 'width'? there are architecture, width, fc, input_px"),
        ("datasets.splits", TINY["datasets"]["sbd"], "datasets.splits: a stage is called so, and has files of that"),
        ("runs.figures", TINY["runs"][COARSE], "runs.figures: a stage is called so, and has files of that name; re"),
        ("disjoint", [["sbd-train"]], "disjoint.0: Tuple should have at least 2 items"),
        ("lists.Big One", {"dataset": "sbd"}, "lists: a name is of small letters, digits, `.`, `_` and `-`, at mo"),
        ("nets.fcn16s-vgg16.heads", {"Semantic": 21}, "nets.fcn16s-vgg16.heads: a name is of small letters, digi"),
        ("archives.sbd.file", "../sbd.tgz", "archives.sbd.file: a file's name is of letters, digits, "),
        ("archives.sbd.kind", "local", "archives.sbd.kind: Input should be 'download' or 'sample', found 'local'"),
        ("backbones.vgg16.dropout", 1.0, "backbones.vgg16.dropout: Input should be less than 1"),
        ("runs", ["a", "b"], "runs: Input should be a valid dictionary"),
        (
            "nets.fcn32s-vgg16.heads",
            {"semantic": 1},
            "heads.semantic: Input should be greater than or equal to 2, found 1",
        ),
        (
            "nets.fcn32s-vgg16.heads",
            {"semantic": 256},
            "semantic: Input should be less than or equal to 255, found 256",
        ),
        ("datasets.sbd.from", "~/sbd", "datasets.sbd.from: to DVC `~` is a folder of that name"),
        ("datasets.sbd.from", "https://me:x@host/a.tgz", "an entry under archives, found 'https://host/a.tgz'"),
        ("root", "../..", "root: '../..' doesn't lead from ., where params is, to the project's root"),
        ("params", "profiles/mine/params.yaml", "mine, where params is, to the project's root; write root: ../.., or"),
        ("profile", "../elsewhere", "profile: a name is of small letters"),
        ("runns", 1, "runns: no such word; did you mean 'runs'? there are profile, root, "),
        ("lists.sbd-train.expect", True, "lists.sbd-train.expect: a number is wanted, found true or false"),
        ("recipes.coarse.decay", False, "recipes.coarse.decay: a number is wanted"),
        ("nets.fcn16s-vgg16.scales", {16: True}, "nets.fcn16s-vgg16.scales.16: a number is wanted"),
        ("nets.fcn16s-vgg16.scales", {"16": True}, "nets.fcn16s-vgg16.scales.16: a number is wanted"),
        (f"runs.{COARSE}.seed", False, f"runs.{COARSE}.seed: a number is wanted"),
        ("archives", {"x\ny": {"kind": "download"}}, r"archives: a name is of small letters"),
    ],
)
def test_wrong_values_are_named(place: str, value: object, said: str) -> None:
    """A value of the wrong type or size, and a key that there isn't, are named with their place and what was found."""
    assert said in refused((place, value))


def test_what_is_missing_is_named() -> None:
    """A missing key is named; of many wrong ones the first three are, and how many more there are."""
    values = copy.deepcopy(TINY)
    del values["threads"]
    del values["runs"][COARSE]["net"]
    with pytest.raises(InputError, match=r"threads: .*required.*runs\.voc-fcn32s-vgg16\.net: .*required"):
        parse(values)
    with pytest.raises(InputError, match="and 6 more"):
        parse({})
    with pytest.raises(InputError, match=r"^elsewhere\.yaml: "):
        parse(None, where="elsewhere.yaml")


def test_nothing_can_start_from_itself() -> None:
    """A run that inits from itself, or from one that inits from it, is told the circle; so is a list and its minus.

    From wherever one comes to a circle, its own members are named.
    """
    assert f"runs.{COARSE}.init goes in a circle: {COARSE} -> {COARSE}; the first run" in refused(
        (f"runs.{COARSE}.init", f"nets/{COARSE}")
    )
    val = "voc2012-val-minus-sbd-train"
    assert (
        f"lists.sbd-train.minus goes in a circle: sbd-train -> {val} -> sbd-train; take one `minus` of it out"
        in refused(("lists.sbd-train.minus", val))
    )
    assert "lists.sbd-train.minus goes in a circle: sbd-train -> sbd-train;" in refused(
        ("lists.sbd-train.minus", "sbd-train")
    )
    outside = {"outside": {"dataset": "sbd", "minus": val}, **TINY["lists"]}
    assert f"lists.{val}.minus goes in a circle: {val} -> sbd-train -> {val};" in refused(
        ("lists", outside), ("lists.sbd-train", {"dataset": "sbd", "minus": val})
    )
    assert f"goes in a circle: {COARSE} -> {FINER} -> {COARSE};" in refused((f"runs.{COARSE}.init", f"nets/{FINER}"))


def test_parts_must_fit_each_other() -> None:
    """The backbones of a chain, what a finer net takes over, and whole batches under pad 100 are held together."""
    other = TINY["backbones"]["vgg16"] | {"width": 0.5}
    message = refused(("nets.fcn16s-vgg16.backbone", other))
    assert "'voc-fcn32s-vgg16' has backbone" in message
    assert "width=0.5" in message
    assert "both must be the same" in message
    message = refused(("nets.fcn16s-vgg16.pad", 100), ("recipes.finer.batch", 1))
    assert "'voc-fcn32s-vgg16' was trained with pad same, the run's net has 100; write pad: same" in message
    message = refused(("nets.fcn32s-vgg16.pad", 100), ("recipes.coarse.crop", None))
    assert "puts 2 images of different sizes into one pass, which pad 100 can't do exactly" in message


FUSED: dict[str, Any] = {"rgb": {}, "hha": {"inputs": ["hha"]}, "both": {"inputs": ["rgb", "hha"], "fusion": "late"}}


def joined(**nets: Any) -> "dict[str, Any]":
    """A profile of three nets of these shapes, the last of which starts with the other two."""
    net, run = TINY["nets"]["fcn32s-vgg16"], TINY["runs"][COARSE]
    runs = {name: run | {"net": name} for name in FUSED}
    runs["both"] |= {"init": "weights/joined"}
    shapes = {name: net | FUSED[name] | nets.get(name, {}) for name in FUSED}
    return TINY | {"nets": shapes, "runs": runs, "fusions": {"joined": ["nets/rgb", "nets/hha"]}}


def test_late_fusion_starts_from_two_runs() -> None:
    """A fusion is of two runs, whose nets are alike but for their one input; a circle leads through fusions, too."""
    assert parse(joined()).starts("both") == ("rgb", "hha")
    profile = joined()
    profile["runs"]["both"]["init"] = "weights/vgg16-sample"
    with pytest.raises(InputError, match="'vgg16-sample' is a classifier; late fusion joins nets that are trained"):
        parse(profile)
    for nets, said in (
        ({"hha": {"inputs": ["rgb"]}}, "'joined' joins nets that take rgb and rgb; late fusion is of two nets of one"),
        (
            {"hha": {"taps": [16]}},
            "'joined' joins nets that differ in taps; nets that are joined are alike but for their inputs",
        ),
        (
            {"rgb": {"inputs": ["rgb", "depth"]}},
            "'joined' joins nets that take rgb+depth and hha; late fusion is of two nets",
        ),
        ({"both": {"inputs": ["hha", "rgb"]}}, "'joined' takes rgb, hha, the run's net hha, rgb; both must take the"),
        ({"both": {"fusion": "early"}}, "'joined' has fusion late, the run's net early; both must have the same"),
    ):
        with pytest.raises(InputError) as caught:
            parse(joined(**nets))
        assert f"runs.both.init: {said}" in str(caught.value)
    with pytest.raises(InputError, match=r"nets\.both: fusion: late has one last upsampling .*; write intermediate$"):
        parse(joined(both={"upsampling": "all"}))
    values = joined()
    values["runs"]["rgb"] = values["runs"]["rgb"] | {"init": "weights/joined"}
    with pytest.raises(InputError, match=r"runs\.rgb\.init goes in a circle: rgb -> rgb"):
        parse(values)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_nonsense_is_refused(values: object) -> None:
    """Whatever YAML can hold, what is no profile is refused with a sentence, and nothing else is raised."""
    with pytest.raises(InputError):
        parse(values)


@given(
    st.sampled_from(["runs", "recipes", "nets", "lists", "weights", "datasets", "archives"]),
    st.none() | st.integers() | st.text(),
)
def test_a_spoilt_part_is_refused(part: str, value: object) -> None:
    """A part of a profile that is no mapping is refused by its name."""
    with pytest.raises(InputError, match=f"{part}: "):
        parse(changed((part, value)))


def test_what_was_read_does_not_change() -> None:
    """A profile, its runs and its recipes can't be altered after they were checked."""
    config = parse(TINY)
    for thing, field in ((config, "threads"), (config.run(COARSE), "net"), (config.recipes["coarse"], "rate")):
        with pytest.raises(AttributeError):
            setattr(thing, field, 1)
