"""A profile: everything in its params.yaml, read and checked."""

import errno
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, field, fields, is_dataclass
from itertools import combinations
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, get_args, get_type_hints

import yaml
from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from fcn.entries import Archive, Classifier, Dataset, ImageList, ListRef, Recipe, Run, Trained, Weights
from fcn.errors import InputError, near
from fcn.shape import STRICT, Backbone, Count, Name, Net, fused, misfit

_STAGES = ("splits", "tables", "figures", "report", "publish")  # their files are among those of datasets, runs


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Config:
    """A profile: everything in its params.yaml.

    `threads` is the number of CPU threads that every stage computes with. It is a setting, not a property of the
    machine, because sums that are split otherwise end in other last digits. `backbones` is where params.yaml writes
    them down once; nets, weights and classifiers hold copies. `fusions` join two trained nets of different inputs, for
    a run of late fusion to start from. A section that has nothing in it may be left out where
    it has a default here; of those that the graph walks, dvc.yaml says so too, under `vars`.
    """

    profile: Name
    root: str
    params: str
    threads: Count
    archives: dict[Name, Archive] = field(default_factory=dict)
    datasets: dict[Name, Dataset]
    lists: dict[Name, ImageList]
    disjoint: list[Annotated[tuple[Name, ...], Field(min_length=2)]] = field(default_factory=list)
    backbones: dict[Name, Backbone] = field(default_factory=dict)
    classifiers: dict[Name, Classifier] = field(default_factory=dict)
    weights: dict[Name, Weights] = field(default_factory=dict)
    fusions: dict[Name, tuple[Trained, Trained]] = field(default_factory=dict)
    nets: dict[Name, Net]
    recipes: dict[Name, Recipe]
    runs: dict[Name, Run]
    departures: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        folder = posixpath.dirname(self.params)  # named from the root on, and from there DVC takes `root`
        if not posixpath.isabs(folder) and posixpath.normpath(posixpath.join(folder, self.root)) != ".":
            where = f"root: {self.root!r} doesn't lead from {folder or '.'}, where params is, to the project's root"
            raise InputError(f"{where}; write root: {posixpath.relpath('/', f'/{folder}')}, or correct params")
        for name, dataset in self.datasets.items():
            if self.fetched(dataset.from_):
                _known(f"datasets.{name}.from", self._archive_of(dataset.from_), self.archives, prefix=self._archives)
        for name, entry in self.lists.items():
            _known(f"lists.{name}.dataset", entry.dataset, self.datasets)
            if entry.minus is not None:
                _known(f"lists.{name}.minus", entry.minus, self.lists)
        for section in ("datasets", "runs"):
            if taken := next((name for name in getattr(self, section) if name in _STAGES), None):
                raise InputError(f"{section}.{taken}: a stage is called so, and has files of that name; rename it")
        for names in self.disjoint:
            for name in names:
                _known("disjoint", name, self.lists)
        self._check_beginnings()
        for name, run in self.runs.items():
            self._check_run(name, run)
        minus = {name: [entry.minus] if entry.minus else [] for name, entry in self.lists.items()}
        _no_circle("lists.{}.minus", minus, end="take one `minus` of it out")
        starts = {name: self.starts(name) for name in self.runs}
        _no_circle("runs.{}.init", starts, end="the first run of a chain starts from weights/NAME")
        for name in self.runs:
            self._check_start(name)

    def _check_beginnings(self) -> None:
        """What lies in weights/ has one name each; fusions join nets that there are."""
        for first, second in combinations(("weights", "classifiers", "fusions"), 2):
            for name in getattr(self, first).keys() & getattr(self, second).keys():
                raise InputError(f"{second}.{name}: {first} has an entry of this name too; rename one of the two")
        for name, nets in self.fusions.items():
            for path in nets:
                _known(f"fusions.{name}", path.removeprefix("nets/"), self.runs, prefix="nets/")

    @property
    def _archives(self) -> str:
        return f"data/{self.profile}/archives/"

    def _archive_of(self, path: str) -> str:
        return path.removeprefix(self._archives).rstrip("/")

    def _check_run(self, name: str, run: Run) -> None:
        where = f"runs.{name}"
        _known(f"{where}.net", run.net, self.nets)
        _known(f"{where}.recipe", run.recipe, self.recipes)
        for side, ref in (("train", run.train), ("val", run.val)):
            _known(f"{where}.{side}.list", ref.list, self.lists)
            holder = self.lists[ref.list].dataset
            if holder != ref.dataset:
                raise InputError(
                    f"{where}.{side}: list {ref.list!r} belongs to dataset {holder!r}, "
                    f"not {ref.dataset!r}; write {{dataset: {holder}, list: {ref.list}}}"
                )
        recipe = self.recipes[run.recipe]
        if recipe.batch > 1 and self.nets[run.net].pad == 100 and recipe.crop is None:
            raise InputError(
                f"{where}: recipe {run.recipe!r} puts {recipe.batch} images of different sizes into one pass, "
                "which pad 100 can't do exactly; use batch 1 with accumulation, or a crop"
            )
        folder, _, source = run.init.partition("/")
        starts = {**self.weights, **self.classifiers, **self.fusions} if folder == "weights" else self.runs
        _known(f"{where}.init", source, starts, prefix=f"{folder}/")

    def _check_start(self, name: str) -> None:
        """Raise InputError for a trained start that doesn't fit the net."""
        starts, source = [self.net(start) for start in self.starts(name)], self.runs[name].init.partition("/")[2]
        where, net = f"runs.{name}.init: {source!r}", self.net(name)
        if not starts:
            if net.streams and source in self.classifiers:
                raise InputError(
                    f"{where} is a classifier; late fusion joins nets that are trained: an entry of fusions"
                )
            return
        try:
            start = starts[0] if len(starts) == 1 else fused(*starts)
        except InputError as error:
            raise InputError(f"{where} joins nets that {error}") from None
        if start.backbone != net.backbone:
            raise InputError(f"{where} has backbone {start.backbone}, this run {net.backbone}; both must be the same")
        if (problem := misfit(net, start)) is not None:
            raise InputError(f"{where} {problem}")

    def starts(self, run: str) -> tuple[str, ...]:
        """The runs whose nets a run starts from: one, the two of a fusion, or none where weights are no net of ours."""
        folder, _, name = self.run(run).init.partition("/")
        return (name,) if folder == "nets" else tuple(path.removeprefix("nets/") for path in self.fusions.get(name, ()))

    def run(self, name: str) -> Run:
        """The run called `name`."""
        _known("run", name, self.runs)
        return self.runs[name]

    def archive(self, name: str) -> Archive:
        """The archive called `name`."""
        _known("archive", name, self.archives)
        return self.archives[name]

    def dataset(self, name: str) -> Dataset:
        """The dataset called `name`."""
        _known("dataset", name, self.datasets)
        return self.datasets[name]

    def classifier(self, name: str) -> Classifier:
        """The classifier called `name`."""
        _known("classifier", name, self.classifiers)
        return self.classifiers[name]

    def weights_entry(self, name: str) -> Weights:
        """The weights entry called `name`."""
        _known("weights", name, self.weights)
        return self.weights[name]

    def net(self, run: str) -> Net:
        """The network of the run called `run`."""
        return self.nets[self.run(run).net]

    def recipe(self, run: str) -> Recipe:
        """How the run called `run` is trained."""
        return self.recipes[self.run(run).recipe]

    def scored_on(self, run: str) -> ListRef | None:
        """The list that the run is scored on while it trains; None where it isn't."""
        return None if self.recipe(run).score_every is None else self.run(run).val

    def at_once(self, run: str) -> bool:
        """Whether the run's skips are trained from the classifier on, without a coarser net in between."""
        return not self.starts(run) and bool(self.net(run).taps)

    def fetched(self, path: str) -> bool:
        """Whether a `from` is an archive of this profile, which its own stage fetches or makes."""
        return path.startswith(self._archives)

    def generated(self, dataset: str) -> bool:
        """Whether a dataset is the sample generator's."""
        origin = self.dataset(dataset).from_
        return self.fetched(origin) and self.archives[self._archive_of(origin)].kind == "sample"


