"""`python -m fcn ...`."""

import sys

from fcn.lifeline import watch_starter


def _main() -> int:
    watch_starter()
    from fcn.cli import main  # only now: while it is imported, the starter may die

    return main()


sys.exit(_main())
