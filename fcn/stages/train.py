"""Stage: train one run; run again after any interruption it goes on where it stopped."""

import hashlib
import json
import platform
import shutil
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fcn.config import Config
from fcn.datasets import facts
from fcn.datasets import lists as list_files
from fcn.datasets.facts import Target
from fcn.datasets.samples import Samples
from fcn.entries import Recipe
from fcn.errors import InputError, StageFailure
from fcn.files import exclusive, existing, link_or_copy, sha256, whole_file, whole_folder, write_json, written
from fcn.lifeline import Lifeline, lifeline
from fcn.machine import cores, load_average, peak_memory_bytes, wants_graphs, wants_it_plain
from fcn.nets import checkpoint
from fcn.nets.build import HandOver, preprocessing, start
from fcn.nets.checkpoint import Checkpoint
from fcn.nets.fcn import FCN
from fcn.stages import code, device, processes
from fcn.stages.observer import Observer, Silent
from fcn.stages.places import Places
from fcn.training import resume
from fcn.training.batches import Batches
from fcn.training.loop import Interrupted, Score, train
from fcn.training.optimizer import freeze
from fcn.training.parallel import Ranks
from fcn.training.resume import Progress
from fcn.training.watchdog import Diverged

_LOCK_SECONDS = 120.0

Saved = tuple[Progress, dict[str, Tensor], dict[str, object]]


def run(config: Config, name: str | None) -> None:
    """Write nets/<name>.pt, history/<name>.jsonl and cost/<name>.json.

    Environment: FCN_DEVICE (cuda or cpu), FCN_WORKERS (loader processes), FCN_CACHE_BYTES (of decoded pictures that
    these keep), FCN_SAVE_SECONDS (between saved states), FCN_PLAIN, FCN_GRAPHS,
    MLFLOW_TRACKING_URI (where another process logs the training while it goes on; without it nobody does). With a
    recipe's `devices` as many processes run this, of which the first says, keeps and writes all of it.
    """
    if name is None:
        raise InputError(f"train needs a run's name; there are {', '.join(config.runs)}")
    settings, recipe, places = config.run(name), config.recipe(name), Places(config)
    origin = existing(places.init(settings.init))
    dataset = existing(places.dataset(settings.train.dataset))
    where = device.chosen_device()
    workers = device.loader_processes(where, devices=recipe.devices)
    ids = list_files.read_back(existing(places.list_file(settings.train.list)))
    samples = Samples(dataset, ids, cache_bytes=device.cache_bytes(max(workers, 1) * recipe.devices))
    folder = resume_folder(config, name)
    settings_hash = folder.name.rpartition("-")[2]
    command = ["-m", "fcn", "train", name, "--params", str(config.params)]
    with (
        lifeline() as line,
        processes.joined(recipe.devices, command=command, where=where, line=line) as ranks,
        nullcontext() if ranks.rank else _only_one(folder, line),
    ):
        if ranks.first(lambda: _put_back(config, name, settings_hash)):
            shutil.rmtree(folder, ignore_errors=True)
            return
        torch.manual_seed(settings.seed)
        net = FCN(config.net(name), plain=wants_it_plain())
        targets = facts.of_heads(
            net.net.heads, samples.facts.targets, dataset=settings.train.dataset, where=f"runs.{name}.net"
        )
        facts.check_inputs(
            net.net.inputs, samples.facts.inputs, dataset=settings.train.dataset, where=f"runs.{name}.net"
        )
        start_from = checkpoint.load(origin)
        handed = start(net, start_from, where=str(origin))
        _check_names(start_from, targets, dataset=settings.train.dataset, where=str(origin))
        prepared = preprocessing(net.net, start_from)
        freeze(net, recipe)
        saved = None if ranks.rank else resume.load(folder)
        if ranks.first(lambda: saved is not None) and ranks.rank:
            saved = resume.load(folder)
        if ranks.rank == 0:
            _announce(name, recipe=recipe, images=len(samples), where=where, handed=handed, saved=saved)
            _warn_of_jitter(samples, recipe, target=next(iter(targets)), where=f"{name}: warning", of=settings.recipe)
        environment = _environment(where, settings_hash)
        of_rank = Silent if ranks.rank else Observer
        observer = of_rank(run=name, iterations=recipe.iterations, folder=folder, line=line)
        history = [] if saved is None else saved[0].history
        begun = Checkpoint(
            backbone=net.net.backbone,
            net=net.net,
            targets=targets,
            preprocessing=prepared,
            state={},
            provenance={"run": name, "init": settings.init, "profile": config.profile},
        )
        observer.begin(about={"environment": environment}, history=history, params=str(config.params))
        try:
            progress = train(
                net,
                Batches(samples, recipe=recipe, preprocessing=prepared, seed=settings.seed),
                recipe=recipe,
                seed=settings.seed,
                device=where,
                workers=workers,
                observer=observer,
                saved=saved,
                score=_score(config, name, begun, line=line, ranks=ranks),
                ranks=ranks,
                graphs=wants_graphs(),
            )
        except Interrupted as stop:
            message = f"{name}: {stop} ({line.reason}); the same command goes on from there"
            raise StageFailure(message, exit_code=line.exit_code) from None
        except Diverged as error:
            raise StageFailure(f"{name}: {error}. The last good state is kept in {folder}") from None
        finally:
            observer.bar.close()
        peak = ranks.largest(torch.cuda.max_memory_allocated(where) if where.type == "cuda" else peak_memory_bytes())
        if ranks.rank:
            return
        finished = replace(begun, state=net.state_dict())
        if kept := recipe.kept(progress.history):
            assert progress.best is not None
            finished = replace(begun, state=progress.best, provenance={**begun.provenance, "kept": kept})
            print(f"{name}: its net is that of {kept}", file=sys.stderr)
        with whole_file(places.history(name)) as part:
            part.write_text("".join(json.dumps(row) + "\n" for row in progress.history), encoding="utf-8")
        with whole_file(places.net(name)) as part:
            checkpoint.save(finished, part)
        cost = _cost(progress, peak=peak, devices=ranks.count, loads=observer.loads)
        write_json(places.cost(name), {**cost, **written(places.net(name)), **environment})
        with whole_folder(places.finished(name)) as part:
            for path in _results(places, name):
                link_or_copy(path, part / f"{settings_hash}{path.suffix}")
        shutil.rmtree(folder, ignore_errors=True)  # while the lock is held: who waits for it begins a folder of its own


