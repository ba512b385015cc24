"""Stage: write down which code every other stage can run, and set aside results of what is no longer listed."""

import hashlib
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

import fcn
from fcn import departures
from fcn.code_digest import closure
from fcn.config import Config
from fcn.datasets import facts, formats, splits
from fcn.datasets import lists as list_files
from fcn.errors import InputError, StageFailure, near, printable
from fcn.files import read_json, whole_folder, write_json
from fcn.shape import Backbone
from fcn.stages.places import Places, address

# What decides when and for whom a stage works, but never what comes of it. Of the first three, the methods that a stage
# uses do count: where files lie, which run starts from which. The values that they hold are in the digest themselves.
_BY_MEMBER = ("fcn.config", "fcn.entries", "fcn.stages.places")
NEVER_THE_RESULT = (
    "fcn.code_digest",
    "fcn.config",
    "fcn.entries",
    "fcn.errors",
    "fcn.files",
    "fcn.lifeline",
    "fcn.loopback",
    "fcn.machine",
    "fcn.stages.code",
    "fcn.stages.device",
    "fcn.stages.observer",
    "fcn.stages.places",
    "fcn.stages.processes",
)
_FOLDER = Path(fcn.__file__).parent


def run(config: Config, name: str | None) -> None:
    """Write code/<stage>[@<name>].json for every stage of the graph but this one."""
    if name is not None:
        raise InputError(f"code takes no name, found {name!r}; write `python -m fcn code`")
    _check(config)
    places = Places(config)
    for path in _unlisted(config):
        target = _set_aside(path, places.removed / path.relative_to(places.data))
        words = f"code: {path} is of no run, net or dataset in {config.params}: moved to {target}"
        print(printable(words), file=sys.stderr)
    for words in _absent(config):
        print(printable(words), file=sys.stderr)
    with whole_folder(places.data / "code") as part:
        for stage, item in stages(config):
            write_json(part / f"{address(stage, item)}.json", described(config, stage, item))


def _check(config: Config) -> None:
    """Say what is wrong before anything is downloaded or trained: a missing reason, classes that don't fit.

    Raises InputError.
    """
    known = {name: formats.targets(entry) for name, entry in config.datasets.items()}
    departures.check(config)
    splits.check_published(config.lists, list_files.files(_FOLDER / "paper"))
    for name, run in config.runs.items():
        heads, trained_on = config.net(name).heads, run.train.dataset
        for ref in (run.train, run.val):
            inputs = formats.reader(config.dataset(ref.dataset)).INPUTS
            facts.check_inputs(config.net(name).inputs, inputs, dataset=ref.dataset, where=f"runs.{name}.net")
            try:
                facts.of_heads(heads, known[ref.dataset], dataset=ref.dataset, where=f"runs.{name}.net")
            except InputError as error:
                free = (
                    not config.dataset(ref.dataset).classes
                    and heads.keys() == known[ref.dataset].keys()
                    and len(heads) == 1
                )
                raise InputError(
                    f"{error}{f', or name its own as datasets.{ref.dataset}.classes' if free else ''}"
                ) from None
        started_on = [config.run(start).train.dataset for start in config.starts(name)]
        for other in (run.val.dataset, *started_on):
            for target in heads.keys() & known[other].keys():
                if known[other][target].classes != known[trained_on][target].classes:
                    raise InputError(
                        f"runs.{name}: {other!r} and {trained_on!r} name other classes for {target!r}, so that what is "
                        "learned on one says nothing on the other; write the same `classes` for both under datasets"
                    )


def _absent(config: Config) -> Iterator[str]:
    """A person's own archives, folders and files that aren't there; DVC alone knows whether they are needed."""
    for section, entries in (("datasets", config.datasets), ("weights", config.weights)):
        for name, entry in entries.items():
            path = Path(entry.from_)
            if not config.fetched(entry.from_) and not path.exists():
                hint = near(path.name, [other.name for other in path.parent.glob("*")])
                yield (
                    f"code: {section}.{name}.from in {config.params} is {path}, which isn't there: {hint}put it there "
                    f"or correct the path, or DVC ends at {section}@{name} with `No such file or directory`"
                )


def stages(config: Config) -> Iterator[tuple[str, str | None]]:
    """Every stage of the profile's graph but `code`, as dvc.yaml has them: its kind, and of which item it is."""
    each: Mapping[str, Mapping[str, object]] = {
        "archives": config.archives,
        "datasets": config.datasets,
        "classifiers": config.classifiers,
        "weights": config.weights,
        "train": config.runs,
        "fusions": config.fusions,
        "evaluate": config.runs,
        "timing": config.nets,
    }
    for stage, items in each.items():
        yield from ((stage, item) for item in items)
    yield from ((stage, None) for stage in ("splits", "tables", "figures", "report", "publish"))


