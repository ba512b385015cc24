"""`python -m fcn ...`."""

import signal
import sys

from fcn.lifeline import watch_starter


def _main() -> int:
    watch_starter()
    try:
        from fcn.cli import main  # only now: while it is imported, the starter may die
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return main()


sys.exit(_main())