def _known(what: str, name: str, among: Mapping[str, object], *, prefix: str = "") -> None:
    if name not in among:
        allowed = ", ".join(prefix + key for key in among) or "none"
        hint = near(name, among, prefix=prefix)
        raise InputError(f"{what}: unknown name {prefix + name!r}; {hint}known are: {allowed}")


def _no_circle(place: str, before: Mapping[str, Sequence[str]], *, end: str) -> None:
    """Follow each name to those before it; to come back to one is an error."""
    for name in before:
        ways: list[tuple[str, ...]] = [(name,)]
        while ways:
            seen = ways.pop()
            for ahead in before[seen[-1]]:
                if ahead in seen:
                    circle = " -> ".join([*seen[seen.index(ahead) :], ahead])
                    raise InputError(f"{place.format(ahead)} goes in a circle: {circle}; {end}")
                ways.append((*seen, ahead))


def parse(values: object, *, where: str = "params.yaml") -> Config:
    """Check a params mapping and return it as a Config.

    Raises InputError, naming the first three things that are wrong.
    """
    try:
        config = TypeAdapter(Config).validate_python(values)
    except ValidationError as error:
        raise InputError(_sentence(error, where)) from None
    if (place := next(_switches(values, config), None)) is not None:
        raise InputError(
            f"{where}: {place}: a number is wanted, found true or false (as which YAML reads yes and no, too)"
        )
    return config


def _switches(given: object, taken: object, *, place: str = "") -> Iterator[str]:
    """Where true or false was taken for a number, 1 or 0, as Python does."""
    if isinstance(given, bool) and not isinstance(taken, bool):
        yield place.removeprefix(".")
    for key, value in given.items() if isinstance(given, dict) else ():
        inner = taken.get(key) if isinstance(taken, dict) else getattr(taken, key, None)
        yield from _switches(value, inner, place=f"{place}.{key}")


