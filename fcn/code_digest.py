"""What code a module can run: digests of the syntax trees of all that it imports, blind to comments and docstrings."""

import ast
import hashlib
from collections.abc import Collection, Iterator
from functools import lru_cache
from pathlib import Path

PACKAGE = "fcn"


def closure(
    roots: Collection[str], *, folder: Path, without: Collection[str] = (), by_member: Collection[str] = ()
) -> dict[str, str]:
    """Digests by module name: of `roots`, of what they import anywhere in their code, of what that imports.

    `folder` is the package's own. Modules in `without` are neither counted nor followed, but for those of `by_member`:
    the methods of their classes count one by one, under MODULE.CLASS.METHOD, where a module of the closure, or another
    of these methods, has a use for a name like theirs. What is imported by a name that only the run knows is not found
    here: the caller names it among the roots.
    Raises ValueError for a root that there isn't, or a module that Python can't read.
    """
    found: dict[str, str] = {}
    used: set[str] = set()
    ahead = list(roots)
    while ahead:
        module = ahead.pop()
        if module in found or module in without:
            continue
        path = _path(module, folder)
        if path is None:
            raise ValueError(f"there is no module {module} in {folder}")
        text = path.read_bytes()
        found[module] = _digest(_parsed(text, path))
        used |= _attributes(_parsed(text, path))
        ahead += [*_parents(module), *_imports(_parsed(text, path), folder)]
    methods = {name: node for module in by_member for name, node in _methods(module, folder)}
    while more := {name for name in methods.keys() - found.keys() if name.rpartition(".")[2] in used}:
        for name in more:
            found[name] = _digest(methods[name])
            used |= _attributes(methods[name])
    return dict(sorted(found.items()))


def _methods(module: str, folder: Path) -> Iterator[tuple[str, ast.AST]]:
    """The methods and properties of a module's classes, but for Python's own, such as __init__."""
    path = _path(module, folder)
    assert path is not None
    owners = [node for node in _parsed(path.read_bytes(), path).body if isinstance(node, ast.ClassDef)]
    for owner in owners:
        for node in owner.body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("__"):
                yield f"{module}.{owner.name}.{node.name}", node


@lru_cache(maxsize=2048)
def _attributes(tree: ast.AST) -> set[str]:
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def _path(module: str, folder: Path) -> Path | None:
    inner = folder.joinpath(*module.split(".")[1:])
    return next((path for path in (inner.with_suffix(".py"), inner / "__init__.py") if path.is_file()), None)


def _parents(module: str) -> Iterator[str]:
    """A package's own code runs before that of its modules."""
    while "." in module:
        module = module.rpartition(".")[0]
        yield module


def _imports(tree: ast.AST, folder: Path) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            assert node.level == 0, "a relative import"  # ruff's TID252 forbids them
            # Each name may be a module of its own.
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [node.module, *(name for name in inner if name.startswith(PACKAGE) and _path(name, folder))]
        else:
            continue
        yield from (name for name in names if name.partition(".")[0] == PACKAGE)


@lru_cache(maxsize=512)
def _parsed(text: bytes, path: Path) -> ast.Module:
    try:
        return ast.parse(text)
    except SyntaxError as error:
        raise ValueError(f"{path}, line {error.lineno}: {error.msg}") from None


@lru_cache(maxsize=2048)
def _digest(tree: ast.AST) -> str:
    return hashlib.sha256("".join(_written(tree)).encode()).hexdigest()[:16]


def _written(node: object) -> Iterator[str]:
    """The tree as text. Empty fields are left out: newer Pythons have more of them."""
    if isinstance(node, ast.AST):
        yield f"({type(node).__name__}"
        for name, value in ast.iter_fields(node):
            if value is not None and value != []:
                yield f" {name}="
                yield from _written(value)
        yield ")"
    elif isinstance(node, list):
        yield "["
        for item in node:
            if not _is_text_alone(item):
                yield from _written(item)
        yield "]"
    else:
        yield repr(node)


def _is_text_alone(node: object) -> bool:
    """A docstring, of whatever it is."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
