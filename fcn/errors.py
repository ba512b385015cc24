"""The two errors shown to people as a sentence: no traceback, nobody's password, nothing that a terminal acts on."""

import difflib
import re
import sys
from collections.abc import Iterable

# Greedy to the last @ of the word: passwords hold slashes and colons that should have been escaped.
_USER = re.compile(r"(?<=://)[^\s/?#]*(?::\S*)?@")
_TELLING = "token|key|secret|pass|pwd|sig|auth|cred|code|jwt|session"
_QUERY = re.compile(rf"(?i)([?&;#][^\s=&?]*(?:{_TELLING})[^\s=&]*=)[^\s&#'\"]+")


def without_secrets(text: str) -> str:
    """The text with no address's user and password, and `...` for what a query's `?token=` and its like say."""
    return _QUERY.sub(r"\1...", _USER.sub("", text))


def printable(text: str) -> str:
    """The text on one line, with what damaged or hostile names bring along escaped: colours, bells, NUL, new lines."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def near(name: str, among: Iterable[str], *, prefix: str = "") -> str:
    """`did you mean ...? ` where one of these names is like it; it stands before what is allowed."""
    close = difflib.get_close_matches(name, list(among), n=1)
    return f"did you mean {prefix + close[0]!r}? " if close else ""


class InputError(ValueError):
    """Something that a person gave is wrong: a flag, a parameter, a file. Exit code 2.

    The message says what was wrong, what was found, what is allowed and what to do.
    """

    def __init__(self, message: str) -> None:
        super().__init__(without_secrets(printable(message)))


class StageFailure(RuntimeError):
    """The input was fine, but the work could not be done: network, disk, memory.

    Exit code 1, or that of the signal which stopped the work. It may quote lines of another program.
    """

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(without_secrets("\n".join(map(printable, message.split("\n")))))
        self.exit_code = exit_code


def without_module(name: object) -> str:
    """What a Python is told that isn't the environment's, by every door; one that is too old for us can read this."""
    return (
        f"error: this Python ({sys.executable}) has no {name}; it takes the project's environment: "
        "`make environment` makes it, once, and `. .venv/bin/activate` in the project's root has a terminal use it"
    )
