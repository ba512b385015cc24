"""The processes that train one net: started beside the first, or by torchrun; they come and go together."""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from subprocess import DEVNULL, PIPE, Popen, TimeoutExpired

import psutil
import torch
from torch import distributed
from torch.distributed.distributed_c10d import Store
from torch.distributed.rendezvous import rendezvous

from fcn.errors import InputError, StageFailure
from fcn.lifeline import Lifeline
from fcn.training.parallel import ALONE, Ranks

_PATIENCE = timedelta(minutes=10)  # for what all of them do in a step; who is stuck for longer ends all
_GRACE_SECONDS = 10.0
_POLL_SECONDS = 0.2
_HOST = "127.0.0.1"


@contextmanager
def joined(devices: int, *, command: Sequence[str], where: torch.device, line: Lifeline) -> Iterator[Ranks]:
    """This process as one of `devices` that train one net; the first starts the others, where torchrun didn't.

    `command` is what python is called with for each of them. When one of them dies, however that comes, all end.
    Raises InputError where there are fewer GPUs, or torchrun starts another number; StageFailure where one died.
    """
    given = os.environ.get("WORLD_SIZE") or str(devices)
    if given != str(devices):
        raise InputError(
            f"{given} processes were started (WORLD_SIZE), but the recipe has devices: {devices}; start as many, "
            "as torchrun does with --nproc-per-node, or none, or change the recipe"
        )
    if devices == 1:
        yield ALONE
        return
    if where.type == "cuda" and torch.cuda.device_count() < devices:
        raise InputError(
            f"the recipe has devices: {devices}, but torch sees {torch.cuda.device_count()} GPUs here; write fewer, or "
            "have CUDA_VISIBLE_DEVICES name as many; FCN_DEVICE=cpu has as many processes on the CPU instead"
        )
    others: list[_Other] = []
    leaving = threading.Event()
    try:
        if "RANK" in os.environ:
            threading.Thread(target=_leave_with_parent, args=(os.getppid(), line), daemon=True).start()
            store, rank, _ = next(rendezvous("env://", timeout=_PATIENCE))
        else:
            store, rank = _start(others, devices, command=command, leaving=leaving), 0
        if where.type == "cuda":
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        backend = "cpu:gloo,cuda:nccl" if where.type == "cuda" else "gloo"
        distributed.init_process_group(backend, store=store, rank=rank, world_size=devices, timeout=_PATIENCE)
        ranks = Ranks(rank=rank, count=devices, store=store)
        yield ranks
        ranks.largest(0)  # until the first has written what came of it: nobody leaves before
        distributed.destroy_process_group()
    except RuntimeError as error:
        if "gloo/" not in str(error) and not isinstance(error, distributed.DistError):
            raise
        found = filter(None, (other.why(patience_seconds=_GRACE_SECONDS) for other in others))
        why = next(found, f"the {devices} processes of this training lost each other: {str(error).splitlines()[0]}")
        raise StageFailure(
            f"{why}; the same command goes on from the last state", exit_code=line.exit_code or 1
        ) from None
    finally:
        leaving.set()
        for other in others:
            other.process.kill()


def _start(others: "list[_Other]", devices: int, *, command: Sequence[str], leaving: threading.Event) -> Store:
    """Start the others with the variables that torchrun would set; all that listens does so on this machine alone."""
    listener = socket.create_server((_HOST, 0))
    port = listener.getsockname()[1]
    store: Store = distributed.TCPStore(  # type: ignore[attr-defined]  # it is, without saying so
        _HOST, port, is_master=True, wait_for_workers=False, master_listen_fd=listener.detach(), timeout=_PATIENCE
    )
    loopback = next(
        name for name, addresses in psutil.net_if_addrs().items() if _HOST in {each.address for each in addresses}
    )
    os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)
    shared = {**os.environ, "MASTER_ADDR": _HOST, "MASTER_PORT": str(port), "WORLD_SIZE": str(devices)}
    for rank in range(1, devices):
        own = {"RANK": str(rank), "LOCAL_RANK": str(rank)}
        others.append(_Other([sys.executable, *command], {**shared, **own}, leaving=leaving))
    return store


class _Other:
    """Another process of this training, as the first sees it: what it says is passed on, but for why it failed.

    In a process group of its own: a terminal's Ctrl-C is the first one's to act on.
    """

    def __init__(self, command: Sequence[str], variables: dict[str, str], *, leaving: threading.Event) -> None:
        self.process = Popen(
            command, env=variables, text=True, errors="replace", stdin=DEVNULL, stderr=PIPE, process_group=0
        )
        self._said, self._leaving = "", leaving
        for work in (self._hear, self._watch):
            threading.Thread(target=work, daemon=True).start()

    def why(self, *, patience_seconds: float) -> str:
        """Why it ended, if it did before its time; nothing where it works on."""
        try:
            code = self.process.wait(patience_seconds)
        except TimeoutExpired:
            return ""
        said = f": {self._said}" if self._said else ""
        ended = signal.Signals(-code).name if code < 0 else f"exit code {code}{said}"
        return f"one of the processes of this training ended ({ended})" if code else ""

    def _hear(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if line.startswith("error: "):
                self._said = line.removeprefix("error: ").strip()
            else:
                sys.stderr.write(line)

    def _watch(self) -> None:
        """End this process, too, should it not notice by itself: NCCL waits for what is gone."""
        self.process.wait()
        if self.process.returncode and not self._leaving.wait(2 * _GRACE_SECONDS):
            print(f"error: {self.why(patience_seconds=0)}", file=sys.stderr, flush=True)
            os._exit(1)


def _leave_with_parent(parent: int, line: Lifeline) -> None:
    """When who started this process is gone, the first of torchrun's saves; others have nothing to save."""
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    if os.environ["RANK"] != "0":
        os._exit(1)
    line.pull("torchrun is gone", 1)