def described(config: Config, stage: str, item: str | None) -> dict[str, Any]:
    """The resolved settings of a stage, and the digests of the modules that it can run with them."""
    if stage == "archives" and item is not None and config.archive(item).kind == "download":
        from fcn.paper.downloads import pin  # only here: a training that asks for its own digest has no use for it

        parts = config.archive(item).parts
        settings = {"parts": [pin(part) for part in parts]} if parts else pin(item)
        return {"settings": settings, "modules": {}}  # its hash says what it is, whatever code fetches it
    roots, settings = _ROOTS[stage](config, item or "")
    without = NEVER_THE_RESULT + (FETCHING if stage == "archives" else ())
    if stage == "train" and config.scored_on(item or "") is None:
        without += SCORING
    try:
        modules = closure(roots, folder=_FOLDER, without=without, by_member=_BY_MEMBER)
    except ValueError as error:
        raise InputError(f"the code of the stage {address(stage, item)} can't be read: {error}") from None
    return {
        "settings": TypeAdapter(Any).dump_python(settings, mode="json"),
        "threads": config.threads if stage in _COMPUTING else None,
        "modules": modules,
        "files": {path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in _data_files(roots[0])},
    }


def check(config: Config, stage: str, item: str | None) -> None:
    """Hold the code and settings that this process has to be those that the first stage wrote down for it.

    DVC records a result under that digest. Raises StageFailure where something was edited since.
    """
    file = Places(config).code(stage, item)
    if stage == "code" or not file.exists():  # a stage that is run by hand, without the first one
        return
    if read_json(file) != described(config, stage, item):
        raise StageFailure(
            f"code or parameters of {address(stage, item)} were edited after the stage `code` had written {file}; "
            f"`python -m fcn code --params {config.params}` writes it anew; then run the same command again"
        )


