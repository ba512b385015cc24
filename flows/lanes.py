"""Brings a profile up to date by DVC alone, stages side by side as far as they and the machine allow, without Prefect.

`python -m flows.lanes PROFILE CORES GPUS` is what `python -m fcn reproduce` starts, under a guardian. Each stage that
isn't up to date is a `dvc repro --single-item` of its own, forked off this process, which has imported DVC once; a
start of DVC for each would cost a second of a core. DVC lets go of its lock while a stage's command runs, and holds it
from reading dvc.lock to writing it, so that no entry is lost.
"""

import signal
import sys

if __name__ == "__main__":  # till main listens: imports take seconds, and would answer Ctrl-C with a traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from multiprocessing import connection, get_context
from multiprocessing.context import ForkProcess

from dvc.cli import main as dvc  # type: ignore[import-untyped]  # DVC ships no types

from fcn.errors import InputError, StageFailure
from flows import dag
from flows.dag import Stage
from flows.device_queue import DeviceQueue
from flows.plan import RunOptions, plan, recipes

_FORK = get_context("fork")
_UP_TO_DATE, _INTERRUPTED = 0, 128 + signal.SIGINT


def main(profile: str, *, cores: int, gpus: int) -> int:
    """Do it, as many stages at a time as `cores` and `gpus` have room for.

    The exit code is that of the first stage that failed, after which none is begun. SIGINT, which goes to
    all of the session, has none begun either: those at work save and end by themselves.
    """
    interrupted: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: interrupted.append(number))
    for only in ([dag.CODE], None):  # its digests decide what else is stale
        todo = plan(RunOptions(profile=profile, only=only))
        skipped = [f"Stage '{address}' didn't change, skipping\n" for address in sorted(todo.fresh)]  # as DVC says it
        sys.stdout.writelines(skipped)
        sys.stdout.flush()  # before a child has a copy of what is left to say
        waiting = DeviceQueue(todo.stale, cores=cores, gpus=range(gpus), recipes=recipes(profile))
        if failed := _walk(waiting, interrupted):
            return failed
    return _UP_TO_DATE


def _walk(waiting: DeviceQueue, interrupted: list[int]) -> int:
    at_work: dict[int, tuple[Stage, ForkProcess]] = {}
    failed = _UP_TO_DATE
    while True:
        while not (failed or interrupted) and (begun := waiting.begin()):
            child = _FORK.Process(target=_repro, args=(begun[0].address,))
            child.start()
            at_work[child.sentinel] = begun[0], child
        if not at_work:
            return failed or (_INTERRUPTED if interrupted else _UP_TO_DATE)
        for sentinel in connection.wait(at_work):
            assert isinstance(sentinel, int)
            stage, child = at_work.pop(sentinel)
            child.join()
            waiting.end(stage.address)
            code = child.exitcode or 0
            failed = failed or (code if code >= 0 else 128 - code)


def _repro(address: str) -> None:
    """DVC's own command, in a child: what it says is written a whole line at a time."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(dvc(["--wait-for-lock", "repro", "--single-item", address]))


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1], cores=int(sys.argv[2]), gpus=int(sys.argv[3])))
    except (InputError, StageFailure) as error:
        sys.exit(f"error: {error}")
