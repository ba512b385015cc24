"""`python -m fcn ...`."""

import signal
import sys

from fcn.lifeline import watch_starter


def _main() -> int:
    try:
        watch_starter()  # which may interrupt us at once, where the starter is gone already
        from fcn.cli import main  # only now: while it is imported, the starter may die

        return main()
    except KeyboardInterrupt:  # before the command began
        return 128 + signal.SIGINT


sys.exit(_main())
