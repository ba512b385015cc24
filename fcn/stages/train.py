"""Stage: train one run; run again after any interruption it goes on where it stopped."""

import fcntl
import hashlib
import json
import math
import os
import platform
import resource
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Never, TextIO

import torch
from tqdm import tqdm

from fcn import nets, training
from fcn.config import Config, ListRef, Run, Solver
from fcn.datasets.pairs import pairs
from fcn.errors import InputError, StageFailure
from fcn.lifeline import Lifeline, lifeline
from fcn.nets import checkpoint
from fcn.nets.build import build, start
from fcn.nets.fcn import FCN
from fcn.publishing.feed import KILLED, Feed
from fcn.stages.places import Places, existing, whole_file, write_json
from fcn.training import resume
from fcn.training.batches import Batches
from fcn.training.loop import Interrupted, train
from fcn.training.watchdog import Diverged

_SAVE_SECONDS = 120.0
_LOCK_SECONDS = 120.0
_LINE_SECONDS = 30.0


def run(config: Config, name: str | None) -> None:
    """Write nets/<name>.pt, history/<name>.jsonl and cost/<name>.json.

    Environment: FCN_DEVICE (cuda or cpu), FCN_WORKERS (loader processes), FCN_SAVE_SECONDS (between saved states),
    MLFLOW_TRACKING_URI (where a companion process logs the training while it goes on; without it nobody does).
    """
    if name is None:
        raise InputError(f"train needs a run's name; there are {', '.join(config.runs)}")
    settings = config.run(name)
    solver, places = config.solvers[settings.solver], Places(config)
    origin = existing(places.init(settings.init))
    files = list_files(config, settings.train)
    device, workers = chosen_device(), _workers()
    settings_hash = _settings_hash(config, settings, origin=origin, files=files)
    folder = places.resume(name, settings_hash)
    with lifeline() as line, _only_one(folder, line):
        torch.manual_seed(config.seed)
        backbone = config.backbones[settings.backbone]
        net = build(settings, backbone=backbone, classes=config.classes)
        start_from = checkpoint.load(origin)
        fresh = start(net, start_from, run=settings, backbone=backbone, where=str(origin))
        _freeze(net, settings)
        saved = resume.load(folder)
        _announce(name, solver=solver, images=len(files), device=device, fresh=fresh, resumed=saved)
        batches = Batches(
            files,
            preprocessing=start_from.preprocessing,
            seed=config.seed,
            batch=solver.batch,
            crop=settings.crop,
            mirror=settings.mirror,
            jitter=settings.jitter,
        )
        environment = _environment(device, settings_hash)
        with _feed(config, name, environment=environment, resumed=saved) as feed:
            observer = _Observer(name=name, solver=solver, folder=folder, line=line, feed=feed)
            try:
                progress = train(
                    net,
                    batches,
                    solver=solver,
                    seed=config.seed,
                    device=device,
                    workers=workers,
                    observer=observer,
                    saved=saved,
                )
            except Interrupted as stop:
                feed.end(KILLED)
                message = f"{name}: {stop} ({line.reason}); the same command goes on from there"
                raise StageFailure(message, exit_code=line.exit_code) from None
            except Diverged as error:
                raise StageFailure(f"{name}: {error}. The last good state is kept in {folder}") from None
            finally:
                observer.bar.close()
            finished = checkpoint.Checkpoint(
                kind="fcn",
                backbone=backbone,
                classes=config.classes,
                net={
                    "stride": settings.stride,
                    "skips": settings.skips,
                    "pad": settings.pad,
                    "upsampling": settings.upsampling,
                },
                preprocessing=start_from.preprocessing,
                state=net.state_dict(),
                provenance={"run": name, "init": settings.init, "profile": config.profile},
            )
            with whole_file(places.history(name)) as part:
                part.write_text("".join(json.dumps(row) + "\n" for row in progress.history), encoding="utf-8")
            write_json(places.cost(name), {**_cost(progress, device=device), **environment})
            with whole_file(places.net(name)) as part:
                checkpoint.save(finished, part)
        shutil.rmtree(folder, ignore_errors=True)  # while the lock is held: who waits for it begins a folder of its own