def load(path: Path) -> Config:
    """Read a profile's params.yaml."""
    try:
        values: Any = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a SafeLoader
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such file; --params takes a params.yaml, such as profiles/paper/params.yaml"
        ) from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder; --params takes the params.yaml in it") from None
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENOTDIR, errno.ENAMETOOLONG):
            raise
        raise InputError(f"{path}: {error.strerror}; --params takes a params.yaml") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not text in UTF-8; --params takes a params.yaml") from None
    except yaml.MarkedYAMLError as error:
        raise InputError(f"{path}, {_unreadable(error)}") from None
    except RecursionError:
        raise InputError(
            f"{path}: not YAML that can be read: nested too deep; a profile has brackets in brackets 5 deep"
        ) from None
    except (yaml.YAMLError, ValueError) as error:  # the latter for a number of 5,000 digits, or the 31st of February
        raise InputError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    return parse(values, where=str(path))


class _Loader(yaml.SafeLoader):
    """YAML's own, which lets the last of two equal keys win, and a key have no value, and this one doesn't."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping, whose keys have been compared."""
        first: dict[Any, yaml.Mark] = {}
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:merge" and key.value in first:
                problem = f"the key {key.value!r} stands twice, first in line {first[key.value].line + 1}"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            first.setdefault(key.value, key.start_mark)
        for key, value in node.value if node.flow_style else ():
            if value.start_mark.index == value.end_mark.index == key.end_mark.index:
                raise yaml.MarkedYAMLError(problem=f"{key.value!r} has no value", problem_mark=key.start_mark)
        return super().construct_mapping(node, deep)


# What PyYAML says, or we above, and what people who see it have mostly done.
_MISTAKES = (
    (
        r"'[\d_]+[eE.\d+-]*' has no value",
        "a number has a point and no comma: 0.005, 1400; a text with a comma is put into quotes",
    ),
    (r"'.+:.*' has no value", "a space belongs behind the colon"),
    (r"has no value", "`key: value` is wanted, between commas"),
    (r"'\\t' that cannot", "a tab, where YAML wants spaces"),
    (r"that cannot start", "a value that begins with such a character is put into quotes"),
    (r"could not find expected ':'", "in the line where it begins, a colon is missing, or the space behind it"),
    (
        r"expected <block end>",
        "it is indented otherwise than its neighbours, or a colon has no space behind",
    ),
    (r"expected ',' or '[}\]]'", "a comma, or the bracket that closes, is missing before it"),
    (r"undefined alias", "a *name stands for what &name marks further up"),
    (r"end of stream", "a quote or bracket is never closed"),
    (r"escape", "with a backslash in it, a value is put into single quotes"),
)


def _unreadable(error: yaml.MarkedYAMLError) -> str:
    """Where text is no YAML, PyYAML's words for it, and what to look for."""
    problem, mark, began = error.problem or "", error.problem_mark, error.context_mark
    where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "somewhere"
    since = f" in what begins in line {began.line + 1}" if began and mark and began.line != mark.line else ""
    advice = next((f"; {advice}" for pattern, advice in _MISTAKES if re.search(pattern, problem)), "")
    return f"{where}: not YAML: {problem}{since}{advice}"


def _words(place: Sequence[int | str]) -> list[str]:
    """What may stand where a word is that there isn't: the fields of the entry at that place."""
    kind: Any = Config
    for part in place[:-1]:
        kind = get_type_hints(kind)[str(part)] if is_dataclass(kind) else get_args(kind)[1]
        kind = get_args(kind)[0] if isinstance(kind, UnionType) else kind
    return [item.name.rstrip("_") for item in fields(kind)]


def _sentence(error: ValidationError, where: str) -> str:
    parts = []
    for detail in error.errors()[:3]:
        place = ".".join(str(part) for part in detail["loc"])
        found = detail["input"]
        shown = f", found {found!r}" if isinstance(found, str | int | float | bool) else ""
        message = detail["msg"].removeprefix("Value error, ")
        if not detail["loc"] and detail["type"] == "dataclass_type":
            needed = ", ".join(item.name for item in fields(Config) if item.default_factory is MISSING)
            message, shown = (
                f'empty, or no mapping; a profile has {needed}: README has a first one, under "Your own runs"',
                "",
            )
        elif detail["loc"][-1:] == ("[key]",):
            place = ".".join(map(str, detail["loc"][:-2]))
            if not isinstance(found, str):
                message, shown = f"a name that YAML reads as {found!r} is put into quotes", ""
        elif detail["type"] == "unexpected_keyword_argument":
            words = _words(detail["loc"])
            message, shown = f"no such word; {near(str(detail['loc'][-1]), words)}there are {', '.join(words)}", ""
            if len(detail["loc"]) == 1:
                shown = ", and what belongs to one of them is indented"
        elif found is None:
            shown = ", found nothing"
        elif isinstance(found, str) and re.fullmatch(r"-?[\d.]*,[\d.eE-]+", found):
            shown += "; a number has a point and no comma"
        parts.append(f"{place}: {message}{shown}" if place else message)
    more = error.error_count() - len(parts)
    return f"{where}: " + "; ".join(parts) + (f"; and {more} more" if more > 0 else "")
