"""`python -m fcn COMMAND`: every DVC stage by its name, and the commands for people."""

import argparse
import ast
import errno
import importlib
import os
import pkgutil
import shutil
import signal
import sys
import textwrap
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType, ModuleType

from fcn import commands, stages
from fcn.config import Config, load
from fcn.errors import InputError, StageFailure, near
from fcn.files import write_json, written
from fcn.machine import out_of_memory, peak_memory_bytes
from fcn.stages import code
from fcn.stages.places import Places

_NOT_STAGES = {"device", "observer", "places", "processes"}
# A training counts over all its starts, by itself; the last two are made of what the others took.
_WITHOUT_COST = {"code", "train", "report", "publish"}
_INTERRUPTED = "interrupted; the same command goes on from here"
_ADVICE = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "free some space"),
    **dict.fromkeys((errno.EACCES, errno.EROFS), "check who may write there"),
    errno.EISDIR: "move it away, for a file should be there,",
}


def stage_names() -> list[str]:
    """The stages there are: the folder fcn/stages is the registry."""
    return _modules(stages, but=_NOT_STAGES)


def command_names() -> list[str]:
    """The commands for people: those of the folder fcn/commands."""
    return _modules(commands, but=set())


def _modules(package: ModuleType, *, but: set[str]) -> list[str]:
    found = pkgutil.iter_modules(package.__path__)
    return sorted(module.name for module in found if not module.ispkg and module.name not in but)


def _parser(chosen: str | None) -> tuple[argparse.ArgumentParser, Mapping[str, argparse.ArgumentParser]]:
    """All commands, and each by its name; only the chosen one is imported, to be asked for its arguments."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--params", type=Path, default=Path("params.yaml"), help="the profile's params.yaml")
    common.add_argument("--traceback", action="store_true", help="show where in the code an error arose")
    parser = argparse.ArgumentParser(
        prog="python -m fcn",
        description="A command for people, or one stage of the graph in dvc.yaml, which `dvc repro` runs by itself.",
        epilog=f"for people:\n{_listed(commands, command_names())}\n\nstages, in the graph's order:\n"
        f"{_listed(stages, sorted(stage_names(), key=code.ORDER.index))}\n\n"
        "Each takes `--params profiles/NAME/params.yaml` for another profile than the sample, and has a --help.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    every = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", help="one of these")
    for name in command_names():
        command = every.add_parser(name, parents=[common], description=_summary(commands, name))
        if name == chosen:
            _imported(f"fcn.commands.{name}").add_arguments(command)
    for name in stage_names():
        stage = every.add_parser(name, parents=[common], description=_summary(stages, name))
        stage.add_argument("name", nargs="?", help="which archive, dataset, net or run, for stages that have several")
    return parser, every.choices


def _listed(package: ModuleType, names: Sequence[str]) -> str:
    width = max(shutil.get_terminal_size().columns - 2, 40)
    return "\n".join(
        textwrap.fill(_summary(package, name), width, initial_indent=f"  {name:<13}", subsequent_indent=" " * 15)
        for name in names
    )


def _summary(package: ModuleType, name: str) -> str:
    """What a module says of itself in its first line, which is read, not imported."""
    text = Path(package.__path__[0], f"{name}.py").read_text(encoding="utf-8")
    first = (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
    return first.partition(": ")[2].rstrip(".").replace("%", "%%")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 1 for a failure, 2 for wrong input, 130 for an interrupt."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser, command_parsers = _parser(arguments[0] if arguments else None)
    first = arguments[0] if arguments else ""
    if first not in command_parsers and (hint := near(first, command_parsers)):
        parser.error(f"invalid choice: {first!r}; {hint}there are {', '.join(command_parsers)}")
    options = parser.parse_args(arguments)
    warnings.filterwarnings("ignore", module=r"PIL\.")  # of what stands beside the pixels: a camera's broken notes
    try:
        _go_to_the_root(options, command_parsers[options.command])
        config = load(options.params)
        # Before torch is imported, which reads them once. Threads that wait for others on a core that somebody else
        # uses would otherwise spin there, and a training take many times as long; those that sleep at once cost a
        # quiet machine a fifth of its time. So they spin for as long as a short operation takes, some 50 microseconds.
        os.environ |= {"OMP_NUM_THREADS": str(config.threads), "MKL_NUM_THREADS": str(config.threads)}
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
        if options.command in command_names():
            _imported(f"fcn.commands.{options.command}").run(config, options)
        else:
            _run_stage(config, options.command, name=options.name)
    except InputError as error:
        return _say(error, 2, traceback=options.traceback)
    except StageFailure as error:
        return _say(error, error.exit_code, traceback=options.traceback)
    except (MemoryError, RuntimeError, OSError) as error:
        if out_of_memory(error):
            return _say(StageFailure(_no_memory(options.command, error)), 1, traceback=options.traceback)
        if not isinstance(error, OSError) or error.errno not in _ADVICE:
            raise
        where = f" ({error.filename})" if error.filename else ""
        why, advice = os.strerror(error.errno), _ADVICE[error.errno]
        message = f"{why}{where}; nothing was half-written: {advice} and run the same command again"
        return _say(StageFailure(message), 1, traceback=options.traceback)
    except KeyboardInterrupt:
        print(_INTERRUPTED, file=sys.stderr)
        return 128 + signal.SIGINT
    return 0


def _go_to_the_root(options: argparse.Namespace, command: argparse.ArgumentParser) -> None:
    """From a folder further down go to where all paths of the project begin; what was given from there stays of there.

    In a profile's own folder, its params.yaml is meant. One that isn't here may be named as from the root.
    """
    here = Path.cwd()
    root = next(filter(_is_root, (here, *here.parents)), None)
    if root is None and options.params is command.get_default("params") and not _is_there(options.params):
        raise InputError(f"{here} is in no project: go to its folder, or one below, or name the profile by --params")
    if root in (None, here):
        return
    print(f"(paths are as from {root})", file=sys.stderr)
    for name, given in vars(options).items():
        if name == "params" and not _is_there(here / given) and _is_there(root / given):
            continue
        if name == "params" or given is not command.get_default(name):
            setattr(options, name, _from(here, given) if name not in ("command", "name") else given)
    os.chdir(root)


def _is_root(folder: Path) -> bool:
    return (folder / "dvc.yaml").is_file() and (folder / "fcn").is_dir()


def _is_there(path: Path) -> bool:
    """Also of a name that is longer than a disk's, which Python doesn't ask for without an error."""
    with suppress(OSError):
        return path.exists()
    return False


def _from(here: Path, given: object) -> object:
    """A path, or words that may be one or a URL or a run's name, as seen from the root."""
    if isinstance(given, list):
        return [_from(here, each) for each in given]
    if isinstance(given, str) and _is_there(here / given):
        return str(here / given)
    return here / given if isinstance(given, Path) else given


