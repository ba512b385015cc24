"""`python -m fcn ...`."""

import io
import signal
import sys

try:
    from fcn.lifeline import watch_starter
    from fcn.loopback import keep_direct
except ModuleNotFoundError as error:
    sys.exit(
        f"error: this Python ({sys.executable}) has no {error.name}; activate the project's environment, "
        "`. .venv/bin/activate`, which any `make` command makes first"
    )


def _main() -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):  # as stderr is: a name that the terminal can't write ends nothing
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        keep_direct()
        watch_starter()  # which may interrupt us at once, where the starter is gone already
        from fcn.cli import main  # only now: while it is imported, the starter may die

        return main()
    except KeyboardInterrupt:  # before the command began
        return 128 + signal.SIGINT


sys.exit(_main())
