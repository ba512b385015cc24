"""What a stage really touches: files that it opens below data/, modules of fcn/ whose functions it calls."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

# Python imports `sitecustomize` at its start; this one watches and, at the end, writes down what it saw.
_WATCHER = """
import _lsprof, atexit, json, os, sys

root, opened, profiler = os.getcwd(), set(), _lsprof.Profiler(subcalls=False, builtins=False)
OPTIMIZED = 1  # of function bodies; modules and classes, which run when they are imported, don't have it
INLINE = ("expr>", "comp>")  # of a function that is called, or, as it is imported, of a module


def on_audit(event, arguments):
    if event in ("open", "os.listdir", "os.scandir") and isinstance(arguments[0], (str, bytes, os.PathLike)):
        path = os.path.relpath(os.path.abspath(os.fsdecode(arguments[0])), root)
        if path.startswith("data" + os.sep):
            opened.add(path)


def write():
    profiler.disable()
    codes = [entry.code for entry in profiler.getstats() if not isinstance(entry.code, str)]
    codes = [code for code in codes if code.co_flags & OPTIMIZED and not code.co_name.endswith(INLINE)]
    called = {code.co_filename for code in codes if code.co_filename.endswith(".py")}
    modules = sorted(os.path.relpath(name, root) for name in called if name.startswith(os.path.join(root, "fcn")))
    seen = {"arguments": sys.argv[1:], "opened": sorted(opened), "called": modules}
    with open(os.path.join(os.environ["FCN_TEST_SEEN"], f"{os.getpid()}.json"), "w") as file:
        json.dump(seen, file)


if sys.orig_argv[1:3] == ["-m", "fcn"]:
    atexit.register(write)
    sys.addaudithook(on_audit)
    profiler.enable()
"""


def watch(folder: Path) -> dict[str, str]:
    """What to add to the environment of a `dvc repro` so that its stages are watched, the notes going to `folder`."""
    (folder / "seen").mkdir(parents=True)
    (folder / "sitecustomize.py").write_text(_WATCHER, encoding="utf-8")
    return watched(folder)


def watched(folder: Path) -> dict[str, str]:
    """The same for a folder that has been prepared."""
    return {"PYTHONPATH": str(folder), "FCN_TEST_SEEN": str(folder / "seen")}


def seen(folder: Path) -> dict[str, dict[str, Any]]:
    """What the watched stages touched, by command line, such as `train voc-fcn32s-vgg16`."""
    notes = [json.loads(path.read_text(encoding="utf-8")) for path in (folder / "seen").iterdir()]
    return {" ".join(note["arguments"]).split(" --params")[0]: note for note in notes}


def lies_under(path: str, folders: Iterable[str]) -> bool:
    """Whether `path` is one of the folders or files, or in one."""
    return any(path == folder or path.startswith(folder + os.sep) for folder in folders)
