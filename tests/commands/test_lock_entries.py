"""dvc.lock without the entries of stages that are gone: their lines go, every other byte stays, or nothing is done."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fcn.commands.checks import dvc_graph, lock_entries
from fcn.config import load
from fcn.errors import InputError
from tests.conftest import ROOT

HEAD = "schema: '2.0'\nstages:\n"
FIRST = "  report:\n    cmd: fcn report\n    outs:\n    - path: report\n      md5: '1234'\n"
GONE = "  train@x:\n    cmd: fcn train x\n    outs:\n    - path: x\n      md5: '12e4'\n"
LAST = "  publish:\n    cmd: fcn publish\n"


def cut(path: Path, text: str, *gone: str) -> str:
    path.write_bytes(text.encode())
    return lock_entries.without(path, gone)


ENTRIES = {
    "as DVC writes it": GONE,
    "a blank line inside": GONE.replace("    outs", "\n    outs"),
    "a comment behind the name": GONE.replace("train@x:", "train@x: # comment"),
    "a quoted name": GONE.replace("train@x", "'train@x'"),
    "several lines of command": GONE.replace("fcn train x", "|\n      fcn train x\n\n      # no comment\n"),
    "sequences further in": GONE.replace("    - path: x\n      ", "      - path: x\n        "),
    "nothing in it": "  train@x:\n",
}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_an_entry_s_lines_go_and_nothing_else(tmp_path: Path, entry: str, end: str) -> None:
    """Wherever the entry stands and however it is written, what is left is the file without its lines."""
    for before, behind in ((FIRST, LAST), ("", FIRST), (FIRST, "")):
        for foot in ("", "other: 1\n"):
            text, left = (part.replace("\n", end) for part in (HEAD + before + entry + behind + foot, HEAD + before))
            left += (behind + foot).replace("\n", end)
            assert cut(tmp_path / "dvc.lock", text, "train@x") == left


def test_two_entries_and_a_last_line_without_an_end(tmp_path: Path) -> None:
    """Several entries go at once, also where the file doesn't end its last line."""
    text = HEAD + GONE + FIRST + LAST.rstrip()
    assert cut(tmp_path / "dvc.lock", text, "train@x", "publish") == HEAD + FIRST


REFUSED = {
    "JSON": '{"schema": "2.0", "stages": {"report": {"cmd": "a"}, "train@x": {"cmd": "b"}}}\n',
    "another's anchor": HEAD + GONE.replace("fcn train x", "&cmd fcn train x") + "  publish:\n    cmd: *cmd\n",
    "in braces": "stages: {report: {cmd: a},\n  train@x: {cmd: a}}\n",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_what_can_not_be_cut_out_is_refused(tmp_path: Path, text: str) -> None:
    """A file that would say something else of what stays is refused with what to do, and isn't changed."""
    path = tmp_path / "dvc.lock"
    with pytest.raises(InputError, match=r"the entries of train@x can't be cut out .* nothing was changed: take them"):
        cut(path, text, "train@x")
    assert path.read_bytes() == text.encode()


def test_mending_by_what_dvc_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stages are those of dvc.yaml; line ends stay, DVC reads what is left, and marks of a merge are named."""
    monkeypatch.chdir(tmp_path)
    dvc = [sys.executable, "-m", "dvc"]
    subprocess.run([*dvc, "init", "--no-scm", "-q"], check=True)
    Path("dvc.yaml").write_text("stages:\n  report:\n    cmd: fcn report\n    outs: [report]\n")
    config = replace(load(ROOT / "params.yaml"), params="params.yaml")
    lock = Path("dvc.lock")
    text, gone = ((HEAD + FIRST + more).replace("\n", "\r\n").encode() for more in ("", GONE + LAST))
    lock.write_bytes(gone)
    assert dvc_graph.mend(config) == ["train@x", "publish"]
    assert lock.read_bytes() == text
    assert dvc_graph.mend(config) == []
    assert "report" in subprocess.run([*dvc, "status"], check=True, capture_output=True, text=True).stdout
    lock.write_text(HEAD + "<<<<<<< HEAD\n" + GONE)
    with pytest.raises(InputError, match=r"dvc\.lock is not YAML .* a merge may have left marks in it: mend it"):
        dvc_graph.mend(config)
