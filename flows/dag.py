"""The DVC graph: stages, what each needs, and which of them are stale."""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dvc.dependency import ParamsDependency  # type: ignore[import-untyped]  # DVC ships no types
from dvc.exceptions import DvcException  # type: ignore[import-untyped]
from dvc.repo import Repo  # type: ignore[import-untyped]

from fcn.errors import InputError, StageFailure

SAMPLE = "sample"


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
        """What stands behind the @: a run, a source, a weights entry; nothing where there is one stage of the kind."""
        return self.name.partition("@")[2]


def profiles() -> list[str]:
    """The profiles there are: the root's, and every folder below profiles/."""
    return [SAMPLE, *sorted(path.parent.name for path in Path("profiles").glob("*/dvc.yaml"))]


def pipeline(profile: str) -> str:
    """The pipeline file of a profile, relative to the project's root."""
    if profile not in profiles():
        raise InputError(f"profile {profile!r} is unknown; there are {', '.join(profiles())}")
    return "dvc.yaml" if profile == SAMPLE else f"profiles/{profile}/dvc.yaml"


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
    except DvcException as error:
        raise StageFailure(f"DVC can't read the project: {' '.join(str(error).split())}") from error


def stages(profile: str) -> list[Stage]:
    """Every stage of a profile, needed ones first."""
    with opened() as repo:
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
    with opened() as repo:
        changed = set(repo.status(targets=[pipeline(profile)]))
    result: set[str] = set()
    for stage in stages(profile):
        if stage.address in changed or stage.needs & result:
            result.add(stage.address)
    return result


def made_of(profile: str, kinds: Collection[str]) -> dict[str, str]:
    """What stages of these kinds are made of beside each other's results, by name with a digest.

    Files and folders go by their paths, a stage's command and parameters by the stage's name. Clones in which all of
    these are equal do the same work. What isn't there has no digest.
    """
    found = {}
    with opened() as repo:
        every = [stage for stage in repo.index.stages if stage.dvcfile.relpath == pipeline(profile)]
        made = [Path(out.fs_path) for stage in every for out in stage.outs]
        for stage in every:
            if stage.name.partition("@")[0] not in kinds:
                continue
            parts: list[object] = [stage.cmd]
            for dep in stage.deps:
                path = Path(dep.fs_path)
                if isinstance(dep, ParamsDependency):
                    parts.append(dep.read_params())
                elif not any(path.is_relative_to(out) or out.is_relative_to(path) for out in made):
                    found[str(dep)] = dep.get_hash().value if dep.exists else ""
            text = json.dumps(parts, sort_keys=True, default=str)
            found[stage.name] = hashlib.sha256(text.encode()).hexdigest()
    return found


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