def _imported(module: str) -> ModuleType:
    """A stage or a command. While it is imported there is nothing to save: an interrupt ends the process at once.

    Raised in the middle of numpy's or torch's own imports it can be swallowed there, and leaves them half made.
    """

    def leave(number: int, _frame: FrameType | None) -> None:
        print(_INTERRUPTED, file=sys.stderr, flush=True)
        os._exit(128 + number)

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:  # as for `command &`
        signal.signal(signal.SIGINT, leave)
    try:
        return importlib.import_module(module)
    finally:
        signal.signal(signal.SIGINT, before)


def _run_stage(config: Config, stage: str, *, name: str | None) -> None:
    """Run it, and write down what it took."""
    began = time.monotonic()
    code.check(config, stage, name)
    _imported(f"fcn.stages.{stage}").run(config, name)
    if stage not in _WITHOUT_COST:
        cost = {"seconds": round(time.monotonic() - began, 1), "peak_memory_bytes": peak_memory_bytes()}
        result = Places(config).result(stage, name)
        if result is not None:
            cost |= written(result)
        write_json(Places(config).stage_cost(stage, name), cost)


def _no_memory(command: str, error: Exception) -> str:
    """Out of memory, outside of a pass whose gradients were wanted: fcn/training/loop.py has a better advice there."""
    found = (str(error).splitlines() or ["an object didn't fit"])[0][:200]
    if command == "train":
        lower = "lower the recipe's batch or crop, set precision: bfloat16, FCN_WORKERS=0, or take a narrower backbone"
    else:
        lower = "where it was a GPU's, set FCN_DEVICE=cpu, which takes the machine's instead"
    return f"out of memory ({found}); end what else runs here, or {lower}; then run the same command again"


def _say(error: Exception, code: int, *, traceback: bool) -> int:
    if traceback:
        raise error
    print(f"error: {error}", file=sys.stderr)
    return code
