"""Taking archives apart, the hostile and the damaged ones too."""

import gzip
import io
import stat
import tarfile
import zipfile
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcn.datasets import archive
from fcn.datasets.formats import sbd, voc
from fcn.errors import InputError
from tests.data import tiny

CONTENT = {"a/x.txt": b"x" * 3000, "a/y.txt": b"", "b/z.txt": b"z" * 70_000}


def everything(members: list[str]) -> list[str]:
    """All members are wanted."""
    return members


def link(name: str, target: str, *, hard: bool = False) -> tarfile.TarInfo:
    """A link as a member."""
    info = tarfile.TarInfo(name)
    info.type = tarfile.LNKTYPE if hard else tarfile.SYMTYPE
    info.linkname = target
    return info


def refused(path: Path, folder: Path) -> str:
    """Extract in vain, and return the message."""
    folder.mkdir(exist_ok=True)
    with pytest.raises(InputError) as caught:
        archive.extract([path], folder, wanted=everything)
    return str(caught.value)


@pytest.mark.parametrize("name", ["a.tar", "a.tgz", "a.zip"])
def test_only_what_is_wanted_is_written(tmp_path: Path, name: str) -> None:
    """Only wanted members are written, under their names, byte for byte."""
    path = tiny.pack(tmp_path / name, CONTENT)
    out = tmp_path / "out"
    out.mkdir()
    archive.extract([path], out, wanted=lambda members: [member for member in members if member.startswith("a/")])
    assert {name: (out / name).read_bytes() for name in tiny.tree(out)} == {
        name: content for name, content in CONTENT.items() if name.startswith("a/")
    }


def test_several_archives_are_as_one(tmp_path: Path) -> None:
    """What is wanted is chosen among the members of all, and written into one folder; a name in two is refused."""
    (tmp_path / "out").mkdir()
    paths = [tiny.pack(tmp_path / "a.tar", {"a/x": b"x", "a/y": b"y"}), tiny.pack(tmp_path / "b.zip", {"b/z": b"z"})]

    def wanted(members: list[str]) -> list[str]:
        assert members == ["a/x", "a/y", "b/z"]
        return ["a/y", "b/z"]

    archive.extract(paths, tmp_path / "out", wanted=wanted)
    assert tiny.tree(tmp_path / "out") == ["a/y", "b/z"]
    with pytest.raises(InputError, match=r"a\.tar and .*a\.tar: a/x is in it 2 times; fetch it again"):
        archive.extract([paths[0], paths[0]], tmp_path / "out", wanted=everything)


def test_names_may_begin_with_a_dot(tmp_path: Path) -> None:
    """`./a` and `a` are the same name, as tar writes both."""
    path = tiny.pack(tmp_path / "a.tar", {"./a/x.txt": b"x"})
    archive.extract([path], tmp_path, wanted=everything)
    assert (tmp_path / "a" / "x.txt").read_bytes() == b"x"


@pytest.mark.parametrize(
    ("name", "member"),
    [
        ("climbs", tarfile.TarInfo("../evil.txt")),
        ("climbs inside", tarfile.TarInfo("a/../../evil.txt")),
        ("goes back inside", tarfile.TarInfo("a/../b/evil.txt")),
        ("absolute", tarfile.TarInfo("/tmp/evil.txt")),
        ("link out", link("a/evil", "../../outside")),
        ("absolute link", link("a/evil", "/etc")),
        ("hard link out", link("a/evil", "../outside", hard=True)),
    ],
)
def test_nothing_leaves_the_folder(tmp_path: Path, name: str, member: tarfile.TarInfo) -> None:
    """A member whose path or link leads out is named, and nothing at all is extracted."""
    path = tiny.pack(tmp_path / "a.tar", CONTENT, extra=[member])
    message = refused(path, tmp_path / "out")
    assert f"its member {member.name}" in message, name
    assert "leads out of the folder" in message
    assert tiny.tree(tmp_path) == ["a.tar"]


