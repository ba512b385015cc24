"""`python -m fcn COMMAND`: every DVC stage by its name, and the commands for people."""

import argparse
import errno
import importlib
import os
import pkgutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from fcn import stages
from fcn.config import load
from fcn.errors import InputError, StageFailure

_NOT_STAGES = {"places"}
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def stage_names() -> list[str]:
    """The stages there are: the folder fcn/stages is the registry."""
    names = (module.name for module in pkgutil.iter_modules(stages.__path__))
    return sorted(name for name in names if name not in _NOT_STAGES)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fcn", description="Run one stage of the graph in dvc.yaml.")
    parser.add_argument("stage", choices=stage_names(), metavar="STAGE", help=", ".join(stage_names()))
    parser.add_argument("name", nargs="?", help="which source, weights entry or run, for stages that have several")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="the profile's params.yaml")
    parser.add_argument("--traceback", action="store_true", help="show where in the code an error arose")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 1 for a failure, 2 for wrong input, 130 for an interrupt."""
    options = _parser().parse_args(arguments)
    try:
        stage = importlib.import_module(f"fcn.stages.{options.stage}")
        stage.run(load(options.params), options.name)
    except InputError as error:
        return _say(error, 2, traceback=options.traceback)
    except StageFailure as error:
        return _say(error, error.exit_code, traceback=options.traceback)
    except OSError as error:
        if error.errno not in (*_NO_SPACE, errno.EACCES, errno.EROFS):
            raise
        where = f" ({error.filename})" if error.filename else ""
        advice = "free some space" if error.errno in _NO_SPACE else "check who may write there"
        message = (
            f"{os.strerror(error.errno)}{where}; nothing was half-written: {advice} and run the same command again"
        )
        return _say(StageFailure(message), 1, traceback=options.traceback)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 128 + signal.SIGINT
    return 0


def _say(error: Exception, code: int, *, traceback: bool) -> int:
    if traceback:
        raise error
    print(f"error: {error}", file=sys.stderr)
    return code
