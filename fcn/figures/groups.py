"""Which runs stand side by side in a figure: a staged chain, and the runs that are in none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fcn.config import Config
from fcn.entries import ListRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Runs that were scored on one list, in the order in which they are shown, and how each is called there."""

    key: str
    title: str
    val: ListRef
    chain: bool
    labels: Mapping[str, str]

    @property
    def runs(self) -> list[str]:
        """The runs, coarse to fine where they are a chain."""
        return list(self.labels)


def groups(config: Config, runs: Sequence[str]) -> list[Group]:
    """Every chain among `runs` (32s -> 16s -> 8s, each run the start of the next), then the others by their val list.

    A chain's key is the name of its last run, the others' is `others`, or `others-LIST` where there are several lists.
    """
    chains = [chain for name in runs if len(chain := _chain(config, name, runs)) > 1]
    parents = {config.runs[name].parent for name in runs}
    found = [_chained(config, chain) for chain in chains if chain[-1] not in parents]
    taken = {name for group in found for name in group.labels}
    left = [name for name in runs if name not in taken]
    lists = list(dict.fromkeys(config.runs[name].val.list for name in left))
    for val in lists:
        members = [name for name in left if config.runs[name].val.list == val]
        found.append(
            Group(
                key="others" if len(lists) == 1 else f"others-{val}",
                title="The other runs" if taken else "The runs",
                val=config.runs[members[0]].val,
                chain=False,
                labels={name: _short(name, members) for name in members},
            )
        )
    return found


def leading(found: Sequence[Group]) -> list[Group]:
    """The groups that charts of single classes show: the chains, or what there is where there is none."""
    return [group for group in found if group.chain] or list(found)


def _chain(config: Config, name: str, runs: Sequence[str]) -> list[str]:
    """The runs that lead to `name`, first to last; a parent that was scored on other images is not among them."""
    chain = [name]
    while (parent := config.runs[chain[0]].parent) in runs:
        assert parent is not None
        if config.runs[parent].val != config.runs[name].val:
            break
        chain.insert(0, parent)
    return chain


def _chained(config: Config, chain: Sequence[str]) -> Group:
    last = config.runs[chain[-1]]
    strides = [config.net(name).stride for name in chain]
    once = len(set(strides)) == len(strides)
    labels = {name: f"FCN-{config.net(name).stride}s" if once else _short(name, chain) for name in chain}
    architecture, steps = config.net(chain[-1]).backbone.architecture, ", ".join(f"{stride}s" for stride in strides)
    return Group(key=chain[-1], title=f"{architecture}: {steps} ({chain[-1]})", val=last.val, chain=True, labels=labels)


def _short(name: str, names: Sequence[str]) -> str:
    """The run's name without the dataset, where all have the same."""
    datasets = {other.partition("-")[0] for other in names}
    return name.partition("-")[2] if len(datasets) == 1 and "-" in name else name
