"""A Postgres server of the tests' own, in a temporary folder and on a free port."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_OWNER = "fcn"
_ACCOUNT = "postgres"  # Debian's; the server refuses to be root's


def available() -> str | None:
    """Why no server can run here; None where one can."""
    if _binaries() is None:
        return "needs a Postgres server (Debian: apt install postgresql), on PATH or below /usr/lib/postgresql"
    if os.geteuid() == 0 and not _has_account():
        return f"Postgres refuses to run as root, and there is no account {_ACCOUNT!r} to run it as"
    return None


@contextmanager
def database(name: str) -> Iterator[str]:
    """The URL of an empty database, `postgresql://user@127.0.0.1:port/name`; server and data are gone afterwards."""
    binaries = _binaries()
    assert binaries is not None, available()
    account = _ACCOUNT if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))  # not pytest's, into which another account can't look
    if account is not None:
        shutil.chown(folder, account)
    port = _free_port()
    options = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off"]
    server: subprocess.Popen[bytes] | None = None
    try:
        init = [str(binaries / "initdb"), "-D", "data", "-U", _OWNER, "--auth=trust", "-E", "UTF8", "--locale=C", "-N"]
        subprocess.run(init, cwd=folder, user=account, check=True, capture_output=True)
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [binaries / "postgres", "-D", "data", "-p", str(port), *options],
                cwd=folder,
                user=account,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C of the tests is not its end: they end it
            )
        reach = ["-h", "127.0.0.1", "-p", str(port), "-U", _OWNER]
        _until_ready([str(binaries / "pg_isready"), "-q", *reach, "-t", "60"], server=server, log=folder / "log")
        subprocess.run([binaries / "createdb", *reach, name], check=True, capture_output=True)
        yield f"postgresql://{_OWNER}@127.0.0.1:{port}/{name}"
    finally:
        if server is not None:
            server.send_signal(signal.SIGQUIT)  # at once, without a checkpoint: the data are thrown away
            server.wait(60)
        shutil.rmtree(folder)


def _until_ready(command: list[str], *, server: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(600):
        if subprocess.run(command, check=False, capture_output=True).returncode == 0:
            return
        try:
            server.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
        break
    raise AssertionError(f"Postgres didn't start:\n{log.read_text(encoding='utf-8', errors='replace')}")


def _binaries() -> Path | None:
    """The folder of initdb and postgres: on PATH, or the newest of Debian's, which are not on it."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    installed = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(installed, key=lambda path: float(path.parent.name), default=None)


def _has_account() -> bool:
    try:
        pwd.getpwnam(_ACCOUNT)
    except KeyError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
