"""Image lists: what is derived, and what is refused."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcn.datasets import lists as list_files
from fcn.datasets import splits
from fcn.entries import ImageList
from fcn.errors import InputError

VOC = splits.Holdings(
    format="voc",
    lists={
        "train": ["t1", "t2", "p9"],
        "val": ["v1", "p1", "v2", "p2"],
        "trainval": ["t1", "t2", "p9", "v1", "p1", "v2", "p2"],
    },
    ids=["t1", "t2", "p9", "v1", "p1", "v2", "p2"],
)
SBD = splits.Holdings(format="sbd", lists={"train": ["s1", "v1", "v2"], "val": ["s2"]}, ids=["s1", "s2", "v1", "v2"])
HOLDINGS = {"voc2012": VOC, "sbd": SBD}
SBD_TRAIN = ImageList(dataset="sbd", list="train", expect=3)


def derive(
    lists: Mapping[str, ImageList],
    *,
    holdings: Mapping[str, splits.Holdings] = HOLDINGS,
    published: Sequence[str] = ("p1", "p2"),
) -> dict[str, list[str]]:
    """Derive lists, of the datasets above and one published list, if nothing else is said."""
    return splits.derive(lists, holdings=holdings, published={"seg11valid": published})


def refused(lists: Mapping[str, ImageList], *, published: Sequence[str] = ("p1", "p2")) -> str:
    """Derive in vain, and return the message."""
    with pytest.raises(InputError) as caught:
        derive(lists, published=published)
    return str(caught.value)


def test_an_own_list_is_taken_as_it_is() -> None:
    """A dataset's own list keeps its ids and their order."""
    assert derive({"a": ImageList(dataset="voc2012", list="val", expect=4)}) == {"a": ["v1", "p1", "v2", "p2"]}


def test_a_list_less_another() -> None:
    """`minus` leaves out what another list has, from whatever dataset and wherever it stands in params.yaml."""
    lists = {"rest": ImageList(dataset="voc2012", list="val", minus="sbd-train"), "sbd-train": SBD_TRAIN}
    assert derive(lists) == {"rest": ["p1", "p2"], "sbd-train": ["s1", "v1", "v2"]}


def test_without_a_list_it_is_every_label() -> None:
    """A list that begins with none of the dataset's has the ids of all its labels, sorted."""
    assert derive({"a": ImageList(dataset="voc2012")}) == {"a": sorted(VOC.ids)}


@given(st.sets(st.text("abc0", min_size=1), max_size=40), st.sets(st.text("abc0", min_size=1)))
def test_a_share_stays_when_images_are_added(before: set[str], more: set[str]) -> None:
    """Whether an image is in a share, its id and the seed decide, not the others; a larger share has all of it."""
    found = []
    for ids, share in ((before, 0.5), (before | more, 0.5), (before, 0.8)):
        holdings = {"mine": splits.Holdings(format="folder", lists={}, ids=["x9", "x1", *ids])}
        part = ImageList(dataset="mine", share=share)
        lists = derive({"part": part, "rest": ImageList(dataset="mine", minus="part")}, holdings=holdings)
        assert sorted([*lists["part"], *lists["rest"]]) == sorted({"x9", "x1", *ids})
        found.append(set(lists["part"]))
    assert found[1] & {"x9", "x1", *before} == found[0] <= found[2]


def test_a_share_is_about_as_large_as_it_says() -> None:
    """Of 2,000 images a share of 0.8 has about 1,600, and another seed draws others; of a list it keeps the order."""
    holdings = {"mine": splits.Holdings(format="folder", lists={}, ids=[f"{number}" for number in range(2000)])}
    lists = {f"seed{seed}": ImageList(dataset="mine", share=0.8, seed=seed) for seed in (0, 1)}
    first, second = derive(lists, holdings=holdings).values()
    assert 1540 < len(first) < 1660
    assert 1220 < len(set(first) & set(second)) < 1340
    ours = {"mine": splits.Holdings(format="voc", lists={"some": (some := first[::-9])}, ids=first)}
    (part,) = derive({"part": ImageList(dataset="mine", list="some", share=0.4)}, holdings=ours).values()
    assert part == [image_id for image_id in some if image_id in part] != some


def test_the_published_list_is_proven() -> None:
    """With `minus` and `published`, what is derived must be the published list, as far as its ids are here."""
    lists = {
        "sbd-train": SBD_TRAIN,
        "a": ImageList(dataset="voc2012", list="val", minus="sbd-train", published="seg11valid", expect=2),
    }
    assert derive(lists, published=["p2", "p1"])["a"] == ["p1", "p2"]
    assert derive(lists, published=["p1", "p2", "not held"])["a"] == ["p1", "p2"]


def test_the_published_list_is_taken_from_another_years_archive() -> None:
    """With `published` alone, its ids are picked from the dataset's list: VOC 2011's from the archive of 2012."""
    lists = {"a": ImageList(dataset="voc2012", list="trainval", published="seg11valid", expect=3)}
    assert derive(lists, published=["p9", "p1", "p2"])["a"] == ["p9", "p1", "p2"]


