"""What `make` does with an environment that is there: nothing that a run in it, or its owner, could suffer from."""

import os
import re
import shutil
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT

LOOKED_FOR = (
    ".github/workflows/ci.yml",
    ".pre-commit-config.yaml",
    ".devcontainer/devcontainer.json",
    "CITATION.cff",
)
LOCK = "no-such-package-anywhere==1\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder, with a space in its path, of the Makefile, a lock that can't be installed, and an environment."""
    folder = tmp_path / "a b"
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / ".venv/bin/python").symlink_to(sys.executable)
    (folder / ".venv/pyvenv.cfg").write_text(f"command = python -m venv {folder}/.venv\n")
    shutil.copy(ROOT / "Makefile", folder)
    (folder / "requirements.lock").write_text(LOCK)
    return folder


def environment(checkout: Path) -> "subprocess.CompletedProcess[str]":
    """`make environment` without a network; the environment's python has to be there afterwards."""
    offline = {**os.environ, "PIP_NO_INDEX": "1", "PIP_REQUIRE_VIRTUALENV": "0"}
    make = ["make", "environment"]
    ended = subprocess.run(make, cwd=checkout, env=offline, capture_output=True, text=True, check=False)
    assert (checkout / ".venv/bin/python").exists() or (checkout / ".venv").is_symlink(), ended.stderr
    return ended


def test_what_make_installed_is_known_by_its_content(checkout: Path) -> None:
    """A requirements.lock that is only newer is no other one: nothing is done."""
    (checkout / ".venv/.installed").write_text(LOCK)
    os.utime(checkout / ".venv/.installed", (0, 0))
    ended = environment(checkout)
    assert (ended.returncode, ended.stdout) == (0, "")


@pytest.mark.parametrize("installed", ["", "another==1\n"])
def test_another_lock_goes_into_the_same_environment(checkout: Path, installed: str) -> None:
    """What make made, or began, stays as it is until the lock is in it: a failed installation is tried again."""
    (checkout / ".venv/.installed").write_text(installed)
    ended = environment(checkout)
    assert ended.returncode != 0
    assert ended.stdout.startswith(".venv gets the packages of requirements.lock, once: some minutes")
    assert "no-such-package-anywhere" in ended.stderr
    assert (checkout / ".venv/.installed").read_text() == installed


@pytest.mark.parametrize("code", [0, 1])
def test_large_packages_are_told_as_they_come(checkout: Path, code: int) -> None:
    """Of what pip says, those of a megabyte and more are passed on; it ends as pip does, behind pip's own reason."""
    said = [
        "Downloading a.whl (1.5 MB)",
        "Downloading b.whl.metadata (3 kB)",
        "Collecting c",
        "Installing build dependencies: started",
        "Installing collected packages: a, b, c",
    ]
    script = f"""#!/bin/sh
case "$*" in *install*) printf '%s\\n' '{"' '".join(said)}'; echo why >&2; exit {code} ;; esac
"""
    (checkout / ".venv/.installed").write_text("another==1\n")
    (checkout / ".venv/bin/python").unlink()
    (checkout / ".venv/bin/python").write_text(script)
    (checkout / ".venv/bin/python").chmod(0o755)
    ended = environment(checkout)
    assert ended.stdout.splitlines()[1:3] == [
        "  Downloading a.whl (1.5 MB)",
        "  and now all are installed: a minute or two",
    ]
    assert (ended.returncode != 0, ended.stderr.startswith("why\n")) == (code != 0, True)
    assert ((checkout / ".venv/.installed").read_text() == LOCK) == (code == 0)


def test_the_command_works_in_any_folder(checkout: Path) -> None:
    """`.venv/bin/fcn`, which make writes, finds the project's code and its Python, wherever it is called."""
    (checkout / ".venv/.installed").touch()
    environment(checkout)
    (checkout / "fcn").symlink_to(ROOT / "fcn")
    (checkout / "sub").mkdir()
    command = [str(checkout / ".venv/bin/fcn"), "doctor"]
    ended = subprocess.run(command, cwd=checkout / "sub", capture_output=True, text=True, check=False)
    assert f"this Python ({checkout}/.venv/bin/python) has no psutil" in ended.stderr  # it is a bare one


def test_an_environment_whose_python_went_is_made_anew(checkout: Path) -> None:
    """Where the Python that it was made with was upgraded away, nothing can be at work in it: it is made again.

    The last line says how it is used.
    """
    (checkout / "requirements.lock").write_text("pip\n")
    (checkout / ".venv/.installed").write_text(LOCK)
    (checkout / ".venv/bin/python").unlink()
    (checkout / ".venv/bin/python").symlink_to(checkout / "python3.10")
    first, last = environment(checkout).stdout.splitlines()
    assert first.startswith(".venv gets the packages of requirements.lock")
    assert last.startswith(".venv is ready: `. .venv/bin/activate` has a terminal use it")
    assert (checkout / ".venv/.installed").read_text() == "pip\n"
    subprocess.run([checkout / ".venv/bin/python", "-m", "pip", "--version"], check=True, stdout=subprocess.DEVNULL)


def test_an_environment_that_was_cut_off_is_made_anew(checkout: Path) -> None:
    """Where `python -m venv` was stopped before it had put pip there, the next make begins again."""
    shutil.rmtree(checkout / ".venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", checkout / ".venv"], check=True)
    (checkout / ".venv/.installed").touch()
    assert environment(checkout).returncode != 0  # of the lock that can't be installed
    subprocess.run([checkout / ".venv/bin/python", "-m", "pip", "--version"], check=True, stdout=subprocess.DEVNULL)


