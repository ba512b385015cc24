"""The four slices of the graph: which stages a slice is made of, and which of them a flow has to bring up to date."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from fcn.errors import InputError
from flows import dag
from flows.dag import Stage

# The kinds of stages of each slice; what no other slice names belongs to the report, so that a new stage is run.
KINDS = {
    "prepare": ("archives", "raw", "labels", "splits", "weights"),
    "train": ("train",),
    "evaluate": ("evaluate", "timing"),
}
NAMES = (*KINDS, "report")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a slice has to do, needed stages first.

    `stages` are the slice's own and the stale ones that they need; by address, `fresh` only have to be shown, and
    `forced` are run whatever DVC thinks. `left_out` are the names of own stages that need one which was left out.
    """

    stages: Sequence[Stage]
    fresh: frozenset[str]
    forced: frozenset[str]
    left_out: Sequence[str]


def slice_of(stage: Stage) -> str:
    """The slice that a stage belongs to."""
    return next((name for name, kinds in KINDS.items() if stage.kind in kinds), "report")


def names(profile: str, *, runs: Collection[str] | None) -> list[str]:
    """The names of all stages of a profile, or of those that these runs need and make.

    Raises InputError for a profile or a run that there isn't.
    """
    return [stage.name for stage in _of_runs(dag.stages(profile), runs, profile=profile)]


def plan(
    name: str, *, profile: str, runs: Collection[str] | None, force: bool, without: Collection[str] | None
) -> Plan:
    """The plan of the slice `name`: of all runs or of some, every own stage if `force`, nothing that needs `without`.

    `without` are names of stages. Raises InputError for a profile, run or stage that there isn't.
    """
    graph, without = dag.stages(profile), without or ()
    _known(without, [stage.name for stage in graph], what="stage", where=profile)
    graph = _of_runs(graph, runs, profile=profile)
    stale = dag.stale(profile)
    own = [stage for stage in graph if slice_of(stage) == name]
    out = _with_all_that_need(graph, {stage.address for stage in graph if stage.name in without})
    wanted = {stage.address for stage in own} - out
    taken = wanted | _needed(graph, wanted, among=stale)
    forced = frozenset(wanted if force else ())
    return Plan(
        stages=[stage for stage in graph if stage.address in taken],
        fresh=frozenset(taken - stale - forced),
        forced=forced,
        left_out=[stage.name for stage in own if stage.address in out and stage.name not in without],
    )


def _of_runs(graph: Sequence[Stage], runs: Collection[str] | None, *, profile: str) -> list[Stage]:
    """The graph of some runs: of the stages behind an @, those that the runs' own are and need."""
    if not runs:
        return list(graph)
    _known(runs, [stage.item for stage in graph if stage.kind == "train"], what="run", where=profile)
    wanted = {stage.address for stage in graph if stage.kind in ("train", "evaluate") and stage.item in runs}
    wanted |= _needed(graph, wanted, among={stage.address for stage in graph})
    return [stage for stage in graph if stage.address in wanted or not stage.item]


def _needed(graph: Iterable[Stage], wanted: Collection[str], *, among: Collection[str]) -> set[str]:
    """What the wanted stages need, and what that needs, as long as it is among the given ones."""
    needs = {stage.address: stage.needs for stage in graph}
    found: set[str] = set()
    ahead = list(wanted)
    while ahead:
        more = {need for need in needs[ahead.pop()] if need in among and need in needs and need not in found}
        found |= more
        ahead += more
    return found


def _with_all_that_need(graph: Iterable[Stage], addresses: set[str]) -> set[str]:
    found = set(addresses)
    for stage in graph:  # needed ones first
        if stage.needs & found:
            found.add(stage.address)
    return found


def _known(names: Collection[str], possible: Sequence[str], *, what: str, where: str) -> None:
    unknown = sorted(set(names) - set(possible))
    if unknown:
        listed = ", ".join(possible) or "none"
        raise InputError(f"{what} {', '.join(map(repr, unknown))} is not in profile {where!r}; there are {listed}")