def test_missing_published_ids_are_counted() -> None:
    """Where published ids are not in the dataset, the message has their number, and which archive has them."""
    lists = {"a": ImageList(dataset="voc2012", list="trainval", published="seg11valid", expect=4)}
    message = refused(lists, published=["p1", "p2", "x1", "x2"])
    assert message.startswith(
        "lists.a: 2 images, expected 4; list 'trainval' of 'voc2012' lacks 2 of the 4 published ids"
    )
    assert "(x1, x2)" in message
    assert "VOCtrainval_25-May-2011.tar" in message


@pytest.mark.parametrize(
    "content",
    [
        "2007_000032\nmy cat\n".encode("utf-8-sig"),
        "2007_000032\nmy cat\n".encode("utf-16"),
        "\ufeff2007_000032\nmy cat\n".encode("utf-16-be"),
        b"2007_000032\r\n\r\n  my cat \r\n\n",
        b"2007_000032\rmy cat",
        b"2007_000032.jpg\nmy cat.PNG\n",
        b"/JPEGImages/2007_000032.jpg /SegmentationClassAug/2007_000032.png\nJPEGImages/my cat.jpg\tmasks/my cat.png\n",
        b"JPEGImages\\2007_000032.jpeg\nimg/my cat.jpg cls/my cat.mat",
    ],
)
def test_a_list_is_read_whoever_saved_it(tmp_path: Path, content: bytes) -> None:
    """Marks of encodings, ends of lines, blanks, names of files and of pairs of files: the ids are the same."""
    (tmp_path / "a.txt").write_bytes(content)
    assert list_files.read(tmp_path / "a.txt") == ["2007_000032", "my cat"]


def test_what_the_project_wrote_is_read_to_the_letter(tmp_path: Path) -> None:
    """A list that was written comes back as it was; in a person's, a line that is an id as it stands is that one."""
    ids = ["x.jpg", "y", " my cat", "a/b.png c/b.png", "café"]
    (tmp_path / "a.txt").write_text(list_files.text(ids), encoding="utf-8")
    assert list_files.read_back(tmp_path / "a.txt") == ids
    assert list_files.read(tmp_path / "a.txt", ids=ids[:2]) == ["x.jpg", "y", "my cat", "b", "café"]


def test_what_a_list_may_mean_is_left_as_it_is(tmp_path: Path) -> None:
    """A line that isn't surely an id's files stays whole, so that it is named as an id without a label."""
    lines = ["a/1.jpg b/2.png", "a b", "2007_000032  1", "caf\xe9"]
    (tmp_path / "a.txt").write_text("\n".join(lines), encoding="utf-8")
    assert list_files.read(tmp_path / "a.txt") == lines


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a\ncaf\xe9\n".encode("latin-1"), r"a.txt: line 2 is not UTF-8 text; save the list as UTF-8"),
        (b"\xff\xfea", r"a.txt: line 1 is not UTF-16 text"),
        ("ab\n".encode("utf-16-le"), r"a.txt: it has zero bytes, as UTF-16 without its mark has"),
        (b"a\n" + b"b" * 1_000_000, r"a.txt: a line of 1,000,000 letters, 'b{20}'\.\.\.; a line is the id of a label"),
    ],
)
def test_a_list_that_is_no_text_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    """What can't be decoded for certain, or holds no ids, is refused, with the line and what to do."""
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(InputError, match=words):
        list_files.read(tmp_path / "a.txt")


def test_ids_without_a_label_are_named() -> None:
    """A list that a run uses, with an id that has no label, is refused."""
    lists = {"a": ImageList(dataset="voc2012", list="val")}
    holdings = {"voc2012": splits.Holdings(format="voc", lists=VOC.lists, ids=VOC.ids[1:-1])}
    with pytest.raises(InputError, match=r"lists.a: list 'val' of 'voc2012': 1 of its 4 ids has no label \(p2\)"):
        derive(lists, holdings=holdings)


@pytest.mark.parametrize(
    ("published", "words"),
    [
        (["p1"], "which is not the published list 'seg11valid' of 1: 1 are not in it (p2)"),
        (["p1", "p2", "p9"], "1 of it are missing, though their labels are here (p9)"),
    ],
)
def test_a_list_that_differs_from_the_published_one_is_refused(published: list[str], words: str) -> None:
    """One image more or less than the published list has, and the list is refused, with the way to the right one."""
    lists = {
        "sbd-train": SBD_TRAIN,
        "a": ImageList(dataset="voc2012", list="val", minus="sbd-train", published="seg11valid"),
    }
    message = refused(lists, published=published)
    assert words in message
    assert "VOCtrainval_25-May-2011.tar" in message