def test_two_makes_do_not_meet(checkout: Path) -> None:
    """While another make is at work on the environment, a second one says so and ends; a dead one's mark is none."""
    (checkout / ".venv/.installed").touch()
    (checkout / ".venv-maker").write_text(f"{os.getpid()}\n")
    assert f"error: another make (process {os.getpid()}) is at work on .venv: start" in environment(checkout).stderr
    (checkout / ".venv-maker").write_text("999999999\n")
    assert "no-such-package-anywhere" in environment(checkout).stderr
    assert not (checkout / ".venv-maker").exists()


def test_an_environment_that_fails_once_is_kept(checkout: Path) -> None:
    """A Python that is there, and doesn't start just now, is no reason to remove anything."""
    (checkout / ".venv/.installed").write_text("another==1\n")
    (checkout / ".venv/bin/python").unlink()
    (checkout / ".venv/bin/python").write_text("#!/bin/sh\nexit 1\n")
    (checkout / ".venv/bin/python").chmod(0o755)
    (checkout / ".venv/mine").touch()
    assert environment(checkout).returncode != 0
    assert (checkout / ".venv/mine").exists()


@pytest.mark.parametrize("whose", ["nobody knows", "linked", "on a disk that isn't there", "moved"])
def test_what_make_did_not_make_is_named(checkout: Path, whose: str) -> None:
    """An environment of another, there or behind a link, or of another place, is left alone; a sentence says why."""
    if whose == "moved":
        (checkout / ".venv/.installed").write_text(LOCK)
        checkout = checkout.rename(checkout.with_name("c d"))
    if whose in ("linked", "on a disk that isn't there"):
        (checkout / ".venv/.installed").touch()
        (checkout / ".venv").rename(checkout / "shared")
        (checkout / ".venv").symlink_to("shared" if whose == "linked" else "gone")
    ended = environment(checkout)
    assert ended.returncode != 0
    assert "error: make didn't make the environment .venv" in ended.stderr
    assert "no-such-package" not in ended.stderr


def test_a_taken_port_is_told_with_the_command_for_another(checkout: Path) -> None:
    """`make ui` doesn't leave it to MLflow, which ends as if all were well."""
    (checkout / ".venv/.installed").write_text(LOCK)
    (checkout / "mlflow.db").write_text("a database")
    with socket.create_server(("127.0.0.1", 0)) as other:
        command = ["make", "ui", f"PORT={other.getsockname()[1]}"]
        taken = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    assert taken.returncode == 2
    assert "can't be used (Address already in use); choose another: make ui PORT=5001" in taken.stderr


def test_without_tables_nothing_is_installed_to_show_them(checkout: Path) -> None:
    """`make ui` in a fresh clone says what makes tables, before it makes an environment."""
    (checkout / "mlflow.db").touch()
    ended = subprocess.run(["make", "ui"], cwd=checkout, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("error: there are no tables to show yet: make smoke")


def test_what_is_here_of_any_profile_fills_an_empty_mlflow(checkout: Path) -> None:
    """Where its database is gone, `make ui` publishes each profile that has tables, by its own params.yaml."""
    (checkout / ".venv/.installed").write_text(LOCK)
    for params, profile in (
        ("params.yaml", "sample"),
        ("profiles/a/params.yaml", "mine"),
        ("profiles/b/params.yaml", "b"),
    ):
        (checkout / params).parent.mkdir(parents=True, exist_ok=True)
        (checkout / params).write_text(f"# of mine\nprofile: {profile}  # a name\n")
    (checkout / "data/mine/tables").mkdir(parents=True)
    (checkout / "data/mine/tables/scores.json").touch()
    (checkout / ".venv/bin/python").unlink()
    (checkout / ".venv/bin/python").write_text('#!/bin/sh\ncase "$*" in *fcn*) echo "$@" ;; esac\n')
    (checkout / ".venv/bin/python").chmod(0o755)
    ended = subprocess.run(["make", "ui"], cwd=checkout, capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("-m fcn publish --params profiles/a/params.yaml\nIn some seconds")


def test_what_other_tools_look_for_is_of_this_project() -> None:
    """Workflow, hooks, container and citation call what is here, and say what pyproject.toml says."""
    read = {path: yaml.safe_load((ROOT / path).read_text(encoding="utf-8")) for path in LOOKED_FOR}
    steps = read[".github/workflows/ci.yml"]["jobs"]["test"]["steps"]
    assert [step["run"] for step in steps if "run" in step] == [".ci/run"]
    assert os.access(ROOT / ".ci/run", os.X_OK)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    tools = "".join(project["optional-dependencies"]["dev"]).replace("import-linter", "lint-imports")
    programs = [hook["entry"].split()[0] for hook in read[".pre-commit-config.yaml"]["repos"][0]["hooks"]]
    assert all(program.startswith(".venv/bin/") and program[10:] in tools for program in programs)
    assert (ROOT / ".devcontainer" / read[".devcontainer/devcontainer.json"]["build"]["dockerfile"]).is_file()
    cited = read["CITATION.cff"]
    assert (cited["version"], cited["license"]) == (project["version"], project["license"])


def test_plain_make_says_what_there_is(checkout: Path) -> None:
    """`make` without a word names the commands, makes nothing, and looks for no environment."""
    ended = subprocess.run(["make"], cwd=checkout, capture_output=True, text=True, check=True)
    told = set(re.findall(r"(?m)^make ([\w-]+)", ended.stdout))
    rules = set(re.findall(r"(?m)^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8")))
    assert told == rules - {"help", "peer", "tables", "check", "coverage"}
    assert not (checkout / ".venv/.installed").exists()
