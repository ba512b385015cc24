"""The address that `make worker` writes for every later `prefect` in its folder: made, found, and gone with it."""

from pathlib import Path

import pytest
from prefect.settings import Settings

from fcn.commands.checks import prefect_server
from fcn.files import exclusive
from flows import address

_API = "http://127.0.0.1:4201/api"
_FILE = Path("prefect.toml")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "home"))


def test_prefect_and_doctor_find_the_address_as_long_as_it_is_told() -> None:
    """Prefect's settings and doctor have it in this folder without any variable, and no more afterwards."""
    with address.told(_API) as found:
        assert found
        assert Settings().api.url == prefect_server._setting("PREFECT_API_URL") == _API
    assert not _FILE.exists()
    assert Settings().api.url != _API
    assert prefect_server._setting("PREFECT_API_URL") == ""


def test_a_persons_own_file_stays_as_it_is() -> None:
    """One that was there is neither written over nor removed, nor is ours, where a person has added to it."""
    _FILE.write_text("[server]\n", encoding="utf-8")
    with address.told(_API) as found:
        assert not found
        address.forget_killed()
    assert _FILE.read_text(encoding="utf-8") == "[server]\n"
    _FILE.unlink()
    with address.told(_API):
        _FILE.write_text(f"{_FILE.read_text(encoding='utf-8')}key = 'mine'\n", encoding="utf-8")
    assert "mine" in _FILE.read_text(encoding="utf-8")


def test_what_a_killed_one_left_is_forgotten() -> None:
    """The address of a `make worker` that lives is kept; once it is dead, it is removed."""
    with address.told(_API):
        left = _FILE.read_text(encoding="utf-8")
    _FILE.write_text(left, encoding="utf-8")
    with exclusive(address.LOCK):
        address.forget_killed()
        assert _FILE.exists()
    address.forget_killed()
    assert not _FILE.exists()