def _set_aside(path: Path, target: Path) -> Path:
    """Move a result, to another disk if need be; an older one, which was set aside before, goes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        shutil.rmtree(target)
    target.unlink(missing_ok=True)
    return Path(shutil.move(path, target))


_COMPUTING = ("classifiers", "train", "evaluate", "timing", "figures")
# A download is known by its hash, and the generator has no use for how it came.
FETCHING = ("fcn.datasets.download", "fcn.datasets.pinned", "fcn.datasets.room", "fcn.paper.downloads")
SCORING = ("fcn.stages.evaluate",)  # of trainings, only those that are scored on the way have a use for it

_Described = tuple[list[str], Any]


def _archive(config: Config, item: str) -> _Described:
    entry = config.archive(item)
    standin = _named("fcn.datasets.sample.standins", entry.format or "", f"archives.{item}.format")
    return ["fcn.stages.archives", standin], entry


def _dataset(config: Config, item: str) -> _Described:
    return [
        "fcn.stages.datasets",
        _named("fcn.datasets.formats", config.dataset(item).format, f"datasets.{item}.format"),
    ], config.dataset(item)


def _splits(config: Config, item: str) -> _Described:
    settings = {"lists": config.lists, "disjoint": config.disjoint}
    return ["fcn.stages.splits"], settings | {"runs": {run: config.scored_on(run) for run in config.runs}}


def _classifier(config: Config, item: str) -> _Described:
    entry = config.classifier(item)
    return ["fcn.stages.classifiers", _backbone(entry.backbone)], entry


def _weights(config: Config, item: str) -> _Described:
    entry = config.weights_entry(item)
    kind = _named("fcn.nets.pretrained", entry.kind, f"weights.{item}.kind")
    return ["fcn.stages.weights", kind, _backbone(entry.backbone)], entry


def _train(config: Config, item: str) -> _Described:
    net, recipe, run = config.net(item), config.recipe(item), config.run(item)
    settings = {"net": net, "recipe": recipe, "train": run.train, "init": run.init, "seed": run.seed}
    settings |= {"val": val} if (val := config.scored_on(item)) is not None else {}
    loss = _named("fcn.training.losses", recipe.loss, f"recipes.{run.recipe}.loss")
    return ["fcn.stages.train", _backbone(net.backbone), loss], settings


def _fusion(config: Config, item: str) -> _Described:
    nets = config.fusions[item]
    backbones = {_backbone(config.net(path.removeprefix("nets/")).backbone) for path in nets}
    return ["fcn.stages.fusions", *sorted(backbones)], nets


def _evaluate(config: Config, item: str) -> _Described:
    return ["fcn.stages.evaluate", _backbone(config.net(item).backbone)], {"val": config.run(item).val}


def _timing(config: Config, item: str) -> _Described:
    net = config.nets[item]
    return ["fcn.stages.timing", _backbone(net.backbone)], net


def _tables(config: Config, item: str) -> _Described:
    from fcn.paper.table import every

    shown = {row.architecture for table in every().values() for row in table.rows if row.architecture}
    return ["fcn.stages.tables", *_printed(), *(f"fcn.nets.backbones.{name}" for name in sorted(shown))], None


def _figures(config: Config, item: str) -> _Described:
    backbones = {_backbone(config.net(run).backbone) for run in config.runs}
    return ["fcn.stages.figures", *_printed(), *sorted(backbones)], None


def _report(config: Config, item: str) -> _Described:
    return ["fcn.stages.report", *_printed()], None


def _publish(config: Config, item: str) -> _Described:
    return ["fcn.stages.publish", *_printed()], None


_ROOTS: Mapping[str, Callable[[Config, str], _Described]] = {
    "archives": _archive,
    "datasets": _dataset,
    "splits": _splits,
    "classifiers": _classifier,
    "weights": _weights,
    "train": _train,
    "fusions": _fusion,
    "evaluate": _evaluate,
    "timing": _timing,
    "tables": _tables,
    "figures": _figures,
    "report": _report,
    "publish": _publish,
}
ORDER = ("code", *_ROOTS)
"""The kinds of stages, each after those that it needs."""


def _backbone(backbone: Backbone) -> str:
    return _named("fcn.nets.backbones", backbone.architecture, "architecture of a backbone")


def _named(room: str, name: str, where: str) -> str:
    """The module that is found by its name in a room, such as a loss.

    Raises InputError where there is none: before any stage has run.
    """
    folder = _FOLDER.joinpath(*room.split(".")[1:])
    known = sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))
    if name not in known:
        raise InputError(f"{where}: {name!r} is unknown; there are {', '.join(known)}")
    return f"{room}.{name}"


def _printed() -> list[str]:
    """What is printed: all modules of that room but the addresses of downloads."""
    found = sorted(path.stem for path in (_FOLDER / "paper").glob("*.py"))
    return [f"fcn.paper.{name}" for name in found if name not in ("__init__", _PINS)]


# Beside the code, and read by it: the lists that authors published, printed tables, templates of pages. What is
# downloaded isn't among them: each archive has its own pin.
_READ = {
    "fcn.stages.splits": ("paper/*.txt",),
    "fcn.stages.tables": ("paper/*.toml",),
    "fcn.stages.figures": ("paper/*.toml",),
    "fcn.stages.report": ("paper/*.toml", "report/*.jinja", "report/*.css"),
    "fcn.stages.publish": ("paper/*.toml", "serving/*.py"),
}
_PINS = "downloads"


def _data_files(stage: str) -> list[Path]:
    found = (path for pattern in _READ.get(stage, ()) for path in _FOLDER.glob(pattern))
    return sorted(path for path in found if path.stem != _PINS)


def _unlisted(config: Config) -> list[Path]:
    """Results of runs, nets, datasets and weights that params.yaml doesn't have, and of stages that there were once."""
    places = Places(config)
    runs, nets = set(config.runs), set(config.nets)
    costs = {address(stage, item) for stage, item in stages(config)} | runs
    listed = {
        "archives": set(config.archives),
        "datasets": set(config.datasets),
        "lists": set(config.datasets),
        "audit": {*config.datasets, "splits"},
        "weights": {*config.weights, *config.classifiers, *config.fusions},
        "nets": runs,
        "history": runs,
        "histograms": runs,
        "classes": runs,
        "scores": runs,
        "timing": nets,
        "cost": costs,
    }
    whole = {"code", "splits", "tables", "figures", "report", "published.json", "views", "removed"}
    there = sorted(places.data.iterdir()) if places.data.is_dir() else []
    found = [path for path in there if path.name not in whole | listed.keys() and not path.name.startswith(".")]
    for folder, names in listed.items():
        inside = sorted((places.data / folder).iterdir()) if (places.data / folder).is_dir() else []
        found += [path for path in inside if _name(path) not in names and not path.name.startswith(".")]
    return found


def _name(path: Path) -> str:
    """Of whom a result is: run names may have dots in them."""
    suffixes = (".pt", ".json", ".jsonl")
    return path.name.removesuffix(path.suffix) if path.suffix in suffixes else path.name
