"""Which runs stand side by side in a figure: a staged chain, and the runs that are in none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fcn.config import Config
from fcn.entries import ListRef

Truth = tuple[str, str]  # a dataset and one of its targets: they have classes and colours of their own


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Runs that were scored on one list, in the order in which they are shown, and how each is called there.

    `target` is what the first head of each of them labels.
    """

    key: str
    title: str
    val: ListRef
    target: str
    chain: bool
    labels: Mapping[str, str]

    @property
    def runs(self) -> list[str]:
        """The runs, coarse to fine where they are a chain."""
        return list(self.labels)

    @property
    def truth(self) -> Truth:
        """What the runs are scored against."""
        return self.val.dataset, self.target

    @property
    def place(self) -> tuple[str, str]:
        """The list and the target: groups of one place show the same images and truths."""
        return self.val.list, self.target


def target_of(config: Config, run: str) -> str:
    """What the first head of a run's net labels."""
    return next(iter(config.net(run).heads))


def groups(config: Config, runs: Sequence[str]) -> list[Group]:
    """Every chain among `runs` (32s -> 16s -> 8s, each run the start of the next), then the others by their val list.

    A chain's key is the name of its last run, the others' is `others`, or `others-LIST` where there are several lists,
    with the target behind where they are scored on several targets.
    """
    chains = [chain for name in runs if len(chain := _chain(config, name, runs)) > 1]
    inner = {name for chain in chains for name in chain[:-1]}
    found = [_chained(config, chain) for chain in chains if chain[-1] not in inner]
    taken = {name for group in found for name in group.labels}
    places: dict[tuple[str, str], list[str]] = {}
    for name in runs:
        if name not in taken:
            places.setdefault((config.runs[name].val.list, target_of(config, name)), []).append(name)
    differing = [index for index in (0, 1) if len({place[index] for place in places}) > 1]
    for place, members in places.items():
        told_apart = [place[index] for index in differing]
        found.append(
            Group(
                key="-".join(["others", *told_apart]),
                title=("The other runs" if taken else "The runs") + (f": {', '.join(told_apart)}" if differing else ""),
                val=config.runs[members[0]].val,
                target=place[1],
                chain=False,
                labels={name: _short(name, members) for name in members},
            )
        )
    return found


def leading(found: Sequence[Group]) -> list[Group]:
    """The groups that charts of single classes show: the chains, or what there is where there is none."""
    return [group for group in found if group.chain] or list(found)


def _chain(config: Config, name: str, runs: Sequence[str]) -> list[str]:
    """The runs that lead to `name`, first to last; a parent that was scored on another truth is not among them."""
    chain = [name]
    while (starts := config.starts(chain[0])) and (parent := starts[0]) in runs:
        if config.runs[parent].val != config.runs[name].val or target_of(config, parent) != target_of(config, name):
            break
        chain.insert(0, parent)
    return chain


def _chained(config: Config, chain: Sequence[str]) -> Group:
    last = config.runs[chain[-1]]
    strides = [config.net(name).stride for name in chain]
    once = len(set(strides)) == len(strides)
    labels = {name: f"FCN-{config.net(name).stride}s" if once else _short(name, chain) for name in chain}
    architecture, steps = config.net(chain[-1]).backbone.architecture, ", ".join(f"{stride}s" for stride in strides)
    target, title = target_of(config, chain[-1]), f"{architecture}: {steps} ({chain[-1]})"
    return Group(key=chain[-1], title=title, val=last.val, target=target, chain=True, labels=labels)


def _short(name: str, names: Sequence[str]) -> str:
    """The run's name without the dataset, where all have the same."""
    datasets = {other.partition("-")[0] for other in names}
    return name.partition("-")[2] if len(datasets) == 1 and "-" in name else name
