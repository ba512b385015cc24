"""`python -m fcn doctor`: one look over versions, machine, locks, graph, leftovers, servers and their numbers."""

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from fcn.commands import mend
from fcn.commands.checks import (
    cache,
    dvc_graph,
    dvc_locks,
    hardware,
    leftovers,
    mlflow_rows,
    prefect_server,
    scores,
    versions,
)
from fcn.commands.checks.finding import Finding
from fcn.config import Config
from fcn.errors import StageFailure, without_secrets

Check = Callable[[Config], Iterable[Finding]]
_CHECKS: tuple[tuple[str, Check], ...] = (
    ("versions", versions.check),
    ("gpu", hardware.gpu),
    ("disk", hardware.disk),
    ("dvc locks", dvc_locks.check),
    ("graph", dvc_graph.check),
    ("cache", cache.check),
    ("scores", scores.check),
    ("resume states", leftovers.states),
    ("part files", leftovers.parts),
    ("removed results", leftovers.removed),
    ("prefect", prefect_server.check),
    ("mlflow", mlflow_rows.check),
)
_MARKS = {"ok": "ok     ", "warning": "WARNING", "broken": "BROKEN ", "skipped": "-      "}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `doctor` takes."""
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    parser.add_argument(
        "--mend",
        action="store_true",
        help="first `fcn mend`, mend DVC's cache, and take out of dvc.lock what dvc.yaml hasn't any more",
    )


def run(config: Config, options: argparse.Namespace) -> None:
    """Print what every check found; changes nothing without --mend.

    Raises StageFailure where something is broken. Environment: that of what is looked at, such as PREFECT_API_URL,
    MLFLOW_TRACKING_URI and FCN_DEVICE.
    """
    if options.mend:
        for sentence in (*mend.mend(), *cache.mend(config)):
            print(sentence, file=sys.stderr)
        print(f"taken out of dvc.lock: {', '.join(dvc_graph.mend(config)) or 'nothing'}", file=sys.stderr)
    findings: list[Finding] = []
    with ThreadPoolExecutor(len(_CHECKS)) as pool:  # most of them wait: for DVC, for servers
        for part in pool.map(lambda it: _looked(it[0], it[1], config, traceback=options.traceback), _CHECKS):
            for finding in part:
                findings.append(finding)
                if not options.json:
                    cure = f"\n        -> {finding.cure}" if finding.cure else ""
                    print(f"{_MARKS[finding.state]} {finding.name}: {finding.message}{cure}", flush=True)
    wrong = [finding.name for finding in findings if finding.state == "broken"]
    if options.json:
        checks = [{"name": it.name, "state": it.state, "said": it.message, "do": it.cure} for it in findings]
        print(json.dumps({"healthy": not wrong, "checks": checks}, indent=2))
    if wrong:
        raise StageFailure(f"{len(wrong)} of {len(findings)} checks found something broken: {', '.join(wrong)}")
    if not options.json:
        warnings = sum(finding.state == "warning" for finding in findings)
        print(f"\nHealthy: {len(findings)} checks, nothing broken, {warnings} warnings.")


def _looked(name: str, check: Check, config: Config, *, traceback: bool) -> list[Finding]:
    try:
        found = list(check(config))
    except Exception as error:  # broken in a way that nobody foresaw: what the other checks find is worth having
        if traceback:
            raise
        message = f"could not be looked at: {type(error).__name__}: {error}"
        found = [Finding(name, "broken", message, "mend what it names; --traceback shows where it arose")]
    return [it._replace(message=without_secrets(it.message), cure=without_secrets(it.cure)) for it in found]