def test_a_file_behind_a_link_stays_inside(tmp_path: Path) -> None:
    """A link within the folder isn't made, so a file below it lands in a real folder."""
    path = tiny.pack(tmp_path / "a.tar", {"a/x.txt": b"x"}, extra=[link("c", "a")])
    with tarfile.open(path, "a") as tar:
        info = tarfile.TarInfo("c/y.txt")
        info.size = 1
        tar.addfile(info, io.BytesIO(b"y"))
    out = tmp_path / "out"
    out.mkdir()
    archive.extract([path], out, wanted=everything)
    assert tiny.tree(out) == ["a/x.txt", "c/y.txt"]
    assert not (out / "c").is_symlink()


def test_a_device_is_refused(tmp_path: Path) -> None:
    """A device or pipe in an archive is named and refused."""
    info = tarfile.TarInfo("a/pipe")
    info.type = tarfile.FIFOTYPE
    assert "its member a/pipe is a device or a pipe" in refused(
        tiny.pack(tmp_path / "a.tar", {}, extra=[info]), tmp_path
    )


def test_a_name_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    """Of two members of one name it can't be known which is meant."""
    path = tiny.pack(tmp_path / "a.tar", CONTENT, extra=[tarfile.TarInfo("a/x.txt")])
    assert "a/x.txt is in it 2 times" in refused(path, tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a/" + "n" * 256, "nnn...' is longer than 255 bytes, or has control characters; rename it"),
        ("a/caf\udce9.png", r"the name 'a/caf\udce9.png' is not UTF-8; rename the file"),
        ("a/two\nlines.png", r"the name 'a/two\nlines.png' is longer than 255 bytes, or has control characters"),
        ("a", "a/x.txt lies where another of its files is"),
        ("a/x.txt/y.txt", "a/x.txt/y.txt lies where another of its files is"),
    ],
)
def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path, name: str, words: str) -> None:
    """Names that are too long, not UTF-8, of several lines, or a folder's and a file's at once are named."""
    path = tiny.pack(tmp_path / "a.tar", {name: b""} | CONTENT if name == "a" else CONTENT | {name: b""})
    assert words in refused(path, tmp_path / "out")


@pytest.mark.parametrize("name", ["a.tar", "a.tgz", "a.zip"])
@given(data=st.data())
def test_a_cut_archive_is_refused(tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject) -> None:
    """An archive cut off at any byte before its last content is refused, in one sentence."""
    folder = tmp_path_factory.mktemp("cut")
    path = tiny.pack(folder / name, CONTENT)
    whole = path.read_bytes()
    end = len(whole) if name != "a.tar" else 512 * 3 + 3072 + 70_000
    path.write_bytes(whole[: data.draw(st.integers(0, end - 1))])
    boundaries = {512 + 3072, 512 + 3072 + 512}  # a plain tar cut between two members can't be told from a whole one
    if name == "a.tar" and path.stat().st_size in boundaries:
        return
    message = refused(path, folder / "out")
    assert message.startswith(f"{path}: ")
    assert "cut off" in message
    assert "\n" not in message


