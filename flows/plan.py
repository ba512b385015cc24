"""What a flow run has to bring up to date: of the whole graph, or of some of its slices, for all runs or some."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from fcn.config import load
from fcn.entries import Recipe
from fcn.errors import InputError
from flows import dag
from flows.dag import Stage

# The kinds of stages of each slice; what no other slice names belongs to the report, so that a new stage is run.
KINDS = {
    dag.CODE: (dag.CODE,),
    "prepare": ("archives", "datasets", "splits", "classifiers", "weights"),
    "train": ("train", "fusions"),
    "evaluate": ("evaluate", "timing"),
}
SLICES = (*KINDS, "report")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a flow run is asked for: the parameters of the flow in flows/reproduce.py, where they are explained.

    Stages of the kinds in `only_fetched` are taken from the DVC remote, and never run here.
    """

    profile: str = dag.SAMPLE
    runs: Collection[str] | None = None
    only: Collection[str] | None = None
    force: bool = False
    gpus: Sequence[int] | None = None
    keep_going: bool = True
    without: Collection[str] | None = None
    exchange: bool = False
    only_fetched: Collection[str] = ()
    train_on: str | None = None
    remote: str | None = None
    made_of: dict[str, str] | None = None

    @property
    def wants_report(self) -> bool:
        """Whether it ends with the report; where it doesn't, an older run's may lie there."""
        return not self.only or "report" in self.only


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What there is to do, needed stages first.

    `stages` are the wanted ones and the stale ones that they need; by address, `fresh` are up to date, and `forced` are
    run whatever DVC thinks. `left_out` are the names of wanted stages that need one which was left out.
    """

    stages: Sequence[Stage]
    fresh: frozenset[str]
    forced: frozenset[str]
    left_out: Sequence[str]

    @property
    def stale(self) -> list[Stage]:
        """The stages that are not up to date."""
        return [stage for stage in self.stages if stage.address not in self.fresh]


def slice_of(stage: Stage) -> str:
    """The slice that a stage belongs to."""
    return next((name for name, kinds in KINDS.items() if stage.kind in kinds), "report")


def check(options: RunOptions) -> Sequence[Stage]:
    """The stages that the options are about.

    Raises InputError for a profile, slice, run, stage or GPU that there can't be.
    """
    graph = dag.stages(options.profile)
    there = f" in profile {options.profile!r}"
    dag.check_known(options.only or (), SLICES, what="slice", where=there)
    dag.check_known(options.without or (), [stage.name for stage in graph], what="stage", where=there)
    if wrong := [gpu for gpu in options.gpus or () if gpu < 0]:
        raise InputError(f"gpus has {wrong[0]}; a GPU's id is 0 or more, as `nvidia-smi` lists them")
    if not options.runs:
        return graph
    dag.check_known(options.runs, [stage.item for stage in graph if stage.kind == "train"], what="run", where=there)
    config = load(dag.params(options.profile))
    nets = {config.run(run).net for run in options.runs if run in config.runs}
    items = {"train": options.runs, "evaluate": options.runs, "timing": nets}
    needed = dag.with_needed(graph, {stage.address for stage in graph if stage.item in items.get(stage.kind, ())})
    return [stage for stage in graph if stage.address in needed or not stage.item]


def recipes(profile: str) -> Mapping[str, Recipe]:
    """How each run of a profile is trained: on how many images, and on how many GPUs, or processes on the CPU."""
    config = load(dag.params(profile))
    return {run: config.recipe(run) for run in config.runs}


def _check_gpus(options: RunOptions, stages: Sequence[Stage]) -> None:
    if not options.gpus:
        return
    trained = recipes(options.profile)
    for stage in stages:
        recipe = trained.get(stage.item) if stage.kind == "train" else None
        if recipe and recipe.devices > len(options.gpus):
            raise InputError(
                f"run {stage.item!r} trains on {recipe.devices} GPUs (its recipe's devices), and gpus has "
                f"{len(options.gpus)}; name as many, or write fewer devices"
            )


def plan(options: RunOptions) -> Plan:
    """The plan for the options: with `force` every wanted stage, or the runs' own; nothing that needs one of `without`.

    Raises InputError as `check` does, and for a training that takes more GPUs than there are.
    """
    graph, only, without = check(options), options.only or SLICES, options.without or ()
    known = {stage.address for stage in graph}
    wanted = [stage for stage in graph if slice_of(stage) in only]
    out = dag.with_what_needs(graph, {stage.address for stage in graph if stage.name in without})
    own = {stage.address for stage in wanted} - out
    theirs = {stage.address for stage in wanted if stage.item in (options.runs or ())} & own  # train@RUN, evaluate@RUN
    forced = frozenset((theirs or own) if options.force else ())
    changed = dag.changed(options.profile, dag.with_needed(graph, own))
    stale = dag.with_what_needs(graph, changed | forced) & known
    taken = own | dag.with_needed(graph, own) & stale  # what a fresh stage needs is fresh, too
    made = Plan(
        stages=[stage for stage in graph if stage.address in taken],
        fresh=frozenset(taken - stale),
        forced=forced,
        left_out=[stage.name for stage in wanted if stage.address in out and stage.name not in without],
    )
    _check_gpus(options, made.stale)
    return made
