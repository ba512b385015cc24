"""How a person calls it: the help, a Python that isn't the environment's, a folder further down."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fcn.cli import command_names, main, stage_names
from fcn.stages.code import ORDER
from tests.training import tiny


def test_help_says_what_each_is_for(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """--help says of every command and stage what it does, in any terminal; stages come after those that they need."""
    monkeypatch.setenv("COLUMNS", "1")
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    named = re.findall(r"(?m)^  (\w+) +\w", capsys.readouterr().out.partition("for people:")[2])
    assert named == [*command_names(), *ORDER]
    assert sorted(ORDER) == stage_names()


@pytest.mark.parametrize(
    ("door", "missing"), [("fcn", "psutil"), ("flows.reproduce", "prefect"), ("flows.site", "prefect")]
)
def test_a_python_without_the_environment_is_told(repository: Path, door: str, missing: str) -> None:
    """Outside of the project's environment the first module that is missing is named, and how to get it."""
    command = [sys.executable, "-S", "-m", door]
    ended = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert f"has no {missing}; it takes the project's environment: `make environment` makes it" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["doctor"]], ids=" ".join)
def test_a_reader_who_has_enough_ends_it(repository: Path, arguments: list[str]) -> None:
    """Where nobody reads on, as behind `| head -1`, a command ends without a word, the code SIGPIPE's."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "fcn", *arguments]
    ended = subprocess.run(command, cwd=repository, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    hidden = "--help" in arguments and ended.returncode == 0  # by argparse, where Python doesn't buffer
    assert hidden or ended.returncode == 128 + signal.SIGPIPE
    assert not ended.stderr


@pytest.mark.parametrize("door", ["flows.reproduce", "flows.site"])
def test_a_time_that_is_none_is_told(repository: Path, door: str) -> None:
    """A variable that flows read has a sentence, too, when its value means nothing."""
    command, variables = [sys.executable, "-m", door], {**os.environ, "FCN_GRACE_SECONDS": "soon"}
    ended = subprocess.run(command, cwd=repository, env=variables, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    said = "error: FCN_GRACE_SECONDS is 'soon'; it is how long what is asked to save and leave may take in seconds, 0"
    assert ended.stderr == f"{said} or more\n"


@pytest.mark.parametrize(
    ("called_in", "arguments", "said"),
    [
        ("profiles/own/below", "archives nonsense", "archive: unknown name 'nonsense'; known are: voc2012, sbd"),
        ("profiles/own/below", "splits --params no.yaml", "HERE/no.yaml: no such file"),
        ("profiles/own/below", f"splits --params {'a' * 300}", f"HERE/{'a' * 300}: File name too long; --params takes"),
        ("profiles/own", "splits", "HERE/params.yaml, line 1"),
        ("profiles/own/below", "splits --params profiles/own/params.yaml", "profiles/own/params.yaml, line 1"),
        ("profiles/own/below", "predict x.pt x.jpg", "HERE/x.pt"),
        ("profiles/own/below", "predict x.pt x.jpg --out x.pt", "--out HERE/x.pt is a file"),
    ],
)
def test_a_folder_further_down_will_do(
    called_in: str,
    arguments: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every command works at the project's root; paths are those of where it was called, and so is a profile's own."""
    tiny.write(tmp_path, tiny.params())
    (tmp_path / "fcn").mkdir()
    (tmp_path / "dvc.yaml").touch()
    here = tmp_path / called_in
    (tmp_path / "profiles/own/below").mkdir(parents=True)
    (tmp_path / "profiles/own/params.yaml").write_text("profile: [")
    (here / "x.pt").touch()
    (here / "x.jpg").touch()
    monkeypatch.chdir(here)
    assert main(arguments.split()) == 2
    told = capsys.readouterr().err.splitlines()
    assert told[-1].startswith(f"error: {said.replace('HERE', str(here))}")
    assert (told[0], Path.cwd()) == (f"(paths are as from {tmp_path})", tmp_path)


def test_a_profile_of_another_name_is_not_reproduced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """DVC would take the params.yaml that the file names, and its numbers would be taken for the file's."""
    tiny.write(tmp_path, tiny.params()).rename(tmp_path / "other.yaml")
    monkeypatch.chdir(tmp_path)
    assert main(["reproduce", "--params", "other.yaml"]) == 2
    assert "error: other.yaml says params: params.yaml, and DVC would take that file" in capsys.readouterr().err
