"""Python and packages as they are installed, against what pyproject.toml allows."""

import platform
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from fcn.commands.checks.finding import Finding
from fcn.config import Config

_SAID = ("torch", "torchvision", "dvc", "prefect", "mlflow", "fastapi")  # by version, also where all is well
_INSTALL = "install the locked versions: `make check`, or `pip install -r requirements.lock`"


def check(_config: Config) -> list[Finding]:
    """Read pyproject.toml and the packages' metadata; nothing heavy is imported."""
    try:
        project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
        wanted = [Requirement(text) for text in project["dependencies"]]
        pythons = SpecifierSet(project["requires-python"])
    except (OSError, KeyError, tomllib.TOMLDecodeError, InvalidRequirement, InvalidSpecifier) as error:
        said = f"pyproject.toml doesn't say what is allowed: {type(error).__name__}: {error}"
        return [Finding(name="versions", state="broken", said=said, do="run from the project's root")]
    return [_python(pythons), _packages(wanted), *_pair()]


def _python(allowed: SpecifierSet) -> Finding:
    found = platform.python_version()
    if allowed.contains(found, prereleases=True):
        return Finding(name="python", state="ok", said=found)
    return Finding(
        name="python",
        state="broken",
        said=f"{found}, allowed is {allowed}",
        do="make the environment with another Python",
    )


def _packages(wanted: list[Requirement]) -> Finding:
    wrong, known = [], {}
    for requirement in wanted:
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing (allowed: {requirement.specifier})")
            continue
        known[requirement.name] = version
        if not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name} is {version} (allowed: {requirement.specifier})")
    if wrong:
        return Finding(name="packages", state="broken", said="; ".join(wrong), do=_INSTALL)
    shown = ", ".join(f"{name} {known[name]}" for name in _SAID if name in known)
    return Finding(name="packages", state="ok", said=f"{shown}; all {len(known)} are in range")


def _pair() -> list[Finding]:
    """A torchvision works with the one torch that it was built for; pip doesn't look again once both are there."""
    try:
        needs: list[Any] = [Requirement(text) for text in metadata.requires("torchvision") or []]
        torch = metadata.version("torch")
    except metadata.PackageNotFoundError:  # said with the packages
        return []
    built_for = next((item.specifier for item in needs if item.name == "torch"), SpecifierSet())
    if built_for.contains(torch.partition("+")[0], prereleases=True):
        return []
    version = metadata.version("torchvision")
    said = f"torchvision {version} was built for torch {built_for}, found is {torch}"
    return [Finding(name="torch and torchvision", state="broken", said=said, do=_INSTALL)]