def _score(config: Config, name: str, begun: Checkpoint, *, line: Lifeline, ranks: Ranks) -> Score | None:
    """How a training is scored on the way: as its net will be in the end, by a net of its own; None where it isn't.

    The first of several processes does so, and tells the others.
    """
    if (val := config.scored_on(name)) is None:
        return None
    from fcn.stages import evaluate  # only here: it is in no other training's digest

    samples = evaluate.val_samples(config, name)

    def score(state: dict[str, Tensor]) -> Mapping[str, float]:
        found = replace(begun, state=state)
        return ranks.first(lambda: evaluate.on_the_way(found, samples, ref=val, line=line, title=name))

    return score


def _results(places: Places, name: str) -> list[Path]:
    return [places.history(name), places.cost(name), places.net(name)]


def _put_back(config: Config, name: str, settings_hash: str) -> bool:
    """Have the results of a training that ended, but that DVC then failed to take, as where its cache's disk is full.

    DVC removes a stage's results before it runs it again, and dvc.lock names those that it has.
    """
    places = Places(config)
    kept = {path: places.finished(name) / f"{settings_hash}{path.suffix}" for path in _results(places, name)}
    net, lock = places.net(name), Path(config.params).with_name("dvc.lock")
    if net.exists() or not all(path.exists() for path in kept.values()):
        return False
    with kept[net].open("rb") as file:
        if lock.exists() and hashlib.file_digest(file, "md5").hexdigest() in lock.read_text(encoding="utf-8"):
            return False
    for path, source in kept.items():
        with whole_file(path) as part:
            link_or_copy(source, part)
    print(f"{name}: trained already, but DVC could not take it then: put back as it was", file=sys.stderr)
    return True


