"""The addresses of what the profile has yet to download."""

from concurrent.futures import ThreadPoolExecutor

import requests

from fcn.commands.checks.finding import Finding, some
from fcn.config import Config
from fcn.paper.downloads import DOWNLOADS
from fcn.stages.places import Places

_SECONDS = 6.0


def check(config: Config) -> list[Finding]:
    """Ask each address for its head; without a network that is a warning."""
    places = Places(config)
    fetched = [name for name, archive in config.archives.items() if archive.kind == "download" and name in DOWNLOADS]
    missing = [name for name in fetched if not places.archive(name).exists()]
    if not missing:
        message = "nothing to download: the profile makes its data, has them in a local place, or has them here already"
        return [Finding("mirrors", "skipped", message)]
    with ThreadPoolExecutor(max_workers=8) as pool:
        return [_finding(name, list(pool.map(_problem, DOWNLOADS[name].urls))) for name in missing]


def _problem(url: str) -> str:
    """Empty where the address answers, else why not."""
    try:
        with requests.head(url, timeout=_SECONDS, allow_redirects=True) as response:
            return "" if response.ok else f"{url} (HTTP {response.status_code})"
    except requests.RequestException as error:
        return f"{url} ({type(error).__name__})"


def _finding(name: str, problems: list[str]) -> Finding:
    file, silent = DOWNLOADS[name].file, [problem for problem in problems if problem]
    if len(silent) == len(problems):
        cure = "look at the network; a file got elsewhere is named with its path in `from` in params.yaml"
        return Finding(f"mirrors: {name}", "warning", f"{file}: no address answers: {some(silent)}", cure)
    others = f"; {len(silent)} of {len(problems)} addresses don't" if silent else ""
    return Finding(f"mirrors: {name}", "ok", f"{file}: {DOWNLOADS[name].urls[problems.index('')]} answers{others}")
