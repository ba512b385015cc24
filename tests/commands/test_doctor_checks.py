"""doctor's parts by themselves: mirrors, disk, locks, and the digests that pages carry."""

import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from fcn.commands.checks import dvc_locks, finding, hardware, leftovers, mirrors, page_numbers
from fcn.config import load
from fcn.files import write_json, write_text
from fcn.paper.downloads import DOWNLOADS
from fcn.stages import train
from fcn.stages.places import Places
from tests.commands.healthy import BEST
from tests.conftest import ROOT


class _Mirror(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        """Answer with the code that the path asks for."""
        self.send_response(int(self.path.strip("/")))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def mirror() -> Iterator[str]:
    """A server whose answer is the number in the path."""
    server = HTTPServer(("127.0.0.1", 0), _Mirror)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_mirrors_are_asked(mirror: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One address that answers is enough; where none does it is a warning, with each address's answer."""
    config = load(ROOT / "profiles/paper/params.yaml")
    monkeypatch.chdir(tmp_path)
    for name, entry in list(DOWNLOADS.items()):
        urls = (f"{mirror}/404", f"{mirror}/200") if name == "sbd" else (f"{mirror}/503", "http://127.0.0.1:9/x")
        monkeypatch.setitem(DOWNLOADS, name, type(entry)(file=entry.file, urls=urls, source="here", md5="0"))
    found = {item.name: item for item in mirrors.check(config)}
    assert found["mirrors: sbd"].state == "ok"
    assert {item.state for name, item in found.items() if name != "mirrors: sbd"} == {"warning"}
    assert "HTTP 503" in found["mirrors: voc2012"].message
    assert "ConnectionError" in found["mirrors: voc2012"].message


def test_the_disk_needed_is_that_of_the_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the paper's profile needs is near the 38.5 GB of docs/paper-plan.md, and the sample's below one."""
    monkeypatch.chdir(tmp_path)
    whole = hardware.still_needed(load(ROOT / "profiles/paper/params.yaml"))
    assert 30e9 < whole < 50e9
    assert hardware.still_needed(load(ROOT / "params.yaml")) < 1e9


def test_a_state_of_other_settings_is_not_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two states the newer is not the one that waits, but that of the run's settings as they are."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    config = load(Path("params.yaml"))
    places, run = Places(config), config.run(BEST)
    facts = {"format": "voc", "generated": True, "inputs": {"rgb": 3}, "targets": {}, "images": 1, "sha256": "0" * 64}
    write_json(places.dataset(run.train.dataset) / "dataset.json", facts)
    for path in (places.init(run.init), places.list_file(run.train.list)):
        write_text(path, "")
    mine = train.resume_folder(config, BEST)
    other = mine.with_name(f"{BEST}-0123456789ab")
    for folder in (mine, other):
        write_text(folder / "history.jsonl", "")
    (found,) = leftovers.states(config)
    assert (found.state, str(other) in found.message, str(mine) in found.message) == ("warning", True, False)
    shutil.rmtree(other)
    (found,) = leftovers.states(config)
    assert found.message.startswith(f"interrupted, to go on with `dvc repro`: {mine}")


def test_digests_of_every_kind_of_page() -> None:
    """A digest is found in HTML, in Markdown and in JSON, and nothing else is taken for one."""
    digest = "0123456789abcdef"
    for page in (f'<meta name="numbers" content="{digest}" />', f"of the numbers {digest}.", f'"numbers": "{digest}"'):
        assert page_numbers.mark(page) == digest
    for page in ("its numbers are below", f"commit {digest}", f"numbers {digest}0", '"numbers": {"mean_iu": 0.5}'):
        assert page_numbers.mark(page) is None


def test_words() -> None:
    """Long lists are cut with their count, and ages have the unit that suits them."""
    assert finding.some(["a", "b"]) == "a, b"
    assert finding.some(list("abcdef"), most=2) == "a, b and 4 more"
    assert finding.age(30) == "30 seconds"
    assert finding.age(3 * 86400) == "3 days"


def test_a_lock_that_is_held(tmp_path: Path) -> None:
    """A lock counts as held while a process holds it, and not for the number that a dead one has left in it."""
    path = tmp_path / "lock"
    path.write_text(" 1\n")
    assert not dvc_locks.is_held(path)
    script = f"import fcntl, time; file = open({str(path)!r}); fcntl.flock(file, fcntl.LOCK_EX)"
    script += "; print(1, flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert dvc_locks.is_held(path)
        holder.kill()
