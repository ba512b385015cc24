"""Errors as people see them: sentences that hold nobody's password."""

import pytest

from fcn.errors import InputError, StageFailure, without_secrets

TOLD = {
    "http://me:secret@host:5000/api": "http://host:5000/api",
    "http://secret@host": "http://host",
    "postgresql+psycopg2://me:s/e@c:r?et@host/db": "postgresql+psycopg2://host/db",
    "https://host/x?a=1&access_token=secret&b=2": "https://host/x?a=1&access_token=...&b=2",
    "https://host/x.jpg?X-Amz-Signature=secret#top": "https://host/x.jpg?X-Amz-Signature=...#top",
    "https://host/back?code=secret&jwt=secret": "https://host/back?code=...&jwt=...",
    "https://host/page#access_token=secret": "https://host/page#access_token=...",
    "'http://me:secret@a' or http://b/c, says me@host": "'http://a' or http://b/c, says me@host",
    "sqlite:///mlflow.db": "sqlite:///mlflow.db",
}


@pytest.mark.parametrize(("text", "told"), TOLD.items(), ids=TOLD.values())
def test_no_address_tells_its_secrets(text: str, told: str) -> None:
    """Users, passwords and tokens of addresses go, wherever they stand in a text, and all else stays."""
    assert without_secrets(text) == told
    for error in (InputError(text), StageFailure(text)):
        assert str(error) == told


def test_no_message_steers_the_terminal() -> None:
    """Control characters and odd bytes of a name are told as escapes, other alphabets stay; failures have lines."""
    text = "no \x1b[31mred\x1b[0m, \r, NUL \0, \udc80 or \u202etfel;\n  naïve 名前 stay"
    told = "no \\x1b[31mred\\x1b[0m, \\r, NUL \\x00, \\udc80 or \\u202etfel;\n  naïve 名前 stay"
    assert str(StageFailure(text)) == told
    assert str(InputError(text)) == told.replace("\n", r"\n")
