"""`python -m fcn ...`."""

import errno
import io
import os
import signal
import sys

from fcn.errors import without_module

try:
    from fcn.lifeline import keep_interrupts, watch_starter
    from fcn.loopback import keep_direct
except ModuleNotFoundError as error:
    sys.exit(without_module(error.name))


def _main() -> int:
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # as it is behind `>&-`; the next file that is opened would have its place
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
    try:
        try:
            return _command()
        finally:
            sys.stdout.flush()  # while an error of it can still be caught
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.ENOSPC):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno == errno.EPIPE:  # whoever read it has enough, as `head` has: nobody is left to be told
            return 128 + signal.SIGPIPE
        sys.exit(f"error: what was to be said can't be written: {error.strerror}")


def _command() -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):  # as stderr is: a name that the terminal can't write ends nothing
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        keep_direct()
        keep_interrupts()
        watch_starter()  # which may interrupt us at once, where the starter is gone already
        from fcn.cli import main  # only now: while it is imported, the starter may die

        return main()
    except KeyboardInterrupt:  # before the command began
        return 128 + signal.SIGINT
    except ModuleNotFoundError as error:  # a Python that has some of them
        if "--traceback" in sys.argv:
            raise
        sys.exit(without_module(error.name))


sys.exit(_main())