def test_a_list_that_the_dataset_has_not_is_refused() -> None:
    """A list of another year is refused by name, with the archive that would have it; of own data, with its place."""
    message = refused({"voc2011-train": ImageList(dataset="voc2012", list="train11")})
    assert message.startswith(
        "lists.voc2011-train: dataset 'voc2012' has no list 'train11'; did you mean 'train'? it has train, trainval, v"
    )
    assert "no list 'val.txt'; did you mean 'val'? " in refused({"a": ImageList(dataset="sbd", list="val.txt")})
    assert "VOCtrainval_25-May-2011.tar" in message
    assert "VOC" not in refused({"a": ImageList(dataset="sbd", list="train_noval")})
    for form, there in (("voc", ("trainval", "val")), ("folder", ("train", "trainval", "val"))):
        own = {"mine": splits.Holdings(format=form, lists={name: [] for name in there}, ids=[])}
        with pytest.raises(InputError) as caught:
            derive({"a": ImageList(dataset="mine", list="first")}, holdings=own)
        assert str(caught.value) == (
            f"lists.a: dataset 'mine' has no list 'first'; it has {', '.join(there)}; without `list` it is all images "
            "that have a label; or put first.txt to the lists in datasets.mine.from"
            + (", in its folder lists or the one that is named as its `lists`" if form == "folder" else "")
        )


def test_an_unexpected_count_is_refused() -> None:
    """`expect` is exact, and the message has both counts."""
    message = refused({"a": ImageList(dataset="sbd", list="train", expect=8498)})
    assert message.startswith("lists.a: 3 images, expected 8498")


def test_an_unknown_published_list_is_refused() -> None:
    """An unknown published list is refused with those that are known."""
    message = refused({"a": ImageList(dataset="sbd", list="train", published="seg12valid")})
    assert message == "lists.a.published: unknown list 'seg12valid'; did you mean 'seg11valid'? known are: seg11valid"


def test_an_empty_list_is_refused() -> None:
    """A list with nothing in it is refused, before something is learned from nothing; what made it so is named."""
    part = ImageList(dataset="sbd", share=0.5)
    for entry, said in (
        (ImageList(dataset="sbd", list="train", minus="b"), "check `list`, `minus`"),
        (
            ImageList(dataset="sbd", minus="b", share=0.4),
            "check `minus`; or take a larger `share`, with `minus` la",
        ),
        (ImageList(dataset="sbd", share=1e-9), "take a larger `share`"),
    ):
        minus = SBD_TRAIN if entry.list else part
        assert f"lists.a: no image is left in it; {said}" in refused({"a": entry, "b": minus})


def test_an_id_twice_is_refused() -> None:
    """A list that has an id twice is refused: its image would count twice."""
    holdings = {"sbd": splits.Holdings(format="sbd", lists={"train": ["a", "b", "a"]}, ids=["a", "b"])}
    with pytest.raises(InputError, match=r"1 ids stand more than once in list 'train' of 'sbd' \(a\)"):
        derive({"x": ImageList(dataset="sbd", list="train")}, holdings=holdings)


def test_minus_in_a_circle_is_refused() -> None:
    """Lists that leave out each other are refused, with the circle."""
    lists = {
        "a": ImageList(dataset="sbd", list="train", minus="b"),
        "b": ImageList(dataset="sbd", list="val", minus="a"),
    }
    assert "a -> b -> a" in refused(lists)
    assert "circle: a -> b -> a" in refused({"outside": ImageList(dataset="sbd", list="val", minus="a"), **lists})


def test_a_leak_is_found() -> None:
    """Lists that should be disjoint and are not are refused with the number of shared images."""
    with pytest.raises(InputError, match=r"lists 'train' and 'val' share 2 images \(x, y\);.* two datasets call other"):
        splits.prove_disjoint({"train": ["x", "y", "z"], "val": ["y", "x"]}, pairs=[("train", "val")])
    splits.prove_disjoint({"train": ["x"], "val": ["y"]}, pairs=[("train", "val")])


def test_the_hash_is_that_of_the_file() -> None:
    """A list's hash is what sha256sum says of its file, and depends on the order."""
    assert list_files.text(["a", "b"]) == "a\nb\n"
    assert splits.sha256(["a", "b"]) == "911169ddaaf146aff539f58c26c489af3b892dff0fe283c1c264c65ae5aa59a2"
    assert splits.sha256(["a", "b"]) != splits.sha256(["b", "a"])


IDS = st.lists(st.sampled_from([f"i{number}" for number in range(12)]), unique=True, min_size=1)


@given(first=IDS, second=IDS)
def test_what_is_left_out_is_out(first: list[str], second: list[str]) -> None:
    """For any two lists: a list less another shares nothing with it, loses nothing else, and keeps its order."""
    holdings = {"s": splits.Holdings(format="sbd", lists={"a": first, "b": second}, ids=[*first, *second])}
    lists = {"b": ImageList(dataset="s", list="b"), "rest": ImageList(dataset="s", list="a", minus="b")}
    expected = [image_id for image_id in first if image_id not in second]
    if not expected:
        with pytest.raises(InputError):
            derive(lists, holdings=holdings)
        return
    derived = derive(lists, holdings=holdings)
    assert derived["rest"] == expected
    splits.prove_disjoint(derived, pairs=[("b", "rest")])
