"""`python -m fcn ...` as a child of a process that has imported what takes seconds, and nothing of ours."""

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing import forkserver
from pathlib import Path
from unittest.mock import patch

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["torch", "torchvision", "scipy.ndimage", "pydantic", "mlflow.pyfunc"])


def run(arguments: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """Call it in a folder, wait for its end, and return what came of it."""
    from fcn.publishing.tracking import QUIET  # not in the child, which may have code of its own

    with patch.dict(os.environ, QUIET):  # MLflow reads them as it is imported
        forkserver.ensure_running()
    with tempfile.NamedTemporaryFile() as out, tempfile.NamedTemporaryFile() as err:
        child = _SERVER.Process(target=_fcn, args=(arguments, cwd, dict(environment), out.name, err.name))
        child.start()
        child.join()
        said, complained = (Path(file.name).read_text("utf-8", "replace") for file in (out, err))
    return subprocess.CompletedProcess(["fcn", *arguments], child.exitcode or 0, said, complained)


def _fcn(arguments: Sequence[str], cwd: Path, environment: Mapping[str, str], out: str, err: str) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    for name, number in ((out, 1), (err, 2)):
        os.dup2(os.open(name, os.O_WRONLY), number)
    sys.path[:0] = [str(cwd), *environment.get("PYTHONPATH", "").split(os.pathsep)]
    sys.argv[1:] = arguments
    try:
        runpy.run_module("fcn", run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()  # which multiprocessing leaves out, and coverage has there what it saw
