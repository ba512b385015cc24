"""Fetching a file from a real server that fails in every way there is."""

import hashlib
import multiprocessing
import random
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from fcn.datasets import download, pinned
from fcn.errors import StageFailure
from fcn.paper.downloads import DOWNLOADS, Download
from tests.data.mirror import (
    Answer,
    Mirror,
    drop,
    flip,
    mirror,
    other_range,
    page,
    reset,
    serve,
    silent,
    stall,
    status,
    unsized,
    whole,
)

CONTENT = random.Random(0).randbytes(300_000)
HALF = 9 * 16384  # a whole number of the pieces in which bytes are written down
HASTY = download.Patience(connect_s=2, stall_s=0.3, tries=3, pause_s=0.01)


def facts_of(*urls: str, sized: bool = True, content: bytes = CONTENT) -> Download:
    """The facts of the test's file."""
    md5 = hashlib.md5(content).hexdigest()
    return Download(file="a.tar", urls=urls, source="a test", bytes=len(content) if sized else None, md5=md5)


def fetch(folder: Path, *urls: str, sized: bool = True) -> bytes:
    """Fetch the test's file and return what came, having checked that nothing else lies there."""
    path = download.fetch(facts_of(*urls, sized=sized), folder, progress=lambda *_: None, patience=HASTY)
    assert [file.name for file in folder.iterdir()] == ["a.tar"]
    return path.read_bytes()


def fails(folder: Path, *urls: str, sized: bool = True) -> str:
    """Fetch in vain, and return the message, having checked that nothing has the final name."""
    with pytest.raises(StageFailure) as caught:
        fetch(folder, *urls, sized=sized)
    assert not (folder / "a.tar").exists()
    return str(caught.value)


def part(folder: Path, content: bytes) -> Path:
    """What an earlier fetch left."""
    path = folder / "a.tar.part"
    path.write_bytes(content)
    return path


def test_a_file_comes_whole(tmp_path: Path) -> None:
    """A fetch brings the file under its final name, and progress ends at its size."""
    seen: list[tuple[int, int | None]] = []
    with mirror(CONTENT) as good:
        path = download.fetch(facts_of(good.url), tmp_path, progress=lambda *now: seen.append(now))
    assert path.read_bytes() == CONTENT
    assert seen == sorted(seen)
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [file.name for file in tmp_path.iterdir()] == ["a.tar"]


def test_a_right_file_is_not_fetched_again(tmp_path: Path) -> None:
    """A finished file with the right hash is used without a request."""
    (tmp_path / "a.tar").write_bytes(CONTENT)
    with mirror(CONTENT) as good:
        assert fetch(tmp_path, good.url) == CONTENT
        assert good.ranges == []


def test_a_file_is_not_trusted_because_it_exists(tmp_path: Path) -> None:
    """A finished file with wrong content is fetched again."""
    (tmp_path / "a.tar").write_bytes(CONTENT[:-1] + b"?")
    with mirror(CONTENT) as good:
        assert fetch(tmp_path, good.url) == CONTENT


@pytest.mark.parametrize("sized", [True, False])
@pytest.mark.parametrize(
    ("answers", "ranges"),
    [
        pytest.param([drop(HALF), serve], [None, f"bytes={HALF}-"], id="truncated"),
        pytest.param([stall(HALF), serve], [None, f"bytes={HALF}-"], id="stalled"),
        pytest.param([silent, serve], [None, None], id="silent"),
        pytest.param([status(503), serve], [None, None], id="503"),
        pytest.param([status(416), serve], [None, None], id="416 to a request without range"),
        pytest.param([drop(HALF), whole], [None, f"bytes={HALF}-"], id="200 to a range"),
        pytest.param([drop(HALF), other_range, serve], [None, f"bytes={HALF}-", None], id="another range"),
        pytest.param([drop(HALF), status(503), serve], [None, f"bytes={HALF}-", f"bytes={HALF}-"], id="503 to a range"),
    ],
)
def test_one_mirror_is_asked_again(
    tmp_path: Path, answers: list[Answer], ranges: list[str | None], sized: bool
) -> None:
    """A mirror that fails by chance is asked again, for what is missing, and the file comes whole."""
    with mirror(CONTENT, *answers) as moody:
        assert fetch(tmp_path, moody.url, sized=sized) == CONTENT
        assert moody.ranges == ranges


def test_a_reset_connection_goes_on(tmp_path: Path) -> None:
    """After a reset, in which bytes on their way are lost, the next request asks for what is missing."""
    with mirror(CONTENT, reset(HALF), serve) as moody:
        assert fetch(tmp_path, moody.url) == CONTENT
        assert len(moody.ranges) == 2


