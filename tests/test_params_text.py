"""A params.yaml as text: what is no YAML, or YAML that says other than its writer meant, is one sentence."""

from pathlib import Path

import pytest
import yaml

from fcn.config import load
from fcn.errors import InputError
from tests.training import tiny

ROOT = Path(__file__).resolve().parent.parent


def test_files_that_are_no_profile(tmp_path: Path) -> None:
    """A missing file, a folder, what is no text or no YAML, and an empty file are each one sentence."""
    path = tmp_path / "params.yaml"
    with pytest.raises(InputError, match=r"no such file; --params takes a params\.yaml, such as profiles/paper"):
        load(path)
    with pytest.raises(InputError, match="is a folder; --params takes"):
        load(tmp_path)
    path.symlink_to(path)
    with pytest.raises(InputError, match="Too many levels of symbolic links; --params takes"):
        load(path)
    path.unlink()
    for content, said in (
        (b"\xff\xfe\x00", "not text"),
        (b"a: [1", "not YAML"),
        (b"seed: " + b"9" * 5000, "not YAML: Exceeds the limit"),
        (b"a: 2023-02-31", "not YAML: day is out of range"),
        (
            b"",
            "empty, or no mapping; a profile has profile, root, params, threads, datasets, lists, nets, recipes, runs:",
        ),
        (b"- a", "empty, or no mapping; a profile has"),
        (b"a: " + b"[" * 3000 + b"]" * 3000, "nested too deep"),
        (b"{a: " * 3000 + b"}" * 3000, "nested too deep"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=said) as caught:
            load(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("rate: 0.01", "rate: 0,005", "line LINE, column .*: not YAML: '005' has no value; a number has a point"),
        ("iterations: 80", "iterations: 1,400", "'400' has no value; a number has a point and no comma: 0.005, 1400"),
        ("decay: 5.0e-4", "decay: 5,0e-4", "'0e-4' has no value; a number has a point and no comma"),
        ("rate: 0.01", "rate:0.01", "'rate:0.01' has no value; a space belongs behind the colon"),
        ("mirror: true,", "mirror,", "'mirror' has no value; `key: value` is wanted, between commas"),
        ("threads: 1", "threads: 0,5", "threads: .* found '0,5'; a number has a point and no comma"),
        ("threads: 1", "threads:\t1", "line LINE, column .*: not YAML: .*; a tab, where YAML wants spaces"),
        ("threads: 1", "threads:1", "in what begins in line LINE; in the line where it begins, a colon is missing, or"),
        ("  finer: {", "  finer:{", "line LINE, column .* a colon has no space behind"),
        ("  finer: {", "   finer: {", "line LINE, column .* indented otherwise than its neighbours"),
        ("  finer: {", "finer: {", "finer: no such word; there are profile, .* is indented"),
        ("crop: 64", "crop: [64", "line LINE, column .*; a comma, or the bracket that closes, is missing before it"),
        ("*smoke", "*smok", "line LINE, column .*: .* undefined alias 'smok'; .* what &name marks further up"),
        ("pad: same", "pad: 'same", "end of stream in what begins in line LINE; a quote or bracket is never closed"),
        ("format: voc", "format: @voc", "line LINE, column .* begins with such a character is put into quotes"),
        ("from: data", r'from: "C:\Users', "line LINE, column .*; with a backslash in it, a value is put into single"),
        ("  sbd: {kind", "  no: {kind", "archives: a name that YAML reads as False is put into quotes$"),
        ("  finer: {", "  2012: {", "recipes: a name that YAML reads as 2012 is put into quotes$"),
        ("threads: 1", "threads:", "threads: Input should be a valid integer, found nothing"),
    ],
)
def test_slips_of_the_pen_are_told(tmp_path: Path, old: str, new: str, said: str) -> None:
    """A comma in a number, a tab, a missing space or bracket, a wrong indentation: where, and what to look for."""
    text = tiny.SMOKE.read_text(encoding="utf-8")
    before = text[: text.index(old)]
    (tmp_path / "params.yaml").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError, match=said.replace("LINE", str(before.count("\n") + 1))) as caught:
        load(tmp_path / "params.yaml")
    assert "\n" not in str(caught.value)


def test_a_key_that_stands_twice_is_named(tmp_path: Path) -> None:
    """A second line for the same run is refused, where YAML would drop the first without a word; a merge is none."""
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    number, line = next(it for it in enumerate(text.splitlines(), 1) if it[1].startswith("  voc-fcn16s-vgg16:"))
    (tmp_path / "params.yaml").write_text(text.replace(line, f"{line}\n{line}"), encoding="utf-8")
    with pytest.raises(
        InputError, match=rf"line {number + 1}, .* 'voc-fcn16s-vgg16' stands twice, first in line {number}"
    ):
        load(tmp_path / "params.yaml")
    assert "<<: *coarse" in text
    assert load(ROOT / "params.yaml").recipes["coarse-fixed"].trained == "score"


def test_rates_may_be_written_without_a_dot(tmp_path: Path) -> None:
    """`rate: 1e-10`, which YAML 1.1 reads as a word, is the number that it means."""
    values = tiny.params()
    values["recipes"]["coarse"]["rate"] = "RATE"
    text = yaml.safe_dump(values).replace("RATE", "1e-10")
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    assert load(tmp_path / "params.yaml").recipes["coarse"].rate == 1e-10


def test_a_profile_that_lies_elsewhere_may_have_any_root(tmp_path: Path) -> None:
    """Only of a params.yaml named from the project's root on can be told where its root leads."""
    values = tiny.params() | {"params": "/elsewhere/params.yaml", "root": "../.."}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    assert load(tmp_path / "params.yaml").root == "../.."
