"""The rooms of the project stay what they are: what tools can't check of its rules, read off the files themselves."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from fcn.cli import stage_names

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted([*ROOT.glob("fcn/**/*.py"), *ROOT.glob("flows/**/*.py")])
HANDS = {"cli.py", "__main__.py", "commands", "serving", "stages"}
METHOD = [path for path in sorted(ROOT.glob("fcn/**/*.py")) if path.relative_to(ROOT).parts[1] not in HANDS]
TESTS = sorted(ROOT.glob("tests/**/*.py"))


def name_of(path: Path) -> str:
    """The path as people write it."""
    return path.relative_to(ROOT).as_posix()


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


@pytest.mark.parametrize("path", [*MODULES, *TESTS], ids=name_of)
def test_a_file_says_what_it_is_for(path: Path) -> None:
    """A file opens with a docstring whose first line is a sentence that says what it is for."""
    docstring = ast.get_docstring(tree_of(path))
    assert docstring, "no docstring"
    first = docstring.splitlines()[0]
    assert first.endswith((".", ":")), f"not a sentence on one line: {first!r}"


@pytest.mark.parametrize("path", [*MODULES, *TESTS], ids=name_of)
def test_a_file_holds_one_thing(path: Path) -> None:
    """A file has at most 350 lines, and a name that says more than that it helps."""
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= 350, f"{lines} lines; split it"
    assert path.stem not in {"utils", "util", "common", "helpers", "helper", "misc"}


@pytest.mark.parametrize("path", METHOD, ids=name_of)
def test_the_method_leaves_the_world_alone(path: Path) -> None:
    """Outside of the stages and the commands nothing prints, reads the environment, or opens a path of its own."""
    banned = {"os.environ", "os.getenv", "os.getcwd", "Path.home", "Path.cwd", "sys.argv", "tempfile.gettempdir"}
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            module = node.module if isinstance(node, ast.ImportFrom) else None
            assert "argparse" not in [module, *names], f"line {node.lineno}: argparse"
            assert not (module == "os" and {"environ", "getenv"} & set(names)), f"line {node.lineno}: environment"
        if isinstance(node, ast.Attribute):
            assert dotted(node) not in banned, f"line {node.lineno}: {dotted(node)}"
        if isinstance(node, ast.Call):
            called = dotted(node.func)
            assert called not in {"print", "input"}, f"line {node.lineno}: {called}"
            literal = bool(node.args) and isinstance(node.args[0], ast.Constant)
            assert not (literal and called in {"open", "Path", "io.open"}), f"line {node.lineno}: a path of its own"


@pytest.mark.parametrize("stage", stage_names())
def test_a_stage_is_a_function(stage: str) -> None:
    """Every module in fcn/stages that the command line offers has run(config, name), which returns nothing."""
    for node in tree_of(ROOT / "fcn" / "stages" / f"{stage}.py").body:
        if isinstance(node, ast.FunctionDef) and node.name == "run":
            assert [argument.arg for argument in node.args.args] == ["config", "name"]
            assert isinstance(node.returns, ast.Constant)
            assert node.returns.value is None
            return
    pytest.fail("no function `run`")


def test_the_graph_calls_stages_that_are_there() -> None:
    """Every command in dvc.yaml names a module of fcn/stages, and the stage bears that module's name."""
    graph = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    for name, stage in graph.items():
        words = stage.get("do", stage)["cmd"].split()
        assert words[:4] == ["python", "-m", "fcn", name]
        assert name in stage_names()


@pytest.mark.parametrize("path", TESTS, ids=name_of)
def test_a_test_says_what_must_hold(path: Path) -> None:
    """Every test's docstring is the sentence that must hold."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            assert (ast.get_docstring(node) or "").rstrip().endswith("."), f"{node.name}, line {node.lineno}"


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
    """Every relative link in a Markdown file names a file or folder of the project."""
    for document in [path for path in tracked() if path.suffix == ".md"]:
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")):
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