def _check_names(start_from: Checkpoint, targets: Mapping[str, Target], *, dataset: str, where: str) -> None:
    """Raise InputError where a score layer that was trained on some classes would go on as that of others."""
    for target, theirs in start_from.targets.items():
        ours = targets[target].classes
        if theirs.classes != ours:
            index = next(index for index, name in enumerate(ours) if theirs.classes[index] != name)
            raise InputError(
                f"{where} was trained to tell apart other classes than {dataset} has: its class {index} of {target!r} "
                f"is {theirs.classes[index]!r}, here it is {ours[index]!r}; start from weights/NAME instead"
            )


def resume_folder(config: Config, name: str) -> Path:
    """Where the run's states are; other settings, init, list, images, labels or code never meet an old one.

    DVC records the result as made by the code that it sees at the end, so no other code may have had a part in it.
    """
    places, settings = Places(config), config.run(name)
    parts = {
        "code": code.described(config, "train", name),
        "threads": config.threads,
        "origin": sha256(places.init(settings.init)),
        "dataset": facts.read(places.dataset(settings.train.dataset)).sha256,
        "list": sha256(places.list_file(settings.train.list)),
    }
    if (val := config.scored_on(name)) is not None:
        parts["val"] = [facts.read(places.dataset(val.dataset)).sha256, sha256(places.list_file(val.list))]
    return places.resume(name, hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12])


@contextmanager
def _only_one(folder: Path, line: Lifeline) -> Iterator[None]:
    """Hold the folder's lock: a trainer that was orphaned a moment ago is given time to save and leave."""
    told = False

    def waiting() -> None:
        nonlocal told
        if line.cut.is_set():
            raise StageFailure(f"stopped ({line.reason}) while waiting for {folder}/lock", exit_code=line.exit_code)
        if not told:
            print("waiting for an earlier training of this run to save and leave", file=sys.stderr)
            told = True

    try:
        with exclusive(folder / "lock", patience_seconds=_LOCK_SECONDS, waiting=waiting):
            try:
                yield
            except Exception:
                if not line.cut.is_set():
                    (folder / "failed").touch()  # so that whoever follows can tell a failure from a wish to stop
                raise
    except BlockingIOError:
        raise StageFailure(
            f"another training of this run holds {folder}/lock; wait for it, or end it and run again"
        ) from None


def _announce(
    name: str, *, recipe: Recipe, images: int, where: torch.device, handed: HandOver, saved: Saved | None
) -> None:
    shown = device.name(where) if where.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(
        f"{name}: {recipe.iterations} iterations of {recipe.batch * recipe.accumulation} from {images} images "
        f"on {shown}; new layers: {_layers(handed.new)}; left behind: {_layers(handed.left)}",
        file=sys.stderr,
    )
    if saved is not None:
        print(f"{name}: going on after iteration {saved[0].iteration}", file=sys.stderr)


def _warn_of_jitter(samples: Samples, recipe: Recipe, *, target: str, where: str, of: str) -> None:
    sizes = (samples.read_label(image_id, target).shape for image_id in samples.ids)
    if recipe.jitter and all(max(size) <= recipe.jitter for size in sizes):
        print(
            f"{where}: no picture is larger than recipes.{of}.jitter, {recipe.jitter} px: most of them, shifted so "
            "far, show nothing to learn from; write less",
            file=sys.stderr,
        )


def _layers(tensors: list[str]) -> str:
    return ", ".join(sorted({tensor.rpartition(".")[0] for tensor in tensors})) or "none"


def _cost(progress: Progress, *, peak: int, devices: int, loads: Sequence[float]) -> Mapping[str, Any]:
    """What it took; the peak is that of the process that had the highest.

    `loads` are how busy the machine was since the last start: more than its cores, and it waited.
    """
    return {
        "seconds": round(progress.seconds, 1),
        "devices": devices,
        "peak_memory_bytes": peak,
        "pieces_per_pass": progress.split,
        "load_average": statistics.median(loads or [load_average()]),
        "cores": cores(),
    }


def _environment(where: torch.device, settings_hash: str) -> dict[str, object]:
    """Where a training runs, and the name of what it depends on: by this its run in MLflow is known again."""
    return {
        "device": device.name(where),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "tf32": torch.backends.cudnn.allow_tf32,
        "python": platform.python_version(),
        "settings": settings_hash,
    }