def list_files(config: Config, ref: ListRef) -> list[tuple[Path, Path]]:
    """The image and label files of one of the config's lists."""
    places = Places(config)
    ids = existing(places.split(ref.list)).read_text(encoding="utf-8").split()
    dataset = config.source(ref.source).dataset
    return pairs(ids, dataset=dataset, raw=existing(places.raw(ref.source)), labels=existing(places.labels(ref.source)))


def chosen_device() -> torch.device:
    """FCN_DEVICE, or the GPU where there is one, or the CPU."""
    wanted = os.environ.get("FCN_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")
    if wanted not in ("cuda", "cpu"):
        raise InputError(f"FCN_DEVICE is {wanted!r}; cuda and cpu are possible, and CUDA_VISIBLE_DEVICES picks a GPU")
    if wanted == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "FCN_DEVICE is cuda, but torch sees no GPU here; unset it, or check the driver with nvidia-smi"
        )
    return torch.device(wanted)


def _workers() -> int:
    text = os.environ.get("FCN_WORKERS", "")
    if not text:
        return min(8, os.cpu_count() or 1) if chosen_device().type == "cuda" else 0
    if not text.isdigit():
        raise InputError(f"FCN_WORKERS is {text!r}; it is the number of loader processes, 0 or more")
    return int(text)


def _save_seconds() -> float:
    text = os.environ.get("FCN_SAVE_SECONDS", "")
    try:
        seconds = float(text or _SAVE_SECONDS)
    except ValueError:
        seconds = math.nan
    if not seconds >= 0:
        raise InputError(f"FCN_SAVE_SECONDS is {text!r}; it is the time between two saved states, 0 or more")
    return seconds


def _settings_hash(config: Config, settings: Run, *, origin: Path, files: Sequence[tuple[Path, Path]]) -> str:
    """A name for what a state depends on: other settings, init, list, images, labels or code never meet an old state.

    DVC records the result as made by the code that it sees at the end, so no other code may have had a part in it.
    """
    places = Places(config)
    digest = hashlib.sha256()
    for part in (settings, config.solvers[settings.solver], config.backbones[settings.backbone]):
        digest.update(json.dumps(asdict(part), sort_keys=True).encode())
    digest.update(f"{config.seed} {config.classes} {config.threads}".encode())
    raw = existing(places.raw(settings.train.source) / "manifest.json")  # which has the digest of all images
    code = [path for room in (nets, training) for path in sorted(Path(room.__path__[0]).rglob("*.py"))]
    for path in (origin, raw, existing(places.split(settings.train.list)), *(label for _, label in files), *code):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:12]


@contextmanager
def _only_one(folder: Path, line: Lifeline) -> Iterator[None]:
    """Hold the folder's lock: a trainer that was orphaned a moment ago is given time to save and leave."""
    deadline = time.monotonic() + _LOCK_SECONDS
    said = False
    while (lock := _locked(folder)) is None:
        if line.cut.is_set():
            raise StageFailure(f"stopped ({line.reason}) while waiting for {folder}/lock", exit_code=line.exit_code)
        if time.monotonic() > deadline:
            raise StageFailure(
                f"another training of this run holds {folder}/lock; wait for it, or end it and run again"
            )
        if not said:
            print("waiting for an earlier training of this run to save and leave", file=sys.stderr)
            said = True
        time.sleep(0.2)
    with lock:
        yield