@pytest.mark.parametrize("name", ["a.tgz", "a.zip"])
@given(data=st.data())
def test_a_spoilt_compressed_archive_is_refused(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    """After one wrong byte anywhere in one it is refused, unless the byte means nothing and the files are right."""
    folder = tmp_path_factory.mktemp("spoilt")
    path = tiny.pack(folder / name, CONTENT)
    whole = bytearray(path.read_bytes())
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(whole)
    out = folder / "out"
    out.mkdir()
    try:
        archive.extract([path], out, wanted=everything)
    except InputError as error:
        ended = str(error)
    else:
        ended = "whole"
        found = {name: (out / name).read_bytes() for name in tiny.tree(out)}
        assert found == CONTENT or (name == "a.zip" and found.items() < CONTENT.items())  # `t` may have become `/`
    assert ended == "whole" or ended.startswith(f"{path}: ")


def test_a_damaged_header_is_not_the_end(tmp_path: Path) -> None:
    """A header that is spoilt in the middle of an archive is damage, not its end."""
    path = tiny.pack(tmp_path / "a.tar", CONTENT)
    spoilt = bytearray(path.read_bytes())
    spoilt[512 + 3072 + 5] ^= 1
    path.write_bytes(spoilt)
    assert "damaged or cut off (after 1 members comes no header)" in refused(path, tmp_path / "out")


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_a_stream_that_breaks_is_damage(tmp_path: Path, mode: Literal["w:gz", "w:bz2", "w:xz"]) -> None:
    """However an archive is compressed, bytes that are wrong in its middle are damage, in one sentence."""
    path = tmp_path / "a.tar"
    with tarfile.open(path, mode) as tar:
        info = tarfile.TarInfo("a/x.txt")
        info.size = 90_000
        tar.addfile(info, io.BytesIO(np.random.default_rng(0).bytes(90_000)))
    spoilt = bytearray(path.read_bytes())
    spoilt[45_000:45_100] = bytes(100)
    path.write_bytes(spoilt)
    assert "cut off" in refused(path, tmp_path / "out")


def test_a_size_that_no_file_has_is_damage(tmp_path: Path) -> None:
    """A header that promises more bytes than a disk can number is damage."""
    path = tmp_path / "a.tar"
    info = tarfile.TarInfo("a/x.txt")
    info.size = 1 << 80
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    assert "cut off" in refused(path, tmp_path / "out")


@pytest.mark.parametrize("content", [b"", b"<html>Not found</html>", gzip.compress(b"no tar in here", mtime=0)])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    """A file that is no archive is called so, with its size."""
    path = tmp_path / "a.tar"
    path.write_bytes(content)
    assert f"not a tar archive, or cut off at its beginning ({len(content)} bytes)" in refused(path, tmp_path / "out")


def zip_of(path: Path, *members: zipfile.ZipInfo) -> Path:
    """A .zip of members with content, which needn't have names that there can be."""
    with zipfile.ZipFile(path, "w") as file:
        for member in members:
            file.writestr(member, b"x")
    return path


@pytest.mark.parametrize("name", ["../evil.txt", "a/../../evil.txt", "/tmp/evil.txt"])
def test_nothing_of_a_zip_leaves_the_folder(tmp_path: Path, name: str) -> None:
    """A member of a .zip whose path leads out is named, and nothing at all is extracted."""
    path = zip_of(tmp_path / "a.zip", zipfile.ZipInfo("a.txt"), zipfile.ZipInfo(name))
    assert f"its member {name} leads out of the folder" in refused(path, tmp_path / "out")
    assert tiny.tree(tmp_path) == ["a.zip"]


def test_of_a_zip_only_files_are_written(tmp_path: Path) -> None:
    """Folders in a .zip are no files, links no links; `./a` and `a` are the same name, and one of them too many."""
    linked = zipfile.ZipInfo("linked")
    linked.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive.extract([zip_of(tmp_path / "a.zip", zipfile.ZipInfo("b/"), linked)], tmp_path, wanted=everything)
    assert tiny.tree(tmp_path) == ["a.zip", "linked"]
    assert not (tmp_path / "linked").is_symlink()
    twice = zip_of(tmp_path / "b.zip", zipfile.ZipInfo("a.txt"), zipfile.ZipInfo("./a.txt"))
    assert "a.txt is in it 2 times" in refused(twice, tmp_path / "out")


@pytest.mark.parametrize(
    ("at", "words"),
    [
        (33, "it lists 1 of its 3 members"),  # the first has 256 bytes of comment, and the others are in it
        (27, "its members would be 16,850,216 bytes"),
    ],
)
def test_a_zip_with_another_directory_is_refused(tmp_path: Path, at: int, words: str) -> None:
    """A .zip whose directory ends before all its members are named, or gives them a size beyond all, is damaged."""
    path = tiny.pack(tmp_path / "a.zip", CONTENT)
    spoilt = bytearray(path.read_bytes())
    spoilt[spoilt.index(b"PK\1\2") + at] = 1
    path.write_bytes(spoilt)
    assert f"damaged or cut off ({words}" in refused(path, tmp_path / "out")


@pytest.mark.parametrize(("at", "words"), [(6, "is encrypted, password required"), (8, "compression method")])
def test_a_zip_that_cannot_be_unpacked_is_refused(tmp_path: Path, at: int, words: str) -> None:
    """A member that is encrypted, or compressed in a way that Python doesn't know, is refused by name."""
    path = tiny.pack(tmp_path / "a.zip", {"a.txt": b"x"})
    spoilt = bytearray(path.read_bytes())
    for start in (at, spoilt.index(b"PK\1\2") + at + 2):  # of the member's own header, and in the directory
        spoilt[start] |= 1 if at == 6 else 0x61
    path.write_bytes(spoilt)
    message = refused(path, tmp_path / "out")
    assert message.startswith(f"{path}: damaged or cut off (a.txt: ")
    assert words in message


@pytest.mark.parametrize("prefix", ["VOCdevkit/VOC2012/", "TrainVal/VOCdevkit/VOC2011/", ""])
def test_voc_is_found_wherever_it_begins(prefix: str) -> None:
    """Of a VOC tree, in any folder, the segmentation lists, the masks and their images are wanted, and no more."""
    members = list(tiny.voc(prefix=prefix))
    assert voc.root(members) == prefix
    wanted = voc.wanted([*members, f"{prefix}SegmentationClass/._2007_000001.png", "README"])
    ids = [*tiny.VOC_TRAIN, *tiny.VOC_VAL]
    assert sorted(wanted) == sorted(
        [f"{prefix}ImageSets/Segmentation/{name}.txt" for name in ("train", "trainval", "val")]
        + [f"{prefix}SegmentationClass/{image_id}.png" for image_id in ids]
        + [f"{prefix}JPEGImages/{image_id}.jpg" for image_id in ids]
    )


@pytest.mark.parametrize("prefix", ["benchmark_RELEASE/dataset/", ""])
def test_sbd_is_found_wherever_it_begins(prefix: str) -> None:
    """Of an SBD tree, in any folder, the two lists, the class labels and their images are wanted, and no more."""
    members = list(tiny.sbd(prefix=prefix))
    assert sbd.root(members) == prefix
    ids = [*tiny.SBD_TRAIN, *tiny.SBD_VAL]
    assert sorted(sbd.wanted([*members, f"{prefix}img/2000_000000.jpg"])) == sorted(
        [f"{prefix}train.txt", f"{prefix}val.txt"]
        + [f"{prefix}cls/{image_id}.mat" for image_id in ids]
        + [f"{prefix}img/{image_id}.jpg" for image_id in ids]
    )


def test_each_dataset_takes_its_part_of_a_tree_that_holds_both() -> None:
    """From members of both datasets, each picks its own."""
    both = [*tiny.voc(), *tiny.sbd()]
    assert {member.split("/")[0] for member in voc.wanted(both)} == {"VOCdevkit"}
    assert {member.split("/")[0] for member in sbd.wanted(both)} == {"benchmark_RELEASE"}


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([], "no VOC tree in it: found nothing"),
        (list(tiny.sbd()), "no VOC tree in it: found benchmark_RELEASE/README, be"),
        (
            [*tiny.voc(), *tiny.voc(prefix="VOCdevkit/VOC2011/")],
            "2 VOC trees in it: VOCdevkit/VOC2011/, VOCdevkit/VOC2012/",
        ),
        ([m for m in tiny.voc() if "SegmentationClass" not in m], "no VOCdevkit/VOC2012/SegmentationClass/*.png"),
        ([m for m in tiny.voc() if "JPEGImages" not in m], "no VOCdevkit/VOC2012/JPEGImages/*.jpg of the masks"),
    ],
)
def test_a_tree_that_is_not_vocs_is_refused(members: list[str], words: str) -> None:
    """Members without a part of VOC's layout, or with two VOCs, are refused by what was found and expected."""
    with pytest.raises(InputError) as caught:
        voc.wanted(members)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        (list(tiny.voc()), "no SBD tree in it: found VOCdevkit/VOC2012/"),
        ([m for m in tiny.sbd() if not m.endswith("train.txt")], "benchmark_RELEASE/dataset/train.txt missing"),
        ([m for m in tiny.sbd() if "/img/" not in m], "benchmark_RELEASE/dataset/img: no *.jpg"),
    ],
)
def test_a_tree_that_is_not_sbds_is_refused(members: list[str], words: str) -> None:
    """Members without a part of SBD's layout are refused by what was found and expected."""
    with pytest.raises(InputError) as caught:
        sbd.wanted(members)
    assert words in str(caught.value)
