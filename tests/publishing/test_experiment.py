"""The data between files and MLflow: digests, tags of dvc.lock, the view."""

import json
from pathlib import Path

from fcn.publishing import origin, shared_view
from fcn.publishing.experiment import ROW, Entry, Experiment, about, columns, place, rounded


def test_a_digest_is_of_content(tmp_path: Path) -> None:
    """Where a file lies doesn't change a digest; its artifact, its content, and anything else of the run does.

    Nor does what made it, or its place among the rows.
    """
    for name, content in {"x.png": "1", "y.png": "1", "z.png": "2"}.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    files = {"figures/f.png": tmp_path / "x.png"}
    first = Entry(name="a", files=files)
    same = [Entry(name="a", files={"figures/f.png": tmp_path / "y.png"}), Entry(name="a", files=files, origin=place(7))]
    assert {item.digest for item in same} == {first.digest}
    others = [
        Entry(name="b", files=files),
        Entry(name="a", files={"figures/f.png": tmp_path / "z.png"}),
        Entry(name="a", files={"figures/g.png": tmp_path / "x.png"}),
        Entry(name="a", files=files, metrics={"mean_iu": 1.0}),
        Entry(name="a", files=files, tags={"run": "x"}),
        Entry(name="a", files=files, curves={"loss": [(1, 1.0)]}),
    ]
    assert len({first.digest, *(other.digest for other in others)}) == 1 + len(others)


def test_the_lock_is_read_as_data() -> None:
    """The order of stages and outputs in dvc.lock doesn't count; a changed output does; unknown stages are left out."""
    outs = [{"path": "a", "md5": "1"}, {"path": "b", "md5": "2"}, {"path": "c"}]
    one = {"stages": {"train@x": {"outs": outs}, "evaluate@x": {"outs": []}}}
    two = {"stages": {"evaluate@x": {"outs": []}, "train@x": {"outs": outs[::-1]}}}
    assert origin.tags(one, "train@x") == origin.tags(two, "train@x")
    changed = {"stages": {"train@x": {"outs": [{"path": "a", "md5": "3"}, *outs[1:]]}}}
    assert origin.tags(changed, "train@x") != origin.tags(one, "train@x")
    assert origin.tags(one, "train@y") == {}
    assert origin.tags({}, "train@x") == {}
    assert origin.checkpoint(one, "train@x", "a") == {"checkpoint": "a", "checkpoint.md5": "1"}
    assert origin.checkpoint({}, "train@x", "a") == {"checkpoint": "a"}


def test_a_view_orders_rows_and_columns() -> None:
    """The view names every column once, the row's name first, has a width for each, and goes by the tag given."""
    shown = columns("metrics", "mean_iu") + columns("tags", "run")
    entries = [Entry(name=name, tags={"run": "x" * 200}) for name in ("first", "second")]
    state = json.loads(shared_view.state(Experiment(name="e", title="t", note="n", columns=shown, entries=entries)))
    assert state["columnOrder"][:3] == ["attributes.`Run Name`", "metrics.`mean_iu`", "tags.`run`"]
    assert set(state["columnOrder"]) == set(state["columnWidths"])
    assert state["selectedColumns"] == ["metrics.`mean_iu`", "tags.`run`"]
    assert (state["orderByKey"], state["orderByAsc"]) == ("tags.`row`", True)
    assert max(state["columnWidths"].values()) < 400


def test_the_front_page_is_told_the_views() -> None:
    """A browser gets each published view; one of another version, or that MLflow has packed, is left out, unharmed."""
    shown = columns("tags", "</script>")
    saved = shared_view.saved(Experiment(name="e", title="t", note="n", columns=shown, entries=[]))
    packed = json.dumps({"name": "mine", "createdAt": 1, "state": "deflate;xyz"})
    values = {"1": saved, "2": packed, "3": json.dumps({"selectedColumns": []}), "4": "no JSON", "5": "[]"}
    script = shared_view.front({**{key: {shared_view.TAG: value} for key, value in values.items()}, "6": {}})
    assert [key for key in "123456" if f'ExperimentPage-[\\"{key}\\"]' in script] == ["1"]
    assert "<" not in script


def test_rows_are_ordered_as_text() -> None:
    """The tags of hundreds of rows are in order when compared as text."""
    tags = [place(index)[ROW] for index in range(300)]
    assert sorted(tags) == tags


def test_numbers_are_rounded_without_minus_zero() -> None:
    """Rounding gives one decimal, and never -0.0."""
    assert str(rounded(-0.04)) == "0.0"
    assert rounded(59.44) == 59.4


def test_only_the_sample_is_a_miniature() -> None:
    """The descriptions of sample and smoke say that their numbers are no papers' numbers; others name the profile."""
    assert "miniature" in about("sample")
    assert "miniature" not in about("paper")
    assert "mean nothing" in about("smoke")
    assert "`paper`" in about("paper")