def test_many_interruptions_are_survived_while_bytes_come(tmp_path: Path) -> None:
    """A mirror that drops more often than it may fail in a row still serves the file."""
    with mirror(CONTENT, *[drop(30_000)] * 9, serve) as moody:
        assert fetch(tmp_path, moody.url) == CONTENT
        assert len(moody.ranges) == 10


def test_a_part_of_an_earlier_fetch_is_kept(tmp_path: Path) -> None:
    """A fetch goes on from the part file that an earlier one left."""
    part(tmp_path, CONTENT[:1000])
    with mirror(CONTENT) as good:
        assert fetch(tmp_path, good.url) == CONTENT
        assert good.ranges == ["bytes=1000-"]


@pytest.mark.parametrize(("sized", "requests"), [(True, 0), (False, 1)])
def test_a_part_may_be_complete(tmp_path: Path, sized: bool, requests: int) -> None:
    """A part file that has everything becomes the file: by its size, or by a 416 that says so."""
    part(tmp_path, CONTENT)
    with mirror(CONTENT) as good:
        assert fetch(tmp_path, good.url, sized=sized) == CONTENT
        assert len(good.ranges) == requests


@pytest.mark.parametrize("sized", [True, False])
def test_a_part_may_be_too_long(tmp_path: Path, sized: bool) -> None:
    """A part file that is longer than the file is thrown away."""
    part(tmp_path, CONTENT + b"more")
    with mirror(CONTENT) as good:
        assert fetch(tmp_path, good.url, sized=sized) == CONTENT
        assert good.ranges[-1] is None


@pytest.mark.parametrize("sized", [True, False])
@pytest.mark.parametrize(
    ("answer", "requests", "words"),
    [
        pytest.param(status(403), 1, "answered 403 Forbidden", id="403"),
        pytest.param(status(404), 1, "answered 404 Not Found", id="404"),
        pytest.param(status(500), 3, "answered 500 Internal Server Error (3 tries)", id="500"),
        pytest.param(status(416), 3, "answered 416 Requested Range Not Satisfiable (3 tries)", id="416"),
        pytest.param(flip(7), 1, "wrong content, md5", id="flipped"),
        pytest.param(silent, 3, "no answer for 0.3 s (3 tries)", id="silent"),
        pytest.param(unsized(HALF), 1, "", id="cut off without a size"),
        pytest.param(drop(HALF, from_start=True), 4, "(3 tries)", id="always cut off, without ranges"),
    ],
)
def test_a_bad_mirror_is_left_for_the_next(
    tmp_path: Path, answer: Answer, requests: int, words: str, sized: bool
) -> None:
    """A mirror that can't give the file is named with what it answered, and the next one is asked."""
    if sized and answer.__qualname__.startswith("unsized"):
        requests = 4  # the pinned size says that bytes are missing
    (tmp_path / "alone").mkdir()
    with mirror(CONTENT, answer) as bad:
        message = fails(tmp_path / "alone", bad.url, sized=sized)
        assert f"{bad.url}: " in message
        assert words in message
        assert len(bad.ranges) == requests
    (tmp_path / "both").mkdir()
    with mirror(CONTENT, answer) as bad, mirror(CONTENT) as good:
        assert fetch(tmp_path / "both", bad.url, good.url, sized=sized) == CONTENT
        assert len(good.ranges) >= 1


def test_a_file_of_another_size_is_refused_at_once(tmp_path: Path) -> None:
    """A page instead of the file is refused by its size, and doesn't cost what an earlier fetch brought."""
    left = part(tmp_path, CONTENT[:HALF])
    with mirror(CONTENT, page) as bad:
        assert "has a file of 26 bytes instead of 300,000" in fails(tmp_path, bad.url)
    assert left.read_bytes() == CONTENT[:HALF]


def test_a_spoilt_beginning_does_not_spoil_a_good_mirror(tmp_path: Path) -> None:
    """A mirror whose end doesn't fit the beginning of another is asked for all of it."""
    spoilt = bytes([CONTENT[0] ^ 1]) + CONTENT[1:]
    with mirror(spoilt, drop(HALF), status(404)) as bad, mirror(CONTENT) as good:
        assert fetch(tmp_path, bad.url, good.url) == CONTENT
        assert good.ranges == [f"bytes={HALF}-", None]


def test_wrong_content_is_removed(tmp_path: Path) -> None:
    """After wrong content from every mirror nothing is left, not even a part file."""
    with mirror(CONTENT, flip(0)) as bad:
        fails(tmp_path, bad.url)
    assert list(tmp_path.iterdir()) == []


