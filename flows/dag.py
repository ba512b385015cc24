"""The DVC graph: stages, what each needs, and which of them are stale."""

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

from dvc.dependency import ParamsDependency  # type: ignore[import-untyped]  # DVC ships no types
from dvc.exceptions import DvcException  # type: ignore[import-untyped]
from dvc.lock import LockError  # type: ignore[import-untyped]
from dvc.repo import Repo  # type: ignore[import-untyped]
from dvc.repo.index import Index  # type: ignore[import-untyped]

from fcn.commands.mend import WITHOUT_GIT
from fcn.errors import InputError, StageFailure, near

SAMPLE = "sample"
CODE = "code"  # the stage that writes down what code all others can run


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage of a pipeline file: its address for DVC, its short name, and the addresses that it needs."""

    address: str
    name: str
    needs: frozenset[str]

    @property
    def kind(self) -> str:
        """What stands before the @: train, evaluate, tables."""
        return self.name.partition("@")[0]

    @property
    def item(self) -> str:
        """What stands behind the @: a run, a dataset, a weights entry; nothing where there is one stage of the kind."""
        return self.name.partition("@")[2]


def profiles() -> list[str]:
    """The profiles there are: the root's, and every folder below profiles/."""
    return [SAMPLE, *sorted(path.parent.name for path in Path("profiles").glob("*/dvc.yaml"))]


def pipeline(profile: str) -> str:
    """The pipeline file of a profile, relative to the project's root."""
    check_known([profile], profiles(), what="profile")
    return "dvc.yaml" if profile == SAMPLE else f"profiles/{profile}/dvc.yaml"


def check_known(names: Collection[str], possible: Sequence[str], *, what: str, where: str = "") -> None:
    """Raise InputError for a name that isn't possible, with those that are, and the nearest first."""
    if unknown := sorted(set(names) - set(possible)):
        there = f"{near(unknown[0], possible)}there are {', '.join(possible) or 'none'}"
        raise InputError(f"{what} {', '.join(map(repr, unknown))} is unknown{where}; {there}")


def params(profile: str) -> Path:
    """The params.yaml of a profile, relative to the project's root."""
    return Path(pipeline(profile)).with_name("params.yaml")


@contextmanager
def opened(*, remote: str | None = None) -> Iterator[Repo]:
    """DVC's view of this project, for one thread; `remote` takes the place of the default one.

    Who else holds DVC's lock is waited for. Raises InputError where there is no project, StageFailure where DVC fails.
    """
    if not Path(".dvc").is_dir():
        message = f"{Path.cwd()} is no DVC project: start it in the project's root, where dvc.yaml and .dvc/ are"
        raise InputError(message)
    config = {"core": {"remote": remote}} if remote else None
    try:
        with Repo(".", config=config, _wait_for_lock=True) as repo:
            yield repo
    except LockError as error:
        busy = " ".join(str(error).split()).partition(" If there are no processes")[0]
        message = f"another `dvc` is at work in this project: start this again when it is done ({busy})"
        raise StageFailure(message) from error
    except DvcException as error:
        said = " ".join(str(error).split())
        advice = f"; {WITHOUT_GIT}" if said.endswith("is not a git repository") else ""
        raise StageFailure(f"DVC can't read the project: {said}{advice}") from error


def stages(profile: str) -> list[Stage]:
    """Every stage of a profile, needed ones first, otherwise by name."""
    with opened() as repo:
        graph = _index(repo, profile).graph  # edges point from a stage to what it depends on
        needs = {
            stage.addressing: sorted(needed.addressing for needed in graph.successors(stage))
            for stage in sorted(graph, key=lambda stage: str(stage.addressing))
        }
        names = {stage.addressing: stage.name for stage in graph}
    ordered = TopologicalSorter(needs).static_order()
    return [Stage(address=one, name=names[one], needs=frozenset(needs[one])) for one in ordered]


def changed(profile: str, addresses: Collection[str]) -> set[str]:
    """Those of these stages of which DVC finds something changed; what needs one of them would be run, too."""
    with opened() as repo, repo.lock:
        asked = [stage for stage in _index(repo, profile).stages if stage.addressing in addresses]
        return {stage.addressing for stage in asked if stage.status()}


def _index(repo: Repo, profile: str) -> Index:
    """What DVC reads of a profile's own files; all profiles' take seconds."""
    return Index.from_file(repo, pipeline(profile))


def with_what_needs(graph: Sequence[Stage], addresses: Collection[str]) -> set[str]:
    """The stages at these addresses, and all that need one of them."""
    found = set(addresses)
    for stage in graph:  # needed ones first
        if stage.needs & found:
            found.add(stage.address)
    return found


def with_needed(graph: Sequence[Stage], addresses: Collection[str]) -> set[str]:
    """The stages at these addresses, and all that they need."""
    found = set(addresses)
    for stage in reversed(graph):
        if stage.address in found:
            found |= stage.needs
    return found


def made_of(profile: str, kinds: Collection[str]) -> dict[str, str]:
    """What stages of these kinds are made of beside each other's results, as digests by their names.

    That is the command, the parameters, the digest of the code, and what lies outside of the graph, which has no hash
    where it is missing. Clones in which all of these are equal do the same work.
    """
    found = {}
    with opened() as repo:
        every = _index(repo, profile).stages
        results = [Path(out.fs_path) for stage in every if stage.name != CODE for out in stage.outs]
        for stage in every:
            if stage.name.partition("@")[0] not in kinds:
                continue
            parts: list[object] = [stage.cmd]
            for dep in stage.deps:
                path = Path(dep.fs_path)
                if isinstance(dep, ParamsDependency):
                    parts.append(dep.read_params())
                elif not any(path.is_relative_to(result) or result.is_relative_to(path) for result in results):
                    parts.append([str(dep), dep.get_hash().value if dep.exists else ""])
            found[stage.name] = hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()
    return found
