"""The DVC graph: stages, what each needs, and which of them are stale."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dvc.repo import Repo  # type: ignore[import-untyped]  # DVC ships no types

from fcn.errors import InputError

SAMPLE = "sample"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage of a pipeline file: its address for DVC, its short name, and the addresses that it needs."""

    address: str
    name: str
    needs: frozenset[str]


def profiles() -> list[str]:
    """The profiles there are: the root's, and every folder below profiles/."""
    return [SAMPLE, *sorted(path.parent.name for path in Path("profiles").glob("*/dvc.yaml"))]


def pipeline(profile: str) -> str:
    """The pipeline file of a profile, relative to the project's root."""
    if profile not in profiles():
        raise InputError(f"profile {profile!r} is unknown; there are {', '.join(profiles())}")
    return "dvc.yaml" if profile == SAMPLE else f"profiles/{profile}/dvc.yaml"


def stages(profile: str) -> list[Stage]:
    """Every stage of a profile, needed ones first."""
    with Repo(".") as repo:
        graph = repo.index.graph  # edges point from a stage to what it depends on
        ours = {stage for stage in graph if stage.dvcfile.relpath == pipeline(profile)}
        found = {
            stage.addressing: Stage(
                address=stage.addressing,
                name=stage.name,
                needs=frozenset(needed.addressing for needed in graph.successors(stage) if needed in ours),
            )
            for stage in ours
        }
    return _ordered(found)


def stale(profile: str) -> set[str]:
    """Addresses of the stages that DVC would run: those that changed, and all that need one of them."""
    with Repo(".") as repo:
        changed = set(repo.status(targets=[pipeline(profile)]))
    result: set[str] = set()
    for stage in stages(profile):
        if stage.address in changed or stage.needs & result:
            result.add(stage.address)
    return result


def _ordered(found: dict[str, Stage]) -> list[Stage]:
    """Needed stages first, otherwise by name, so that two walks of the same graph are the same."""
    done: dict[str, Stage] = {}

    def visit(addresses: Iterable[str]) -> None:
        for address in sorted(addresses):
            if address not in done:
                visit(found[address].needs)
                done[address] = found[address]

    visit(found)
    return list(done.values())
