"""The rooms of the project stay what they are: what tools can't check of its rules, read off the files themselves."""

import ast
import functools
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from fcn.cli import stage_names

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted([*ROOT.glob("fcn/**/*.py"), *ROOT.glob("flows/**/*.py")])
HANDS = {"cli.py", "__main__.py", "loopback.py", "machine.py", "commands", "serving", "stages"}
METHOD = [path for path in sorted(ROOT.glob("fcn/**/*.py")) if path.relative_to(ROOT).parts[1] not in HANDS]
TESTS = sorted(ROOT.glob("tests/**/*.py"))
EVERY = [*MODULES, *TESTS]


def name_of(path: Path) -> str:
    """The path as people write it."""
    return path.relative_to(ROOT).as_posix()


@functools.cache
def tree_of(path: Path) -> ast.Module:
    """The file, parsed."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def tracked() -> list[Path]:
    """The text files that git knows."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode != 0:
        pytest.skip("not a git checkout, so what belongs to the project can't be told from what lies around")
    paths = [ROOT / name for name in listing.stdout.split("\0") if name]
    return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()[:8000]]


def dotted(node: ast.expr) -> str:
    """`os.environ` of the expression os.environ; empty for what is no plain name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (left := dotted(node.value)):
        return f"{left}.{node.attr}"
    return ""


def test_a_file_says_what_it_is_for() -> None:
    """A file opens with a docstring whose first line is a sentence that says what it is for."""
    firsts = {name_of(path): (ast.get_docstring(tree_of(path)) or "").partition("\n")[0] for path in EVERY}
    assert {name: first for name, first in firsts.items() if not first.endswith((".", ":"))} == {}


def test_a_file_holds_one_thing() -> None:
    """A file has at most 350 lines, and a name that says more than that it helps."""
    lines = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in EVERY}
    assert {name: count for name, count in lines.items() if count > 350} == {}
    nothing_said = {"utils", "util", "common", "helpers", "helper", "misc"}
    assert [name_of(path) for path in EVERY if path.stem in nothing_said] == []


def reaches_out(path: Path) -> Iterator[str]:
    """Where the file prints, reads the environment or its arguments, or opens a path that it was not handed."""
    banned = {"os.environ", "os.getenv", "os.getcwd", "Path.home", "Path.cwd", "sys.argv", "tempfile.gettempdir"}
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name for alias in node.names}
            module = node.module if isinstance(node, ast.ImportFrom) else None
            if "argparse" in {module, *names} or (module == "os" and {"environ", "getenv"} & names):
                yield f"{name_of(path)}, line {node.lineno}: {module or names}"
        elif isinstance(node, ast.Attribute) and dotted(node) in banned:
            yield f"{name_of(path)}, line {node.lineno}: {dotted(node)}"
        elif isinstance(node, ast.Call):
            called = dotted(node.func)
            literal = bool(node.args) and isinstance(node.args[0], ast.Constant)
            if called in {"print", "input"} or (literal and called in {"open", "Path", "io.open"}):
                yield f"{name_of(path)}, line {node.lineno}: {called}"


def test_the_method_leaves_the_world_alone() -> None:
    """Outside of the stages and the commands nothing prints, reads the environment, or opens a path of its own."""
    assert [place for path in METHOD for place in reaches_out(path)] == []


def test_what_reaches_out_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the forbidden ways is found: the check above can fail."""
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    ways = ["import argparse", "from os import environ", "os.environ", "print(1)", "open('x')", "Path('x')"]
    (tmp_path / "module.py").write_text("\n".join(ways), encoding="utf-8")
    assert [place.split(":")[0] for place in reaches_out(tmp_path / "module.py")] == [
        f"module.py, line {line}" for line in (1, 2, 3, 4, 5, 6)
    ]


def test_a_stage_is_a_function() -> None:
    """Every module in fcn/stages that the command line offers has run(config, name), which returns nothing."""
    signatures = {
        name: ast.unparse(node.args) + ast.unparse(node.returns or ast.Constant(""))
        for name in stage_names()
        for node in tree_of(ROOT / "fcn" / "stages" / f"{name}.py").body
        if isinstance(node, ast.FunctionDef) and node.name == "run"
    }
    wanted = re.compile(r"config: Config, name: str( \| None)?None")
    assert [name for name in stage_names() if not wanted.fullmatch(signatures.get(name, ""))] == []


def test_the_graph_calls_stages_that_are_there() -> None:
    """Every command in dvc.yaml names a module of fcn/stages, and the stage bears that module's name."""
    graph = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    for name, stage in graph.items():
        words = stage.get("do", stage)["cmd"].split()
        assert words[:4] == ["python", "-m", "fcn", name]
        assert name in stage_names()


def test_a_test_says_what_must_hold() -> None:
    """Every test's docstring is the sentence that must hold."""
    tests = [
        (f"{name_of(path)}: {node.name}", ast.get_docstring(node) or "")
        for path in TESTS
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    assert [name for name, docstring in tests if not docstring.rstrip().endswith(".")] == []


def test_the_project_knows_no_machine() -> None:
    """No tracked file holds a path of somebody's machine, a package index, or a reminder to finish something."""
    machine = re.compile(r"""(?<![\w.:/$}*-])/(home|root|Users|work|mnt|opt)/[\w.]""")
    index = re.compile(r"^\s*--?(index-url|extra-index-url|find-links|i|f)\b", re.MULTILINE)
    unfinished = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
    for path in tracked():
        text = path.read_text(encoding="utf-8", errors="replace")
        for pattern in (machine, index, unfinished):
            if found := pattern.search(text):
                line = text.count("\n", 0, found.start()) + 1
                pytest.fail(f"{name_of(path)}, line {line}: {found.group()!r}")


def test_links_in_the_documents_lead_somewhere() -> None:
    """Every relative link in a Markdown file, and every picture, names a file or folder of the project."""
    for document in [path for path in tracked() if path.suffix == ".md"]:
        for target in re.findall(r"(?:\]\(|src=\")([^)#:\s\"]+)(?:#[^)]*)?[)\"]", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{name_of(document)} links to {target}"


def test_the_lock_is_of_this_project() -> None:
    """The lock names only exact versions, and one in range for everything that pyproject.toml asks for."""
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    versions = {}
    for pin in pins:
        exact = str(pin.specifier)
        assert pin.url is None
        assert re.fullmatch(r"==[^*,]+", exact), f"{pin} is not exact"
        versions[canonicalize_name(pin.name)] = exact.removeprefix("==")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for text in [*project["dependencies"], *project["optional-dependencies"]["dev"]]:
        wanted = Requirement(text)
        version = versions.get(canonicalize_name(wanted.name))
        assert version is not None, f"{wanted.name} is not locked: run `make lock`"
        assert version in wanted.specifier, f"{text}, but locked is {version}: run `make lock`"