def test_when_all_fail_the_message_says_what_to_do(tmp_path: Path) -> None:
    """When no mirror serves, the message has each one's answer and the way around: a local copy."""
    with ExitStack() as stack:
        mirrors: list[Mirror] = [stack.enter_context(mirror(CONTENT, status(code))) for code in (403, 404)]
        message = fails(tmp_path, *(each.url for each in mirrors))
    assert f"{mirrors[0].url}: answered 403" in message
    assert f"{mirrors[1].url}: answered 404" in message
    assert "give its path as `from` in params.yaml, without an archive" in message


def test_a_host_that_is_gone_is_left(tmp_path: Path) -> None:
    """A refused connection and an unknown host are failures of that mirror only."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    message = fails(tmp_path, f"http://127.0.0.1:{port}/file", "http://host.invalid/file", "no address at all")
    assert "Connection refused (3 tries)" in message
    assert message.count("no address at all: ") == 1
    assert "0x" not in message


def test_no_room_is_said_before_the_transfer(tmp_path: Path) -> None:
    """A file that is larger than the disk is refused before its first byte, with both sizes."""
    with mirror(CONTENT, lambda request, _: request.start(200, Content_Length=10**18)) as large:
        facts = Download(file="a.tar", urls=(large.url,), source="a test", md5="0" * 32)
        with pytest.raises(StageFailure, match=r"no room for a\.tar: 1e\+06 TB needed, .* free"):
            download.fetch(facts, tmp_path, progress=lambda *_: None, patience=HASTY)


def test_a_file_of_unknown_hash_has_a_size(tmp_path: Path) -> None:
    """Where neither a hash nor, by the mirror, a size is known, nothing would tell a whole file from a part of one."""
    with mirror(CONTENT, unsized()) as mute:
        facts = Download(file="a.tar", urls=(mute.url,), source="a test")
        with pytest.raises(StageFailure, match=r"doesn't say how large the file is, of which no hash is known"):
            download.fetch(facts, tmp_path, progress=lambda *_: None, patience=HASTY)


def _fetch_elsewhere(url: str, folder: Path) -> None:
    download.fetch(facts_of(url), folder, progress=lambda *_: None)


def _wait_for(path: Path, size: int, process: "multiprocessing.process.BaseProcess") -> None:
    while not path.exists() or path.stat().st_size < size:
        process.join(0.01)
        assert process.exitcode is None


def test_a_killed_fetch_goes_on(tmp_path: Path) -> None:
    """After kill -9 in the middle nothing has the final name, and the next fetch asks only for the rest."""
    with mirror(CONTENT, stall(HALF), serve) as moody:
        process = multiprocessing.get_context("spawn").Process(target=_fetch_elsewhere, args=(moody.url, tmp_path))
        process.start()
        _wait_for(tmp_path / "a.tar.part", HALF, process)
        process.kill()
        process.join()
        assert [file.name for file in tmp_path.iterdir()] == ["a.tar.part"]
        there = (tmp_path / "a.tar.part").stat().st_size
        assert fetch(tmp_path, moody.url) == CONTENT
        assert moody.ranges == [None, f"bytes={there}-"]


def test_two_fetches_do_not_mix(tmp_path: Path) -> None:
    """While one process fetches a file, another is told so, and leaves the first one's bytes alone."""
    with mirror(CONTENT, stall(HALF), serve) as moody:
        process = multiprocessing.get_context("spawn").Process(target=_fetch_elsewhere, args=(moody.url, tmp_path))
        process.start()
        _wait_for(tmp_path / "a.tar.part", HALF, process)
        there = (tmp_path / "a.tar.part").stat().st_size
        assert "another process is downloading it" in fails(tmp_path, moody.url)
        assert (tmp_path / "a.tar.part").stat().st_size == there
        process.kill()
        process.join()


def test_a_hash_in_the_name_counts(tmp_path: Path) -> None:
    """Where only the first digits of the sha256 are known, they decide."""
    prefix = hashlib.sha256(CONTENT).hexdigest()[:8]
    path = tmp_path / "a.pth"
    path.write_bytes(CONTENT)
    facts = Download(file="a.pth", urls=("-",), source="a test", sha256_prefix=prefix)
    pinned.check(path, facts)
    path.write_bytes(CONTENT[1:])
    with pytest.raises(pinned.WrongContentError, match=f"does not begin with {prefix}"):
        pinned.check(path, facts)


def test_every_pinned_download_is_complete() -> None:
    """Each file has addresses that end in its name, and hashes of the right length."""
    for facts in DOWNLOADS.values():
        assert all(url.startswith(("https://", "http://")) and url.endswith(facts.file) for url in facts.urls)
        for digest, length in ((facts.md5, 32), (facts.sha1, 40), (facts.sha256, 64), (facts.sha256_prefix, 8)):
            assert digest is None or (len(digest) == length and int(digest, 16) >= 0)
        if facts.sha256_prefix:
            assert facts.sha256_prefix in facts.file
