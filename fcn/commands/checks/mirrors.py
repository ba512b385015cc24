"""The addresses of what the profile has yet to download."""

from concurrent.futures import ThreadPoolExecutor

import requests

from fcn.commands.checks.finding import Finding, some
from fcn.config import Config
from fcn.paper.downloads import DOWNLOADS
from fcn.stages.places import Places

_FROM_DOWNLOADS = "fcn/paper/downloads.py"
_SECONDS = 6.0


def check(config: Config) -> list[Finding]:
    """Ask each address for its head; without a network that is a warning."""
    missing = _missing(config)
    if not missing:
        said = "nothing to download: the profile makes its data, has them in a local place, or has them here already"
        return [Finding(name="mirrors", state="skipped", said=said)]
    addresses = [url for name in missing for url in DOWNLOADS[name].urls]
    with ThreadPoolExecutor(max_workers=len(addresses)) as pool:
        answers = dict(zip(addresses, pool.map(_answer, addresses), strict=True))
    return [_finding(name, {url: answers[url] for url in DOWNLOADS[name].urls}) for name in missing]


def _missing(config: Config) -> list[str]:
    places = Places(config)
    sources = [name for name, source in config.sources.items() if source.kind == "download"]
    weights = [name for name, entry in config.weights.items() if entry.from_ == _FROM_DOWNLOADS]
    wanted = [name for name in sources if not places.archive(name).exists()]
    wanted += [name for name in weights if not places.weights(name).exists()]
    return [name for name in wanted if name in DOWNLOADS]


def _answer(url: str) -> str:
    """Empty where the address answers, else why not."""
    try:
        with requests.head(url, timeout=_SECONDS, allow_redirects=True) as response:
            return "" if response.ok else f"HTTP {response.status_code}"
    except requests.RequestException as error:
        return type(error).__name__


def _finding(name: str, answers: dict[str, str]) -> Finding:
    file = DOWNLOADS[name].file
    good = [url for url, why in answers.items() if not why]
    if good:
        others = len(answers) - len(good)
        return Finding(
            name=f"mirrors: {name}",
            state="ok",
            said=f"{file}: {good[0]} answers" + (f"; {others} of {len(answers)} addresses don't" if others else ""),
        )
    said = f"{file}: no address answers: {some([f'{url} ({why})' for url, why in answers.items()])}"
    do = "look at the network; a file got elsewhere is named with its path in `from` (kind local) in params.yaml"
    return Finding(name=f"mirrors: {name}", state="warning", said=said, do=do)