def _locked(folder: Path) -> TextIO | None:
    """The folder's lock file, held until it is closed; None where another holds it, or just removed the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = (folder / "lock").open("w")
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock.fileno()), (folder / "lock").stat()):
            return lock
    except (BlockingIOError, FileNotFoundError):
        pass
    lock.close()
    return None


def _freeze(net: FCN, settings: Run) -> None:
    """Leave only the score layers to be trained where the run says so (FCN-32s-fixed)."""
    if settings.trained == "score":
        for name, parameter in net.named_parameters():
            parameter.requires_grad_(name.startswith("score_"))


def _announce(
    name: str,
    *,
    solver: Solver,
    images: int,
    device: torch.device,
    fresh: list[str],
    resumed: tuple[resume.Progress, object, object] | None,
) -> None:
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    layers = sorted({tensor.rpartition(".")[0] for tensor in fresh})
    print(
        f"{name}: {solver.iterations} iterations of {solver.batch * solver.accumulation} from {images} images "
        f"on {where}; new layers: {', '.join(layers) or 'none'}",
        file=sys.stderr,
    )
    if resumed is not None:
        print(f"{name}: going on after iteration {resumed[0].iteration}", file=sys.stderr)


def _cost(progress: resume.Progress, *, device: torch.device) -> dict[str, object]:
    gpu = device.type == "cuda"
    peak = torch.cuda.max_memory_allocated(device) if gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "seconds": round(progress.seconds, 1),
        "peak_memory_bytes": peak,
        "pieces_per_pass": progress.split,
    }


def _environment(device: torch.device, settings_hash: str) -> dict[str, object]:
    """Where a training runs, and the name of what it depends on: by this its run in MLflow is known again."""
    gpu = device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(device) if gpu else platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "settings": settings_hash,
    }


def _feed(
    config: Config,
    name: str,
    *,
    environment: Mapping[str, object],
    resumed: tuple[resume.Progress, object, object] | None,
) -> Feed:
    """The companion that logs to MLflow, where one is named; it hears of the rows before a restart again."""
    command = ["-m", "fcn", "follow", "--params", str(config.params)]
    texts = {key: str(value) for key, value in environment.items()}
    feed = Feed(
        command if os.environ.get("MLFLOW_TRACKING_URI") else None,
        head={"run": name, "environment": texts},
        warn=lambda message: tqdm.write(f"{name}: warning: {message}", file=sys.stderr),
    )
    for row in [] if resumed is None else resumed[0].history:
        feed.row(row)
    return feed


@dataclass(kw_only=True)
class _Observer:
    """Progress for people, saved states for the next start, and the lifeline's wish to stop."""

    name: str
    solver: Solver
    folder: Path
    line: Lifeline
    feed: Feed
    bar: "tqdm[Never]" = field(init=False)
    saved_at: float = field(default_factory=time.monotonic)
    said_at: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.save_seconds = _save_seconds()
        self.bar = tqdm(total=self.solver.iterations, desc=self.name, unit="it", disable=not sys.stderr.isatty())

    def report(self, row: dict[str, float]) -> None:
        self.feed.row(row)
        self.bar.n = int(row["iteration"])
        self.bar.set_postfix(images=int(row["images"]), loss=f"{row['loss']:.3f}", refresh=True)
        last = row["iteration"] == self.solver.iterations
        if self.bar.disable and (last or time.monotonic() - self.said_at > _LINE_SECONDS):
            self.said_at = time.monotonic()
            print(
                f"{self.name}: iteration {int(row['iteration'])} of {self.solver.iterations}, "
                f"{int(row['images'])} images, loss {row['loss']:.3f}",
                file=sys.stderr,
            )

    def warn(self, message: str) -> None:
        tqdm.write(f"{self.name}: warning: {message}", file=sys.stderr)

    def save_is_due(self) -> bool:
        return time.monotonic() - self.saved_at >= self.save_seconds

    def save(self, progress: resume.Progress, net: FCN, optimizer: torch.optim.SGD) -> None:
        resume.save(self.folder, progress=progress, net=net.state_dict(), optimizer=optimizer.state_dict())
        self.saved_at = time.monotonic()

    def must_stop(self) -> bool:
        return self.line.cut.is_set()
