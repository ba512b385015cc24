"""The two errors that are shown to people as a sentence, without a traceback."""


class InputError(ValueError):
    """Something that a person gave is wrong: a flag, a parameter, a file. Exit code 2.

    The message says what was wrong, what was found, what is allowed and what to do.
    """


class StageFailure(RuntimeError):
    """The input was fine, but the work could not be done: network, disk, memory.

    Exit code 1, or that of the signal which stopped the work.
    """

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code
