"""Python and packages as they are installed, against what pyproject.toml allows."""

import platform
import tomllib
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from fcn.commands.checks.finding import Finding
from fcn.config import Config

_SHOWN = ("torch", "torchvision", "dvc", "prefect", "mlflow", "fastapi")  # by version, also where all is well
_INSTALL = "install the locked versions: `make check`, or `pip install -r requirements.lock`"


def check(_config: Config) -> list[Finding]:
    """Read pyproject.toml and the packages' metadata; nothing heavy is imported."""
    try:
        project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
        wanted = [Requirement(text) for text in project["dependencies"]]
        allowed = SpecifierSet(project["requires-python"])
    except (OSError, KeyError, tomllib.TOMLDecodeError, InvalidRequirement, InvalidSpecifier) as error:
        message = f"pyproject.toml doesn't say what is allowed: {type(error).__name__}: {error}"
        return [Finding("versions", "broken", message, "run from the project's root")]
    found = platform.python_version()
    python = Finding("python", "ok", found)
    if not allowed.contains(found, prereleases=True):
        python = Finding(
            "python", "broken", f"{found}, allowed is {allowed}", "make the environment with another Python"
        )
    return [python, _packages(wanted)]


def _packages(wanted: list[Requirement]) -> Finding:
    found: dict[str, str] = {}
    for item in wanted:
        with suppress(metadata.PackageNotFoundError):
            found[item.name] = metadata.version(item.name)
    # A torchvision works with the one torch that it was built for; pip doesn't look again once both are there.
    needs = map(Requirement, (metadata.requires("torchvision") or []) if "torchvision" in found else [])
    wrong = [
        f"{item.name} is {found.get(item.name, 'missing')} (allowed: {item.specifier})"
        for item in [*wanted, *(item for item in needs if item.name in found)]
        if item.name not in found or not item.specifier.contains(found[item.name], prereleases=True)
    ]
    if wrong:
        return Finding("packages", "broken", "; ".join(wrong), _INSTALL)
    shown = ", ".join(f"{name} {found[name]}" for name in _SHOWN if name in found)
    return Finding("packages", "ok", f"{shown}; all {len(found)} are in range")
