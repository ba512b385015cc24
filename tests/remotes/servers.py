"""Where results can be left for others: a folder, an S3 server, an SSH server; real ones, of this machine."""

import asyncio
import getpass
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
import pytest


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """What DVC has to be told of it: its address, options of `dvc remote modify`, and the environment."""

    address: str
    options: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)


@contextmanager
def local(folder: Path) -> Iterator[Remote]:
    """A folder, as on a disk that several machines see."""
    yield Remote(address=str(folder / "store"))


@contextmanager
def s3(folder: Path) -> Iterator[Remote]:
    """A bucket of moto's S3 server, spoken to over HTTP; the environment keeps any settings of the user's away."""
    boto3 = pytest.importorskip("boto3")
    moto = pytest.importorskip("moto.server")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}  # moto takes any
        boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **keys).create_bucket(Bucket="results")
        environment = {name.upper(): value for name, value in keys.items()} | {
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": str(folder / "none"),
            "AWS_SHARED_CREDENTIALS_FILE": str(folder / "none"),
        }
        yield Remote(address="s3://results/fcn", options={"endpointurl": endpoint}, environment=environment)
    finally:
        server.stop()


@contextmanager
def ssh(folder: Path) -> Iterator[Remote]:
    """An SSH server with SFTP and keys of its own, which lets in who has the test's key."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(str(folder / "key"))
    key.write_public_key(str(folder / "authorized"))
    (folder / "key").chmod(0o600)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="ssh")
    thread.start()

    async def listen() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
            authorized_client_keys=str(folder / "authorized"),
            sftp_factory=True,
        )

    async def end(server: asyncssh.SSHAcceptor) -> None:
        server.close()
        await server.wait_closed()

    server = asyncio.run_coroutine_threadsafe(listen(), loop).result(60)
    try:
        options = {"port": str(server.get_port()), "keyfile": str(folder / "key"), "user": getpass.getuser()}
        yield Remote(address=f"ssh://127.0.0.1{folder / 'store'}", options=options)
    finally:
        asyncio.run_coroutine_threadsafe(end(server), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


KINDS = {"local": local, "s3": s3, "ssh": ssh}
